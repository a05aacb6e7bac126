"""Events of the inbox get lost, its folder is replaced, or somebody floods it: the poll finds the new model all the same."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.keeping import reading as read
from inference.watch import InboxWatch
from shared import layout
from shared.errors import StoreError
from tests.daemon_process import ROOT, DaemonProcess, Trained, daemon, trained
from tests.services import wait_until

__all__ = ["trained"]

pytestmark = pytest.mark.faults

POLL_S = 1.0  # 30 s in a real installation: there the same takes 35 s at most
DEAF = """
import sys
from inference import run, watch
watch.InboxWatch.refresh = lambda self: None
sys.exit(run.main([]))
"""


@pytest.fixture
def pi(trained: Trained, tmp_path: Path) -> Iterator[DaemonProcess]:
    inbox = tmp_path / "inbox"
    shutil.copytree(trained.models, inbox, symlinks=True)
    (inbox / "wifi" / "active").unlink()
    settings = {"INBOX": inbox, "ALLOWED_SIGNERS": trained.allowed_signers, "POLL_S": POLL_S, "INTERVAL_S": 5}
    with daemon(tmp_path / "pi", **settings) as process:
        yield process


def serving(pi: DaemonProcess) -> str:
    try:
        db = read.connect_read(pi.folder / "state.db")
    except StoreError:
        return ""
    try:
        return next((each.version for each in read.models(db) if each.active), "")
    finally:
        db.close()


def live(pi: DaemonProcess, version: str) -> None:
    wait_until(lambda: serving(pi) == version, "the new model to serve", 60)


def test_without_any_event_the_poll_finds_the_new_model(pi: DaemonProcess, trained: Trained) -> None:
    pi.folder.mkdir(parents=True)
    log = pi.folder / "daemon0.log"
    pi.logs.append(log)
    with log.open("wb") as out:
        pi.process = subprocess.Popen([sys.executable, "-c", DEAF], cwd=ROOT, env=pi.env, stdout=out, stderr=out)
    pi.wait("daemon started")
    layout.activate(pi.settings["INBOX"], "wifi", trained.bundle.name)
    live(pi, trained.bundle.name)


def test_an_inbox_that_is_replaced_is_looked_at_anew(pi: DaemonProcess, trained: Trained, tmp_path: Path) -> None:
    """The old folder's watch is blind for ever; the new one is found by the poll, and watched from then on."""
    inbox = pi.settings["INBOX"]
    pi.start()
    pi.wait("daemon started")
    shutil.copytree(inbox, tmp_path / "other", symlinks=True)
    os.rename(inbox, tmp_path / "gone")
    os.rename(tmp_path / "other", inbox)
    layout.activate(inbox, "wifi", trained.bundle.name)
    live(pi, trained.bundle.name)


def test_a_flood_of_events_neither_stops_the_daemon_nor_hides_the_new_model(
    pi: DaemonProcess, trained: Trained, faults: str
) -> None:
    home: Path = pi.settings["INBOX"] / "wifi"
    pi.start()
    pi.wait("daemon started")
    stop = threading.Event()

    def flood() -> None:
        for number in range(40_000 if faults == "full" else 8_000):
            (home / f".{number % 50}").write_bytes(b"x")
            if stop.is_set() and faults != "full":
                return

    flooder = threading.Thread(target=flood)
    flooder.start()
    layout.activate(pi.settings["INBOX"], "wifi", trained.bundle.name)
    live(pi, trained.bundle.name)
    stop.set()
    flooder.join()
    assert pi.process is not None
    assert pi.process.poll() is None
    assert "Traceback" not in pi.log()
    with open(f"/proc/{pi.process.pid}/status", encoding="ascii") as status:
        threads = next(int(line.split()[1]) for line in status if line.startswith("Threads:"))
    assert threads < 12, "a thread an event would be a way to bring the Pi down"


def test_a_thousand_changes_give_one_hint_and_the_next_change_another(tmp_path: Path) -> None:
    hints: list[float] = []
    watch = InboxWatch(tmp_path, lambda: hints.append(time.monotonic()), debounce_s=0.2)
    watch.refresh()
    try:
        for number in range(1000):
            (tmp_path / str(number)).touch()
        wait_until(lambda: bool(hints), "the hint", 10)
        first = len(hints)
        wait_until(lambda: time.monotonic() - hints[-1] > 0.5, "quiet", 10)
        assert len(hints) <= 5
        (tmp_path / "one more").touch()
        wait_until(lambda: len(hints) > first, "another hint", 10)
    finally:
        watch.stop()
