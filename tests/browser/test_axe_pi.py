"""Every page of the Pi, in every state that it can be in, light and dark, as axe-core sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver

from tests import axe, web_data, web_states
from tests.chromium import look, sign_in, started

pytestmark = pytest.mark.browser
A, P = web_data.ACTIVE, web_data.PREVIOUS
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
EVERYWHERE = ("/", "/incidents", "/models", "/agents", "/performance", "/notifications")
LONGEST = "/api-guide"  # a third of the time for the plainest page: once is enough
IN_DARK = ("filled", "no-database", "crowded")  # the other states are made of the same parts
PAGES = {
    "filled": (
        *EVERYWHERE, "/?span=7d", "/incidents?host=ap1&severity=info", "/incidents/6", "/incidents/3",
        f"/models/wifi/{A}", f"/models/wifi/{P}/activate", f"/models/wifi/{P}/challenge", "/transfers", "/settings", "/access",
        LONGEST, "/no-such-page", "/notifications?test=1",
    ),
    "never": ("/", "/models", "/notifications"),
    "no-model": ("/", "/performance"),
    "calm": ("/", "/notifications"),
    "no-database": ("/",),
    "dead": ("/",),
    "crowded": ("/", "/incidents", "/performance", "/incidents/11"),
}  # fmt: skip


@pytest.fixture(scope="module")
def driver(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One Chromium for the module."""
    with started(chromium, tmp_path_factory.mktemp("chromium")) as each:
        yield each


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Pi in each state."""
    with contextlib.ExitStack() as open_sites:
        yield {
            name: open_sites.enter_context(web_states.served(make(tmp_path_factory.mktemp(name))))
            for name, make in web_states.STATES.items()
        }


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_page_of_the_pi_has_a_serious_finding_or_scrolls_sideways(
    driver: webdriver.Chrome, sites: dict[str, str], dark: bool
) -> None:
    look(driver, 390 if dark else 1280, dark)
    seen = {}
    for name, pages in ((name, PAGES[name]) for name in (IN_DARK if dark else PAGES)):
        driver.delete_all_cookies()
        driver.get(sites[name] + "/login")
        if name == "filled":
            seen["/login"] = axe.findings(driver)
        sign_in(driver, sites[name])
        for path in (each for each in pages if not (dark and each == LONGEST)):
            driver.get(sites[name] + path)
            seen[f"{name} {path}"] = axe.findings(driver)  # which unfolds everything
            assert driver.execute_script(OVERFLOW) <= 0, f"{name} {path} scrolls sideways"
            if name == "crowded" and dark:
                for width in (320, 768):  # the smallest phone, and a tablet held upright
                    look(driver, width, dark)
                    assert driver.execute_script(OVERFLOW) <= 0, f"{path} scrolls sideways at {width}"
                look(driver, 390, dark)
    assert not any(seen.values()), "\n".join(axe.in_words(path, found) for path, found in seen.items() if found)
