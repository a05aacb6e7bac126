"""What people come to the Pi's pages for, done in a real Chromium: each page's main act, mostly without JavaScript."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference import state
from inference.notify import empty_outbox
from inference.telling import channels, outbox
from tests import web_data, web_more, web_states, web_trainer
from trainer.web.app import create_app as create_trainer

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.expected_conditions import staleness_of  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

from tests.chromium import WAIT_S, look, sign_in, started  # noqa: E402

pytestmark = pytest.mark.browser
ACTIVE, PREVIOUS = web_data.ACTIVE, web_data.PREVIOUS
NOTICE = ".note[role=status]"
PULSE_S = 0.05  # how often a live page of these tests looks whether to renew itself
COUNT_TURNS = (
    "turns = 0; const own = setTimeout; window.setTimeout = (then, ms) => { turns += 1; return own(then, ms); }"
)


@dataclass(frozen=True)
class Pi:
    """A browser in which the administrator of a filled Pi is signed in, and the folder of its state."""

    driver: webdriver.Chrome
    site: str
    folder: Path

    def open(self, path: str) -> None:
        """Go to a page."""
        self.driver.get(self.site + path)

    def find(self, css: str):  # type: ignore[no-untyped-def]  # selenium is not typed here
        """The first element that fits."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str = "main") -> str:
        """What a person reads there."""
        return str(self.find(css).text)

    def go(self, element) -> None:  # type: ignore[no-untyped-def]
        """Click, and wait for the page after it."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        element.click()
        self.until(staleness_of(before))

    def until(self, holds: Callable[[webdriver.Chrome], object]) -> None:
        """Wait for it; while one page gives way to the next, Chromium answers some questions with an error of its own."""
        WebDriverWait(self.driver, WAIT_S, ignored_exceptions=(WebDriverException,)).until(holds)

    def press(self, css: str) -> str:
        """Press a button of a form; what the next page's notice says."""
        self.go(self.find(css))
        self.until(lambda each: each.find_element(By.CSS_SELECTOR, NOTICE).text)
        return self.text(NOTICE)

    def wait(self, words: str) -> None:
        """Until the page says so."""
        self.until(lambda _: words in self.text())


@pytest.fixture(scope="module")
def signed_in(chromium: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pi]:
    """One Chromium, one Pi, and a trainer that it knows."""
    folder = tmp_path_factory.mktemp("sites")
    (folder / "pi").mkdir()
    web_data.fill(folder / "pi")
    web_more.fill_more(folder / "pi")
    models = web_trainer.fill(folder / "trainer")
    trainer = create_trainer(folder / "trainer", models_dir=models, now=lambda: web_data.NOW, place="anvil")
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(web_states.served(trainer))
        token = trainer.extensions["pipit"].account.add_token("pi", "read")
        app = web_states.pi(
            folder / "pi", notify_urls=web_more.NOTIFY_URLS, trainer_url=theirs, trainer_token=token,
            inbox=folder / "inbox",
        )  # fmt: skip
        site = stack.enter_context(web_states.served(app))
        driver = stack.enter_context(started(chromium, folder / "profile"))
        look(driver, 1280, False)
        sign_in(driver, site)
        yield Pi(driver, site, folder / "pi")


@pytest.fixture
def pi(signed_in: Pi) -> Iterator[Pi]:
    """The same for somebody who has switched JavaScript off."""
    signed_in.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    yield signed_in
    signed_in.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


@pytest.fixture
def db(signed_in: Pi) -> Iterator[sqlite3.Connection]:
    """What the daemon writes."""
    db = state.connect(signed_in.folder / "state.db")
    yield db
    db.close()


def test_from_the_overview_to_the_evidence_in_one_click(pi: Pi) -> None:
    pi.open("/")
    assert "Two incidents are open." in pi.text("h1")
    link = pi.find("a.inc")
    wanted = link.find_element(By.TAG_NAME, "b").text.splitlines()[-1]
    pi.go(link)
    assert pi.text("h1") == wanted
    assert pi.find(".log code").text


def test_the_week_is_one_click_away(pi: Pi) -> None:
    pi.open("/")
    pi.go(pi.driver.find_element(By.LINK_TEXT, "7 d"))
    assert pi.text(".seg [aria-current]") == "7 d"
    assert pi.find("svg.chart[role=group]")


def test_incidents_are_filtered_and_the_choice_is_an_address(pi: Pi) -> None:
    pi.open("/incidents")
    pi.find("details summary").click()
    Select(pi.find("#f-host")).select_by_visible_text("ap3")
    Select(pi.find("#f-sev")).select_by_visible_text("High")
    pi.go(pi.find("form[aria-label='Filter incidents'] .btn.go"))
    assert "host=ap3" in pi.driver.current_url
    assert "Chosen: high severity, ap3" in pi.text()
    rows = pi.driver.find_elements(By.CSS_SELECTOR, ".inctab tbody tr")
    assert ["Somebody is guessing a login at ap3" in row.text for row in rows] == [True]
    pi.go(pi.driver.find_element(By.LINK_TEXT, "Clear"))
    assert "Ten incidents" in pi.text("h1")


def test_an_incident_is_marked_muted_and_both_are_taken_back(pi: Pi) -> None:
    pi.open("/incidents/8")
    assert "false alarm" in pi.press("button[value=false]")
    assert "it was a false alarm" in pi.text()
    pi.find("#mute summary").click()
    assert "Muted on this host" in pi.press("#mute form button")
    assert "Taken back" in pi.press("button[value=none]")
    assert "The mute has ended" in pi.press("form[action^='/mutes/'] button")


def test_a_model_is_looked_at_closely(pi: Pi) -> None:
    pi.open(f"/models/wifi/{PREVIOUS}")
    assert "Looked at just now" in pi.press("[aria-labelledby=ch] form button")
    assert "Quality" in pi.text("[aria-labelledby=ch]")


def test_a_challenger_is_promoted_stopped_and_asked_for_again(pi: Pi) -> None:
    pi.open("/models")
    pi.go(pi.driver.find_element(By.LINK_TEXT, "Activate the challenger…"))
    assert pi.text("h1") == f"Roll wifi back to {PREVIOUS}?"
    pi.find("#why").send_keys("it found more")
    assert f"Asked for wifi {PREVIOUS}" in pi.press("main .btn.go")
    assert "comparison has ended" in pi.press("[aria-labelledby=beside-wifi] form button")
    pi.open(f"/models/wifi/{PREVIOUS}/challenge")
    assert "alerts nobody" in pi.press("main .btn.go")


def test_rolling_back_asks_first(pi: Pi) -> None:
    pi.open("/models")
    pi.go(pi.driver.find_element(By.LINK_TEXT, "Roll back…"))
    assert "What changes" in pi.text()
    assert f"Asked for wifi {PREVIOUS}" in pi.press("main .btn.go")


def test_an_agent_changes_its_model_pauses_and_goes_on(pi: Pi) -> None:
    pi.open("/agents")
    Select(pi.find("#m-wifi")).select_by_value(PREVIOUS)
    pi.go(pi.find("[aria-labelledby=a-wifi] form[method=get] button"))
    assert pi.text("h1") == f"Roll wifi back to {PREVIOUS}?"
    pi.go(pi.driver.find_element(By.LINK_TEXT, "Cancel"))
    pi.open("/agents")
    assert "wifi pauses" in pi.press("[aria-labelledby=a-wifi] form[method=post] button")
    assert "wifi is paused" in pi.text()
    assert "wifi goes on" in pi.press("[aria-labelledby=a-wifi] form[method=post] button")


def test_drift_is_measured_now(pi: Pi) -> None:
    pi.open("/performance")
    assert "The log still looks like what the model learnt" in pi.text("h1")
    assert "Measured just now" in pi.press("[aria-labelledby=fd] form button")


def test_the_trainer_is_asked_what_it_has(pi: Pi) -> None:
    pi.open("/transfers")
    pi.go(pi.find("[aria-labelledby=trainer] form button"))
    assert "It answers, takes the token, and has 1 version" in pi.text("[aria-labelledby=trainer]")
    assert web_trainer.VERSION in pi.text("[aria-labelledby=trainer] table")


def test_the_alert_budget_is_set_and_nonsense_is_told_beside_the_field(pi: Pi) -> None:
    pi.open("/settings")
    pi.find("[name=per_week]").send_keys("lots")
    pi.go(pi.find("main .btn.go"))
    field = pi.find("[aria-invalid=true]")
    field.clear()
    field.send_keys("0.5")
    assert "wifi may raise 0.5 incidents" in pi.press("main .btn.go")


def test_without_scripts_a_test_message_is_sent_too(pi: Pi, db: sqlite3.Connection) -> None:
    pi.open("/notifications")
    pi.go(pi.find("[aria-labelledby=ch] form .btn.go"))
    assert "The test is on its way." in pi.text()
    empty_outbox(db, lambda *_: ("", frozenset()), lambda: web_data.NOW)
    pi.go(pi.driver.find_element(By.LINK_TEXT, "look again"))
    assert "The test was taken." in pi.text()


def test_with_scripts_the_page_follows_a_test_by_itself(signed_in: Pi, db: sqlite3.Connection) -> None:
    signed_in.open("/notifications")
    signed_in.go(signed_in.find("[aria-labelledby=ch] form .btn.go"))
    signed_in.wait("The test is on its way.")
    for each in channels.channels(web_more.NOTIFY_URLS):
        channels.note(db, each, "", web_data.NOW)
    empty_outbox(db, lambda *_: ("", frozenset()), lambda: web_data.NOW)
    signed_in.wait("The test was taken.")
    assert "takes messages" in signed_in.text("h1") or "take messages" in signed_in.text("h1")


def hurry(pi: Pi) -> None:
    """Let a live page renew itself at once; its next answer brings the usual pace back."""
    pi.driver.execute_script(f"document.querySelector('main').dataset.live = {PULSE_S}")


def renewed(pi: Pi) -> None:
    """Wait until the page that is shown has taken over a newer one."""
    pi.driver.execute_script("document.querySelector('main h1').id = 'old'")
    pi.until(lambda each: not each.find_elements(By.ID, "old"))


def test_a_live_page_keeps_its_place_and_never_takes_what_somebody_reads(signed_in: Pi, db: sqlite3.Connection) -> None:
    pi = signed_in
    look(pi.driver, 1280, False)
    pi.open("/notifications?test=" + str(_a_waiting_test(db)))
    pi.driver.execute_script("window.scrollTo(0, 300)")
    renewed(pi)
    assert pi.driver.execute_script("return window.scrollY") == 300
    button = pi.find("[aria-labelledby=ch] form .btn.go")
    pi.driver.execute_script("arguments[0].focus(); document.querySelector('main h1').id = 'old'", button)
    fetched = "return performance.getEntriesByType('resource').filter(e => e.initiatorType === 'fetch').length"
    count = pi.driver.execute_script(fetched)
    pi.driver.execute_script(COUNT_TURNS)
    hurry(pi)
    pi.until(lambda each: each.execute_script("return window.turns") > 4)
    assert pi.driver.execute_script(fetched) == count, "while a button has the focus nothing is fetched"
    assert pi.driver.execute_script("return document.activeElement === arguments[0]", button)
    pi.driver.execute_script("arguments[0].blur()", button)
    pi.until(lambda each: not each.find_elements(By.ID, "old"))


def test_a_page_that_somebody_unfolded_waits_until_it_is_folded_again(signed_in: Pi, db: sqlite3.Connection) -> None:
    pi = signed_in
    pi.open("/notifications?test=" + str(_a_waiting_test(db)))
    pi.driver.execute_script(
        "document.querySelector('main details').open = true; document.querySelector('main h1').id = 'old'"
    )
    pi.driver.execute_script(COUNT_TURNS)
    hurry(pi)
    pi.until(lambda each: each.execute_script("return window.turns") > 4)
    assert pi.driver.find_elements(By.ID, "old"), "what is read is not taken away"
    pi.driver.execute_script("document.querySelector('main details').open = false")
    pi.until(lambda each: not each.find_elements(By.ID, "old"))


def _a_waiting_test(db: sqlite3.Connection) -> int:
    outbox.put(db, "test", "a test that nobody sends", "info", "a test", "", web_data.NOW)
    return outbox.newest(db, 1)[0].id


def test_everything_can_be_reached_by_the_tab_key_and_is_seen_to_be(signed_in: Pi) -> None:
    pi = signed_in
    pi.open("/incidents/8")
    wanted = {"Skip to content", "Overview", "It was real", "False alarm", "Mute this kind…", "Reload"}
    seen: set[str] = set()
    body = pi.find("body")
    body.send_keys(Keys.TAB)
    assert pi.driver.switch_to.active_element.text == "Skip to content", "the first stop"
    for _ in range(60):
        element = pi.driver.switch_to.active_element
        if element.tag_name == "body":
            break
        ring = pi.driver.execute_script(
            "const s = getComputedStyle(arguments[0]); return s.outlineStyle + s.outlineWidth", element
        )
        assert ring.startswith(("solid", "auto")), str(element.get_attribute("outerHTML"))[:200]
        assert ring != "solid0px", str(element.get_attribute("outerHTML"))[:200]
        seen.add(element.text)
        element.send_keys(Keys.TAB)
    assert wanted <= seen


def test_a_printed_incident_has_its_severity_and_every_line(signed_in: Pi) -> None:
    signed_in.open("/incidents/6")
    folded = signed_in.find("details:not(.pop) .log li")
    assert not folded.is_displayed(), "on the screen it is folded"
    signed_in.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        seen = "return arguments[0].checkVisibility({contentVisibilityAuto: true, visibilityProperty: true})"
        signed_in.until(lambda each: each.execute_script(seen, folded))  # from the next frame on
        assert signed_in.find(".tags .tag.high").is_displayed()
        assert not signed_in.find("button[value=false]").is_displayed()
    finally:
        signed_in.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
