"""From an upload to a model that serves on a Pi, by clicking alone: real Chromium, jobs, OpenSSH and reconcile."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from werkzeug.serving import make_server

from inference.probe import COMMAND
from shared.model import load_model
from tests.chromium import WAIT_S, look, sign_in, started
from tests.shipping import RunningPi
from tests.sshd_server import SshdServer
from tests.web_client import set_up
from trainer import targets
from trainer.config import Settings
from trainer.jobs import JobStore
from trainer.keys import ALLOWED, ensure_key
from trainer.tasks.worker import Worker
from trainer.web.app import create_app

pytestmark = pytest.mark.browser
EXPORT = Path(__file__).parents[2] / "examples" / "wifi-train.csv.gz"
ROWS = 9_000


@pytest.fixture
def driver(chromium: Path, tmp_path: Path) -> Iterator[webdriver.Chrome]:
    with started(chromium, tmp_path / "profile") as each:
        yield each


@pytest.fixture
def site(tmp_path: Path, own_sshd: SshdServer) -> Iterator[str]:
    """A trainer's site with its worker, and one Pi that reconciles."""
    state = tmp_path / "state"
    ensure_key(state)
    quick = tmp_path / "model_config.yaml"
    quick.write_text("evaluation: {inject: false, cross_validation: false}\n")
    settings = Settings(
        models_dir=tmp_path / "models", exports_dir=tmp_path / "exports", state_dir=state, model_config_file=quick
    )
    targets.add_target(state, targets.parse_target("attic", own_sshd.url, own_sshd.identity, own_sshd.known_hosts))
    pi = RunningPi(tmp_path / "pi", state / ALLOWED, inbox=own_sshd.inbox)
    pi.load, pi.probe_command = load_model, COMMAND
    pi.limit(cpu_s=60, wall_s=90.0)
    pi.run()
    worker = Worker(settings, JobStore(state))
    worker.start()
    app = create_app(
        state, models_dir=settings.models_dir, settings=settings, wake=worker.wake, place="Trainer on anvil"
    )
    set_up(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    worker.stop()
    pi.end()


def part_of_an_export(folder: Path) -> Path:
    """The first days of the example, under a name that no file should have."""
    file = folder / "Büro <1>.csv.gz"
    with gzip.open(EXPORT, "rt") as whole, gzip.open(file, "wt") as part:
        part.writelines(islice(whole, ROWS))
    return file


def press(driver: webdriver.Chrome, css: str) -> None:
    found = driver.find_element(By.CSS_SELECTOR, css)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
    found.click()


def wait_for(driver: webdriver.Chrome, css: str) -> None:
    WebDriverWait(driver, WAIT_S).until(lambda each: each.find_elements(By.CSS_SELECTOR, css), f"no {css}")


def test_upload_look_train_report_ship(driver: webdriver.Chrome, site: str, tmp_path: Path) -> None:
    sign_in(driver, site)
    look(driver, 1280, False)
    driver.get(site + "/train")
    driver.find_element(By.ID, "up").send_keys(str(part_of_an_export(tmp_path)))
    press(driver, "button[value=check]")
    wait_for(driver, ".facts")  # the page updates by itself until somebody has looked
    assert "8,999 good" in driver.find_element(By.TAG_NAME, "main").text
    press(driver, "#tf details summary")
    driver.find_element(By.ID, "model-n_estimators").send_keys("many")
    press(driver, "button[value=start]")
    wait_for(driver, "#model-n_estimators[aria-invalid=true]")
    assert "'many' is not a whole number" in driver.find_element(By.ID, "model-n_estimators-e").text
    field = driver.find_element(By.ID, "model-n_estimators")
    field.clear()
    field.send_keys("20")
    press(driver, "button[value=start]")
    wait_for(driver, ".steps [aria-current=step]")
    WebDriverWait(driver, WAIT_S).until(
        lambda each: each.find_element(By.TAG_NAME, "h1").text.startswith("Trained wifi")
    )
    press(driver, ".head .btn.go")
    wait_for(driver, "a[href$='/report']")
    press(driver, "a[href$='/report']")
    assert "Alert" in driver.find_element(By.TAG_NAME, "body").text
    driver.back()
    driver.find_element(By.LINK_TEXT, "Ship…").click()
    WebDriverWait(driver, WAIT_S).until(lambda each: "/ship" in each.current_url)
    driver.get(driver.current_url + "&to=attic")
    if driver.find_elements(By.ID, "re"):  # two days may be too few for the gate
        driver.find_element(By.ID, "re").send_keys("the first model of this site")
    press(driver, "main .btn.go")
    WebDriverWait(driver, WAIT_S).until(lambda each: each.find_element(By.TAG_NAME, "h1").text.startswith("Shipped"))
    driver.get(site + "/fleet")
    assert driver.find_element(By.TAG_NAME, "h1").text == "The one Pi runs the newest model."
    driver.get(site + "/history")
    assert "Two things happened, and all went well." in driver.find_element(By.TAG_NAME, "h1").text
    assert not [entry for entry in driver.get_log("browser") if "400" not in entry["message"]]
