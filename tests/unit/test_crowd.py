"""Made-up host names: those of training are always let in, of others only so many, and the page says so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from inference import state
from inference.cycle import CycleReport
from inference.telling import outbox
from inference.telling.alarms import Alarms
from inference.telling.oddities import Oddities
from shared import crowd
from shared.crowd import Crowd

NOW = 1_773_144_000.0


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "MOST_STRANGERS", 3)


def test_hosts_of_training_are_let_in_however_many_strangers_there_are() -> None:
    guard = Crowd(lambda host: host.startswith("ap"), 7)
    assert [guard.admits(host, 1) for host in ("x1", "x2", "x3", "x4", "ap1", "x1", "x5")] == [
        True, True, True, False, True, True, False,
    ]  # fmt: skip
    assert guard.passed_over == 2


def test_a_stranger_that_goes_makes_room_after_half_an_hour() -> None:
    guard = Crowd(lambda host: False, 7)
    assert all(guard.admits(f"x{n}", 1) for n in range(3))
    assert guard.admits("x0", 6), "who stays keeps the place"
    assert not guard.admits("new", 7)
    assert guard.admits("new", 8)
    assert guard.admits("other", 8)
    assert not guard.admits("third", 9)


def test_no_name_of_a_stranger_is_kept_for_ever() -> None:
    guard = Crowd(lambda host: False, 2)
    for n in range(1000):
        guard.admits(f"x{n}", n)
    assert len(guard._strangers) <= 3
    assert not guard._known


def test_the_page_says_for_an_hour_that_rows_were_passed_over_and_a_message_says_it_once_a_day(tmp_path: Path) -> None:
    db: sqlite3.Connection = state.connect(tmp_path / "state.db")
    odd = Oddities(Alarms(db, True, 60))
    assert odd.of(CycleReport(), NOW) == ()
    (words,) = odd.of(CycleReport(strangers=700), NOW)
    assert words.startswith("700 rows of hosts that training did not know were passed over")
    (words,) = odd.of(CycleReport(strangers=500), NOW + 60)
    assert words.startswith("1,200 rows")
    assert odd.of(CycleReport(), NOW + 3000) == (words,)
    assert odd.of(CycleReport(), NOW + 3700) == ()
    odd.of(CycleReport(strangers=1), NOW + 7200)
    assert [each.title for each in outbox.newest(db)] == ["too many unknown hosts write"]


def test_a_host_that_is_long_gone_is_forgotten(tmp_path: Path) -> None:
    db = state.connect(tmp_path / "state.db")
    db.executemany("INSERT INTO hosts VALUES ('wifi', ?, ?)", [("old", NOW - 10), ("new", NOW + 10)])
    state.State(db).prune(NOW, NOW)
    assert [row["host"] for row in db.execute("SELECT host FROM hosts")] == ["new"]
