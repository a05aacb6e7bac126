"""Messages go out through the real apprise, to a real HTTP server and a real SMTP server on this machine."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope

from inference import state
from inference.notify import empty_outbox, quiet_minutes, quiet_until, sender
from inference.telling import channels, outbox
from inference.telling.courier import Courier
from shared.errors import ConfigError
from tests.daemon_process import ROOT, environment
from tests.fakes import Clock
from tests.services import free_port, wait_until

HOSTILE = "evil\x1b[31m\u202e\r\nBcc: all@example.org <script>alert(1)</script>"
NOW = 1_773_144_000.0


class Hook:
    """A web hook that keeps what it is sent; `answers` are the codes it gives, the last one for ever."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.answers = [200]
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                hook.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                code = hook.answers.pop(0) if len(hook.answers) > 1 else hook.answers[0]
                self.send_response(code)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"json://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Mailbox:
    """What the mail server took."""

    def __init__(self) -> None:
        self.mails: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:  # noqa: N802 (aiosmtpd's name)
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 taken"


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    db = state.connect(tmp_path / "pi" / "state.db")
    yield db
    db.close()


def put(
    db: sqlite3.Connection, key: str = "a", severity: str = "warning", title: str = "a flood", at: float = NOW,
    kind: str = "incident",
) -> None:  # fmt: skip
    assert outbox.put(db, kind, key, severity, title, "body\nof two lines", at)


def states(db: sqlite3.Connection) -> list[str]:
    return [each.state for each in reversed(outbox.newest(db))]


def test_a_message_reaches_a_web_hook_once(db: sqlite3.Connection, hook: Hook) -> None:
    put(db)
    assert not outbox.put(db, "incident", "a", "warning", "again", "", NOW), "a key is told once for ever"
    assert empty_outbox(db, sender(hook.url), lambda: NOW) == (1, 0)
    assert empty_outbox(db, sender(hook.url), lambda: NOW) == (0, 0)
    (got,) = hook.got
    assert got["title"] == "Pipit · a flood"
    assert got["message"] == "body\nof two lines"
    assert got["type"] == "warning"
    assert states(db) == ["sent"]


def test_hostile_text_arrives_as_harmless_characters_by_web_and_mail(db: sqlite3.Connection, hook: Hook) -> None:
    mailbox = Mailbox()
    server = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    server.start()
    try:
        put(db, title=HOSTILE)
        mail = f"mailto://127.0.0.1:{server.port}?from=pi@example.org&to=me@example.org&mode=insecure"
        assert empty_outbox(db, sender(f"{hook.url} {mail}"), lambda: NOW) == (1, 0)
    finally:
        server.stop()
    (mail,) = mailbox.mails
    for text in (hook.got[0]["title"], str(mail["Subject"])):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\x1b[31m" in text
    assert mail["Bcc"] is None
    assert "of two lines" in mail.get_body(("plain",)).get_content()


def test_what_does_not_get_through_is_tried_again_later_and_later_and_given_up_after_a_day(
    db: sqlite3.Connection, hook: Hook
) -> None:
    hook.answers = [500]
    put(db)
    clock, waits = Clock(NOW), []
    while states(db) == ["waiting"]:
        assert empty_outbox(db, sender(hook.url), clock) == (0, 1)
        due = outbox.next_due(db)
        if due is not None:
            waits.append(due - clock.time_s)
            clock.time_s = due
    assert waits[:4] == [60, 120, 240, 480]
    assert max(waits) == 3600
    assert states(db) == ["failed"]
    assert outbox.newest(db)[0].error == "not taken by json"


def test_a_channel_that_comes_back_gets_what_waited(db: sqlite3.Connection, hook: Hook) -> None:
    hook.answers = [503, 200]
    put(db)
    empty_outbox(db, sender(hook.url), lambda: NOW)
    assert empty_outbox(db, sender(hook.url), lambda: NOW + 59) == (0, 0)
    assert empty_outbox(db, sender(hook.url), lambda: NOW + 61) == (1, 0)


def test_many_messages_at_once_are_one(db: sqlite3.Connection, hook: Hook) -> None:
    for n in range(60):
        put(db, key=f"k{n}", title=f"flood {n}", severity="critical" if n == 7 else "info")
    assert empty_outbox(db, sender(hook.url), lambda: NOW) == (60, 0)
    (got,) = hook.got
    assert got["title"] == "Pipit · 60 messages"
    assert got["type"] == "failure"
    assert got["message"].splitlines()[-1] == "and 20 more"


def test_in_quiet_hours_only_critical_ones_are_sent(
    db: sqlite3.Connection, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    quiet = quiet_minutes("22:00-07:00")
    night = NOW + 11 * 3600  # 23:00
    put(db, "a", "critical", at=night)
    put(db, "b", "warning", at=night)
    assert empty_outbox(db, sender(hook.url), lambda: night, quiet) == (1, 0)
    assert outbox.next_due(db) == NOW + 19 * 3600, "07:00"
    assert empty_outbox(db, sender(hook.url), lambda: NOW + 19 * 3600, quiet) == (1, 0)
    assert quiet_until(NOW, quiet) is None
    assert quiet_until(NOW + 18 * 3600, quiet) == NOW + 19 * 3600
    assert quiet_until(NOW, quiet_minutes("11:00-13:00")) == NOW + 3600
    assert quiet_minutes("") is None


@pytest.mark.parametrize("urls", ["nonsense", "nosuch://secret@host"])
def test_an_address_that_nobody_knows_is_refused_without_showing_it(urls: str) -> None:
    with pytest.raises(ConfigError) as refused:
        sender(urls)
    assert "secret" not in str(refused.value)
    with pytest.raises(ConfigError):
        quiet_minutes("late-early")


def test_the_child_sends_with_its_addresses_from_a_file_that_no_process_list_shows(
    db: sqlite3.Connection, hook: Hook, tmp_path: Path
) -> None:
    secret = tmp_path / "urls"
    secret.write_text(hook.url + "\n")
    put(db, at=time.time())
    env = environment(INFERENCE_STATE_DIR=tmp_path / "pi", INFERENCE_NOTIFY_URLS_FILE=secret)
    courier = Courier(db, env | {"PYTHONPATH": str(ROOT)})
    assert courier.look(time.time())
    child = courier._child
    assert child is not None
    assert hook.url.encode() not in Path(f"/proc/{child.pid}/cmdline").read_bytes()
    courier.wait(60)
    assert states(db) == ["sent"]
    assert len(hook.got) == 1
    assert not courier.look(time.time()), "nothing is due, so no child is started"


def test_a_child_that_hangs_is_ended_and_its_message_waits(db: sqlite3.Connection) -> None:
    put(db)
    now = [0.0]
    sleeper = [sys.executable, "-c", "import signal; signal.pause()"]
    courier = Courier(db, os.environ, sleeper, lambda: now[0])
    now[0] = 10.0
    assert courier.look(NOW)
    child = courier._child
    assert child is not None
    now[0] = 100.0
    assert courier.look(NOW), "it is let work"
    now[0] = 200.0
    assert not courier.look(NOW)
    wait_until(lambda: child.poll() is not None, "the child to be gone")
    assert states(db) == ["waiting"]
    assert courier.look(NOW), "another one tries"
    courier.stop()


def test_the_daemon_never_loads_apprise() -> None:
    code = "import sys, inference.daemon; assert 'apprise' not in sys.modules; assert 'requests' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_what_came_of_each_channel_is_kept_without_its_secrets(db: sqlite3.Connection, hook: Hook) -> None:
    urls = f"{hook.url.replace('://', '://me:hunter22@')}/door-key-17 json://me:hunter22@127.0.0.1:{free_port()}/x"
    put(db, kind="test")
    send = sender(urls, lambda channel, error: channels.note(db, channel, error, NOW))
    assert empty_outbox(db, send, lambda: NOW) == (0, 1)
    taken, refused = (channels.results(db, channels.channels(urls)).get(each.name) for each in channels.channels(urls))
    assert taken is not None
    assert refused is not None
    assert (taken.error, taken.taken, refused.taken) == ("", NOW, None)
    assert "127.0.0.1" in refused.error, "why, in words"
    kept = " ".join(db.iterdump())
    assert "hunter22" not in kept
    assert "door-key-17" not in kept
    hook.answers = [500]
    put(db, "later", kind="test")
    empty_outbox(db, send, lambda: NOW)
    again = channels.results(db, channels.channels(urls))[taken.name]
    assert again.error
    assert again.taken == NOW, "it did take one before"


def test_a_test_is_sent_in_quiet_hours_for_somebody_waits_for_it(db: sqlite3.Connection, hook: Hook) -> None:
    put(db, kind="test", severity="info")
    all_day = (0, 24 * 60 - 1)
    assert empty_outbox(db, sender(hook.url), lambda: NOW, all_day) == (1, 0)


def test_who_has_a_message_does_not_get_it_again_because_another_failed(db: sqlite3.Connection, hook: Hook) -> None:
    other = Hook()
    try:
        other.answers = [500, 200]
        put(db)
        send = sender(f"{hook.url} {other.url}")
        assert empty_outbox(db, send, lambda: NOW) == (0, 1)
        assert empty_outbox(db, send, lambda: NOW + 90) == (1, 0)
        assert (len(hook.got), len(other.got)) == (1, 2)
        assert states(db) == ["sent"]
    finally:
        other.server.shutdown()
        other.server.server_close()


def test_many_are_sent_as_one_to_those_that_lack_them(db: sqlite3.Connection, hook: Hook) -> None:
    for n in range(7):
        put(db, str(n), at=NOW)
    first = outbox.due(db, NOW)[0]
    outbox.note_failed(db, first, "not taken by json", NOW - 90, [channels.channels(hook.url)[0].name])
    assert empty_outbox(db, sender(hook.url), lambda: NOW) == (7, 0)
    (got,) = hook.got
    assert got["title"] == "Pipit · 6 messages"
