"""A real Chromium for the tests of the sites: started with a profile of its own, signed in, set to a width and a theme."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.web_client import PASSWORD

WAIT_S = 60
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage",
)  # fmt: skip


@contextlib.contextmanager
def started(chromium: Path, profile: Path) -> Iterator[webdriver.Chrome]:
    """One Chromium whose console can be read; ended at the end."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(chromium)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(chromium.with_name("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


def sign_in(driver: webdriver.Chrome, site: str) -> None:
    """As the administrator, where nobody is signed in yet."""
    driver.get(site + "/login")
    if "/login" not in driver.current_url:
        return
    driver.find_element(By.ID, "pw").send_keys(PASSWORD)
    driver.find_element(By.CSS_SELECTOR, ".login .btn.go").click()
    WebDriverWait(driver, WAIT_S).until(lambda each: "/login" not in each.current_url)


def look(driver: webdriver.Chrome, width: int, dark: bool) -> None:
    """Set the width and what the system says about light and dark."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wanted = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wanted})
