"""What people are told besides incidents: each thing once, drift again every week that it lasts."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from inference import outbox, state
from inference.alarms import WEEK_S, Alarms
from inference.drifting import DRIFTED, STEADY, UNKNOWN, DriftReport, FeatureDrift

NOW = 1_773_144_000.0 // WEEK_S * WEEK_S


def moved(name: str, psi: float, word: str = DRIFTED) -> FeatureDrift:
    return FeatureDrift(name, "ap", psi, 0.5, 400, (0.0, 1.0), (2.0, 3.0), word)


DRIFT = DriftReport(
    "wifi", "20260101_000000", NOW, NOW - 86_400, 400, DRIFTED, (moved("joins", 0.3), moved("lines", 2.5)),
    (moved("score", 0.01, STEADY),), 1.0, 1.0, 200, 0.1, 0.25,
)  # fmt: skip


@pytest.fixture
def db(tmp_path: Path) -> sqlite3.Connection:
    return state.connect(tmp_path / "state.db")


def titles(db: sqlite3.Connection) -> list[str]:
    return [each.title for each in reversed(outbox.newest(db))]


def test_drift_is_told_of_once_a_week_with_what_moved_most(db: sqlite3.Connection) -> None:
    alarms = Alarms(db, True, 60)
    for hour in range(3):
        alarms.drift([DRIFT], NOW + 3600 * hour)
    assert titles(db) == ["drift: wifi is not what 20260101_000000 learnt"]
    (message,) = outbox.newest(db)
    assert message.body.index("lines (ap): PSI 2.5") < message.body.index("joins (ap): PSI 0.3")
    assert "score" not in message.body
    alarms.drift([DRIFT], NOW + WEEK_S)
    alarms.drift([replace(DRIFT, version="20260202_000000")], NOW + WEEK_S)
    assert len(titles(db)) == 3


@pytest.mark.parametrize("word", [STEADY, UNKNOWN, "watch"])
def test_what_has_not_drifted_is_not_told_of(db: sqlite3.Connection, word: str) -> None:
    Alarms(db, True, 60).drift([replace(DRIFT, word=word)], NOW)
    assert titles(db) == []


def test_where_nobody_wants_messages_none_wait(db: sqlite3.Connection) -> None:
    Alarms(db, False, 60).drift([DRIFT], NOW)
    assert titles(db) == []


def test_a_log_that_no_row_comes_into_is_told_of_once(db: sqlite3.Connection) -> None:
    alarms = Alarms(db, True, 60)
    for minute in range(0, 180, 30):
        alarms.rows(NOW, NOW + 60 * minute, NOW + 60 * minute)
    assert titles(db) == ["no logs for 90 minutes"]


def test_a_database_that_does_not_answer_is_told_of_once_for_each_outage(db: sqlite3.Connection) -> None:
    alarms = Alarms(db, True, 60)
    for minute in range(0, 180, 30):
        alarms.source_failed("connection refused", NOW + 60 * minute)
    alarms.rows(NOW + 10_800, NOW + 10_800, NOW + 10_800)
    for minute in range(200, 300, 30):
        alarms.source_failed("connection refused", NOW + 60 * minute)
    assert titles(db) == ["no answer from the log database for 90 minutes"] * 2
