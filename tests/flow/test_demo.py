"""`make demo` is the first thing that anybody types, so it must come out right, every time, and so must the five minutes
of docs/usage.md that begin with it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import demo
from inference.keeping import reading as state_read
from tests import five_minutes

ROOT = Path(__file__).resolve().parent.parent.parent
LONGEST_S = 240
READY = "Both stay up until Ctrl-C."
PAGE = re.compile(r"pipit-inference +(http://\S+) +\(one-time token (\S+)\)")


def processes_below(folder: Path) -> list[str]:
    """Command lines of living processes that name this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if str(folder) in words:
            found.append(words)
    return found


@contextlib.contextmanager
def running(folder: Path) -> Iterator[str]:
    """The demo, from its last line until it has ended as it should; what it printed."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "examples.demo", str(folder)], cwd=ROOT, env={**os.environ, "ONCE": ""},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    too_long = threading.Timer(LONGEST_S, process.kill)
    too_long.start()
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith(READY):
                break
        assert READY in said, said
        yield said
    finally:
        too_long.cancel()
        process.terminate()
        process.wait(60)
    assert process.returncode == 0, "it ends as with Ctrl-C"


def serving(state: Path) -> str:
    """Which version the Pi itself says that it runs."""
    with contextlib.closing(state_read.connect_read(state)) as db:
        return next(each.version for each in state_read.models(db) if each.active)


@pytest.mark.slow
@pytest.mark.timeout(LONGEST_S + 60)
@pytest.mark.usefixtures("sshd")
def test_the_demo_goes_from_nothing_to_named_attacks_and_the_five_minutes_hold(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running(folder) as said:
        for step in ("trained", "signed", "shipped", "serving", "refused", "unharmed", "rolled back", "page"):
            assert f" {step} " in said, step
        assert "psk_bruteforce on ap1" in said
        assert "6 of 6 attacks found" in said
        page = PAGE.search(said)
        assert page, "it says where the pages are"
        visitor = five_minutes.follow(page[1], page[2], lambda: serving(folder / "pi" / "state" / "state.db"))
        assert {words for words in five_minutes.quoted() if words not in visitor.seen} == set(), "named, and not there"
    assert not processes_below(tmp_path), "nothing that the demo started may outlive it"


def test_once_ends_after_the_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Part:
        inbox = tmp_path

        def start(self) -> None:
            """Nothing to start."""

        def close(self) -> None:
            """Nothing to end."""

    for name in ("sftp_server", "laptop", "pi"):
        monkeypatch.setattr(demo, name, lambda *_: Part())
    told: list[str] = []
    monkeypatch.setattr(demo, "tell_story", lambda *_: ([], None))
    monkeypatch.setattr(demo, "show_pages", lambda *_: told.append("pages"))
    monkeypatch.setattr(demo, "table", lambda *_: told.append("table"))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setenv("ONCE", "1")
    assert demo.main(tmp_path / "demo") == 0
    assert told == ["pages", "table"]
