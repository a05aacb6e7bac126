"""Every page of the trainer, light and dark, wide and narrow, as axe-core sees it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from werkzeug.serving import make_server

from tests import axe, web_data, web_trainer
from tests.chromium import look, sign_in, started
from tests.training_facts import FACTS
from tests.web_client import set_up
from trainer.config import Settings
from trainer.report import render_report
from trainer.web.app import create_app

pytestmark = pytest.mark.browser
VERSION = web_trainer.VERSION
PAGES = (
    "/", f"/models/wifi/{VERSION}", "/compare", "/clean-up", "/train",
    "/train?export=week.csv", "/fetch", "/jobs/1", "/jobs/2", "/fleet", "/catch-up", f"/ship?model=wifi_{VERSION}",
    f"/ship?model=wifi_{VERSION}&how=challenger",
    "/rollback?target=pi-lab&agent=wifi", "/history", "/settings", "/api-guide", "/access", "/no-such-page",
)  # fmt: skip


@pytest.fixture(scope="module")
def driver(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One Chromium for the module."""
    with started(chromium, tmp_path_factory.mktemp("chromium")) as each:
        yield each


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A filled trainer."""
    folder = tmp_path_factory.mktemp("trainer")
    models = web_trainer.fill(folder)
    settings = Settings(exports_dir=folder / "exports", database_url="postgresql://reader@db/logs")
    app = create_app(folder, models_dir=models, now=lambda: web_data.NOW, place="Trainer on anvil", settings=settings)
    set_up(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_of_the_trainer_has_a_finding_that_matters(driver: webdriver.Chrome, site: str, dark: bool) -> None:
    look(driver, 390 if dark else 1280, dark)
    driver.get(site + "/login")
    seen = {"/login": axe.findings(driver, "moderate")} if "/login" in driver.current_url else {}
    sign_in(driver, site)
    for path in PAGES:
        driver.get(site + path)
        seen[path] = axe.findings(driver, "moderate")
    assert not any(seen.values()), "\n".join(axe.in_words(path, found) for path, found in seen.items() if found)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_report_has_no_serious_finding(driver: webdriver.Chrome, tmp_path: Path, dark: bool) -> None:
    """As the file that it is: the site serves it in a sandbox, where no script runs, not even this one."""
    file = tmp_path / "report.html"
    file.write_bytes(render_report(FACTS))
    look(driver, 1280, dark)
    driver.get(file.as_uri())
    assert axe.findings(driver) == []


def test_axe_finds_what_is_wrong(driver: webdriver.Chrome, site: str) -> None:
    """A run that finds nothing must not be one that looked at nothing."""
    look(driver, 1280, False)
    sign_in(driver, site)
    driver.get(site + "/settings")
    driver.execute_script("document.querySelector('main').innerHTML += '<img src=\"/static/pipit.svg\">'")
    found = axe.findings(driver, "moderate")
    assert [one.rule for one in found] == ["image-alt"]
