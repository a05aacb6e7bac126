"""A real wifi model and a real sshd model in one daemon: both find their own, and neither is harmed by the other's end."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from inference import state
from inference.keeping import reading as read
from inference.said import switches
from inference.sqlite_source import create_table
from shared.errors import StoreError
from shared.values import Row
from tests.daemon_process import DaemonProcess, Trained, daemon, trained
from tests.rows import wrong_password
from tests.services import wait_until
from tests.sshd_model import both, guessing

__all__ = ["both", "trained"]

INSERT = "INSERT INTO log_entries (timestamp, host, program, pid, severity, message) VALUES (?,?,?,?,?,?)"


def write(folder: Path, rows: Iterable[Row]) -> None:
    create_table(folder / "logs.db")
    db = sqlite3.connect(folder / "logs.db")
    db.executemany(INSERT, [row[1:] for row in rows])
    db.commit()
    db.close()


def wrong_passwords(begin: float) -> list[Row]:
    """Somebody guesses the WiFi password for five minutes."""
    tries = [row for n in range(60) for row in wrong_password(0, n % 3)]
    return [(0, begin + n, *row[2:]) for n, row in enumerate(tries)]


def incidents(pi: DaemonProcess) -> dict[str, read.IncidentRow]:
    """The newest incident of each agent."""
    try:
        db = read.connect_read(pi.folder / "state.db")
    except StoreError:
        return {}
    found = {each.agent: each for each in reversed(read.incidents(db))}
    db.close()
    return found


def windows(pi: DaemonProcess, agent: str) -> int:
    db = read.connect_read(pi.folder / "state.db")
    count = len(read.verdicts(db, agent=agent, limit=1000))
    db.close()
    return count


def want(pi: DaemonProcess, agent: str, paused: bool) -> None:
    """As the page does it."""
    db = state.connect(pi.folder / "state.db")
    switches.pause(db, agent, paused, "test", time.time())
    db.close()


@pytest.fixture
def pi(both: Trained, tmp_path: Path) -> Iterator[DaemonProcess]:
    inbox = tmp_path / "inbox"
    shutil.copytree(both.models, inbox, symlinks=True)
    settings = {"INBOX": inbox, "ALLOWED_SIGNERS": both.allowed_signers, "INTERVAL_S": 0.2, "GRACE_S": 1}
    with daemon(tmp_path / "pi", **settings) as process:
        write(process.folder, [*wrong_passwords(time.time() - 1500), *guessing(time.time() - 1500)])
        process.start()
        yield process


def test_each_agent_finds_its_own_and_one_that_is_paused_or_damaged_harms_no_other(
    pi: DaemonProcess, both: Trained
) -> None:
    wait_until(lambda: incidents(pi).keys() == {"wifi", "sshd"}, "both agents to find something", 60)
    found = incidents(pi)
    assert {(each.agent, each.host, each.state) for each in found.values()} == {
        ("wifi", "ap1", "open"), ("sshd", "gate", "open"),
    }  # fmt: skip
    assert "psk" in str(found["wifi"].type)

    want(pi, "sshd", True)
    wait_until(lambda: incidents(pi)["sshd"].state == "ended", "the paused agent's incident to end", 30)
    assert "its agent was paused" in incidents(pi)["sshd"].description
    assert incidents(pi)["wifi"].state == "open"

    want(pi, "sshd", False)
    assert pi.kill(signal.SIGTERM) == 0
    for copy in (pi.folder / "store", pi.settings["INBOX"]):
        (copy / "sshd" / both.bundle.name / "scorer.npz").write_bytes(b"damaged")
    before = windows(pi, "wifi")
    write(pi.folder, wrong_passwords(time.time() - 900))
    pi.start()
    wait_until(lambda: windows(pi, "wifi") > before, "the other agent to judge on", 60)
    serving = pi.status()
    assert [each["agent"] for each in serving["models"] if each["active"]] == ["wifi"]
    assert "Traceback" not in pi.log()
