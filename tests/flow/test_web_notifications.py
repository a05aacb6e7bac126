"""Notifications on the Pi's pages and over its API: who is told, what became of each message, and a test."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from inference import state
from inference.config import Settings
from inference.telling import channels, outbox
from inference.web.app import create_app
from tests import web_data
from tests.services import wait_until
from tests.web_client import post, set_up, with_session

NOW = web_data.NOW
SECRET = "hunter22-of-the-chat"
URLS = f"mailto://me:{SECRET}@example.org?to=me@example.org tgram://123456789:{SECRET}/12315544"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Pi whose daemon runs and has found nothing yet."""
    state.connect(tmp_path / "state.db").close()
    web_data.set_status(tmp_path, NOW)
    return tmp_path


@pytest.fixture
def db(folder: Path) -> Iterator[sqlite3.Connection]:
    """What the daemon and its child write."""
    db = state.connect(folder / "state.db")
    yield db
    db.close()


def a_site(folder: Path, urls: str = URLS, **settings: object) -> Flask:
    own = Settings(state_dir=folder, notify_urls=urls, **settings)  # type: ignore[arg-type]
    return create_app(folder, now=lambda: NOW, place="pi-attic", settings=own)


def page(client: FlaskClient, path: str = "/notifications") -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_without_a_channel_the_page_says_that_nobody_is_told_and_how_to_change_it(folder: Path) -> None:
    client = with_session(a_site(folder, urls=""))
    said = page(client)
    assert "<h1>Nobody is told: there is no channel.</h1>" in said
    assert "INFERENCE_NOTIFY_URLS_FILE" in said
    assert "Send a test" not in said
    assert post(client, "/notifications/test", "/notifications").status_code == 409
    assert "Nobody is told" in page(client, "/")


def test_channels_are_shown_with_their_last_result_and_never_with_their_secrets(
    folder: Path, db: sqlite3.Connection
) -> None:
    mail, chat = channels.channels(URLS)
    client = with_session(a_site(folder, quiet_hours="22:00-07:00"))
    assert "Two channels are set, and not tried yet." in page(client)
    channels.note(db, mail, "", NOW - 600)
    channels.note(db, chat, "A connection error <b>occurred</b>\x1b[31m", NOW - 60)
    said = page(client) + page(client, "/settings") + client.get("/api/v1/notifications").get_data(as_text=True)
    for words in ("Telegram did not take the last message.", "example.org", "22:00 to 07:00", "it never took one",
                  "A connection error &lt;b&gt;occurred&lt;/b&gt;"):  # fmt: skip
        assert words in said, words
    for secret in (SECRET, "123456789", "12315544", "\x1b"):
        assert secret not in said
    told = client.get("/api/v1/notifications").get_json()["channels"]
    assert [(one["kind"], one["host"], one["state"]) for one in told] == [
        ("mailto", "example.org", "taken"),
        ("tgram", "", "failed"),
    ]
    assert "Not taken" in page(client, "/")


def test_every_message_says_what_became_of_it(folder: Path, db: sqlite3.Connection) -> None:
    for name in ("sent", "given up", "tried", "held", "new"):
        outbox.put(db, "incident", name, "warning", f"the one that is {name}", "body", NOW - 3600)
    sent, lost, tried, held, _ = sorted(outbox.newest(db), key=lambda one: one.id)
    outbox.note_sent(db, sent, NOW - 1800)
    outbox.note_failed(db, lost, "not taken by mailto", NOW + 90_000)
    outbox.note_failed(db, tried, "not taken by mailto", NOW)
    outbox.postpone(db, held, NOW + 7200)
    client = with_session(a_site(folder))
    said = page(client)
    for words in ("Given up", "one try so far: not taken by mailto", "for the end of the quiet hours", "to be sent"):
        assert words in said, words
    only = page(client, "/notifications?state=failed")
    assert "the one that is given up" in only
    assert "the one that is sent" not in only
    assert client.get("/notifications?state=weird").status_code == 400
    answer = post(client, "/notifications/retry", "/notifications")
    assert answer.status_code == 303
    assert "One message is tried again now." in page(client)
    assert outbox.message(db, tried.id).due == NOW  # type: ignore[union-attr]  # it is there
    assert outbox.message(db, held.id).due == NOW + 7200  # type: ignore[union-attr]


def test_a_test_is_one_message_and_its_outcome_is_told(folder: Path, db: sqlite3.Connection) -> None:
    client = with_session(a_site(folder))
    first = post(client, "/notifications/test", "/notifications").headers["Location"]
    assert post(client, "/notifications/test", "/notifications").headers["Location"] == first, (
        "one that waits is enough"
    )
    (own,) = outbox.newest(db)
    assert (own.kind, own.severity) == ("test", "info")
    assert "pi-attic" in own.title
    assert 'data-live="1"' in page(client, first)
    outbox.note_failed(db, own, "not taken by tgram", NOW)
    assert "The test was not taken by tgram." in page(client, first)
    outbox.note_sent(db, own, NOW)
    assert "The test was taken." in page(client, first)
    web_data.set_status(folder, NOW, state="stopped")
    second = post(client, "/notifications/test", "/notifications").headers["Location"]
    assert second != first
    assert "the test waits until it does" in page(client, second)


def test_the_api_waits_for_the_channels_answer(folder: Path, db: sqlite3.Connection) -> None:
    app = a_site(folder)
    set_up(app)
    admin = {"Authorization": f"Bearer {app.extensions['pipit'].account.add_token('t', 'admin')}"}
    client = app.test_client()
    got: list[int] = []
    ask = "/api/v1/notifications/test?wait_s="
    asked = threading.Thread(target=lambda: got.append(client.post(f"{ask}30", headers=admin).status_code))
    asked.start()
    wait_until(lambda: bool(outbox.newest(db, 1, outbox.WAITING)), "the test to stand in the outbox")
    (own,) = outbox.newest(db)
    outbox.note_sent(db, own, NOW)
    asked.join(30)
    assert got == [200]
    messages = client.get("/api/v1/notifications/messages?kind=test", headers=admin).get_json()["messages"]
    assert [one["state"] for one in messages] == ["sent"]
    one = client.get(f"/api/v1/notifications/messages/{own.id}", headers=admin).get_json()
    assert one["sent"].startswith("2026-03-12T21:16")
    at_once = client.post(f"{ask}0", headers=admin)
    assert (at_once.status_code, at_once.get_json()["state"]) == (202, "waiting")


def test_hostile_titles_do_nothing_on_the_page(folder: Path, db: sqlite3.Connection) -> None:
    outbox.put(db, "incident", "x", "critical", "<script>alert(1)</script>\u202e", "<img src=x>\n\x1b[31m", NOW)
    said = page(with_session(a_site(folder)))
    assert "<script>alert" not in said
    assert "<img" not in said
    assert "\u202e" not in said


def test_words_of_ones_own_are_shown_and_a_mistake_in_them_is_told(folder: Path) -> None:
    words = folder / "words.txt"
    words.write_text("Alarm at {host}!\n{kind}, {rarity}\n", encoding="utf-8")
    said = page(with_session(a_site(folder, notify_template=words)))
    assert "Pipit · Alarm at ap1!" in said
    assert "psk bruteforce, 1 in 2,000 windows" in said
    words.write_text("Alarm at {hots}!", encoding="utf-8")
    assert "nothing fills {hots}" in page(with_session(a_site(folder, notify_template=words)))


def test_a_state_file_of_an_older_release_can_be_shown(folder: Path, db: sqlite3.Connection) -> None:
    outbox.put(db, "incident", "old", "warning", "from before", "body", NOW)
    db.executescript("DROP TABLE channels; ALTER TABLE outbox DROP COLUMN taken")
    client = with_session(a_site(folder))
    assert "Two channels are set, and not tried yet." in page(client)
    assert "from before" in page(client)
    assert "Two channels" in page(client, "/")
