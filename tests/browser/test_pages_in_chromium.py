"""Both sites in a real Chromium: no complaint in its console, no sideways scrolling, forms that work without scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from inference.web.app import create_app as create_pi
from tests import web_data, web_more, web_trainer
from tests.web_client import set_up
from trainer.jobs import FAILED, JobStore
from trainer.web import fleet_pages, job_pages
from trainer.web.app import create_app as create_trainer

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from tests.chromium import WAIT_S, look, sign_in, started  # noqa: E402

pytestmark = pytest.mark.browser
PI = ("/", "/?span=7d", "/incidents", "/incidents?host=ap1&severity=info", "/incidents/{evil_twin}", "/incidents/{ap_hang}",
      "/models", f"/models/wifi/{web_data.PREVIOUS}/activate", "/access", f"/models/wifi/{web_data.ACTIVE}",
      f"/models/wifi/{web_data.PREVIOUS}/challenge", "/agents", "/performance", "/transfers", "/settings",
      "/notifications", "/api-guide")  # fmt: skip
TRAINER = (
    "/",
    f"/models/wifi/{web_trainer.VERSION}",
    f"/models/wifi/{web_trainer.VERSION}/report",
    "/compare",
    "/clean-up",
    "/train",
    "/train?export=week.csv",
    "/fetch",
    "/jobs/1",
    "/jobs/2",
    "/fleet",
    "/catch-up",
    f"/ship?model=wifi_{web_trainer.VERSION}",
    f"/ship?model=wifi_{web_trainer.VERSION}&how=challenger",
    "/rollback?target=pi-lab&agent=wifi",
    "/history",
    "/settings",
    "/api-guide",
    "/access",
)
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def driver(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One Chromium with a profile of its own, whose console can be read."""
    with started(chromium, tmp_path_factory.mktemp("chromium")) as each:
        yield each


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Both sites, filled, each under its own address."""
    folder = tmp_path_factory.mktemp("sites")
    (folder / "pi").mkdir()
    web_data.fill(folder / "pi")
    web_more.fill_more(folder / "pi")
    models = web_trainer.fill(folder / "trainer")
    apps = {
        "pi": create_pi(folder / "pi", now=lambda: web_data.NOW, place="pi-attic"),
        "trainer": create_trainer(
            folder / "trainer", models_dir=models, now=lambda: web_data.NOW, place="Trainer on anvil"
        ),
    }
    servers = [_serve(app) for app in apps.values()]
    yield {name: f"http://127.0.0.1:{server.server_port}" for name, server in zip(apps, servers, strict=True)}
    for server in servers:
        server.shutdown()


def _serve(app: Flask):  # type: ignore[no-untyped-def]  # werkzeug gives its server no public type
    set_up(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def incidents_of(driver: webdriver.Chrome, site: str) -> dict[str, str]:
    """Kind → number of its incident, from the API."""
    script = (
        "return fetch('/api/v1/incidents').then(a => a.json()).then(a => a.incidents.map(i => [i.type, String(i.id)]))"
    )
    driver.get(site + "/incidents")
    return dict(driver.execute_script(script))


@pytest.mark.parametrize("name", ["pi", "trainer"])
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (1280, True), (360, False), (360, True)])
def test_no_page_complains_or_scrolls_sideways(
    driver: webdriver.Chrome, sites: dict[str, str], name: str, width: int, dark: bool
) -> None:
    site = sites[name]
    sign_in(driver, site)
    numbers = incidents_of(driver, site) if name == "pi" else {}
    look(driver, width, dark)
    driver.get_log("browser")
    for path in PI if name == "pi" else TRAINER:
        driver.get(site + path.format(**numbers))
        if not path.endswith("/report"):
            assert driver.execute_script(OVERFLOW) <= 0, path
            assert len(driver.find_elements(By.TAG_NAME, "h1")) == 1, path
            driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert driver.execute_script(OVERFLOW) <= 0, f"{path}, everything unfolded"
        assert driver.get_log("browser") == [], path


def test_dark_and_light_are_really_different(driver: webdriver.Chrome, sites: dict[str, str]) -> None:
    sign_in(driver, sites["pi"])
    seen = []
    for dark in (False, True):
        look(driver, 1280, dark)
        driver.get(sites["pi"] + "/")
        seen.append(driver.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert seen[0] != seen[1]


def test_the_theme_button_acts_at_once_and_is_remembered(driver: webdriver.Chrome, sites: dict[str, str]) -> None:
    sign_in(driver, sites["pi"])
    look(driver, 1280, False)
    driver.get(sites["pi"] + "/models")
    driver.find_element(By.CSS_SELECTOR, "form[data-theme-form] button").click()
    root = "return document.documentElement.dataset.theme"
    assert driver.execute_script(root) == "dark"
    WebDriverWait(driver, WAIT_S).until(lambda each: each.get_cookie("pipit_theme"))
    driver.get(sites["pi"] + "/incidents")
    assert driver.execute_script(root) == "dark"
    driver.delete_cookie("pipit_theme")


TICKS = """
const later = window.setTimeout;
window.ticks = 0;
window.setTimeout = (call, ms) => later(() => { if (ms >= 50) window.ticks += 1; call(); }, ms);
"""


@pytest.fixture
def own_trainer(driver: webdriver.Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A trainer whose pages keep themselves fresh ten times a second, signed in to."""
    monkeypatch.setattr(fleet_pages, "LIVE_S", 0.1)
    monkeypatch.setattr(job_pages, "LIVE_S", 0.1)
    app = create_trainer(tmp_path, models_dir=web_trainer.fill(tmp_path), now=lambda: web_data.NOW, place="anvil")
    set_up(app)
    server = _serve(app)
    script = driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": TICKS})
    site = f"http://127.0.0.1:{server.server_port}"
    sign_in(driver, site)
    yield site
    driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", script)
    server.shutdown()


PRESSED = """
const done = arguments[0], button = document.querySelector('form[action$="/stop"] button');
window.addEventListener('submit', (event) => {
  event.preventDefault();
  setTimeout(() => done(button.disabled));
}, { once: true });
button.click();
"""


def test_a_page_that_keeps_itself_fresh_takes_nothing_away_and_knows_its_end(
    driver: webdriver.Chrome, own_trainer: str, tmp_path: Path
) -> None:
    wait = WebDriverWait(driver, WAIT_S)
    driver.get(f"{own_trainer}/fleet")
    driver.execute_script("window.before = document.querySelector('main h1')")
    wait.until(lambda each: each.execute_script("return !window.before.isConnected"))  # it was made anew
    driver.execute_script("document.querySelector('#hw').value = 'challenger'; window.ticks = 0")
    wait.until(lambda each: each.execute_script("return window.ticks > 2"))
    assert driver.execute_script("return document.querySelector('#hw').value") == "challenger"

    driver.get(f"{own_trainer}/jobs/2")
    foot = driver.find_element(By.CSS_SELECTOR, ".foot")
    assert "Pause updates" in foot.text
    assert driver.execute_async_script(PRESSED) is True, "a button that was pressed can be pressed again"
    JobStore(tmp_path).end(2, FAILED, web_data.NOW, error="too little to learn from", code="failed")
    wait.until(lambda each: "failed" in each.find_element(By.TAG_NAME, "h1").text)
    wait.until(lambda _: "Pause updates" not in foot.text)
    assert "Not updated" not in foot.text

    driver.get(f"{own_trainer}/fleet")
    foot = driver.find_element(By.CSS_SELECTOR, ".foot")
    driver.delete_all_cookies()
    wait.until(lambda _: "Not updated: you are signed out; reload the page to sign in. As of" in foot.text)
