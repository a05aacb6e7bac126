"""What people are told besides incidents: each thing once, drift again every week that it lasts."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from inference import state
from inference.source import Cursor
from inference.telling import outbox
from inference.telling.alarms import WEEK_S, Alarms
from inference.telling.choosing import Teller
from inference.watching.drifting import DRIFTED, STEADY, UNKNOWN, DriftReport, FeatureDrift
from shared.values import ALL_HOSTS, LOG_SILENT, SILENT, Moved, Verdict

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


def away(agent: str, end: float, quiet_s: float) -> Verdict:
    moved = (Moved("silence_s", quiet_s, 0.0, 900.0, 1.0),)
    return Verdict(
        agent, ALL_HOSTS, end - 300, end, "ap", 0, 1.0, 9.0, True, LOG_SILENT, "critical", 0.8, "all hosts are silent", {},
        moved, "v1", SILENT,
    )  # fmt: skip


def commit(db: sqlite3.Connection, *verdicts: Verdict) -> None:
    kept = state.State(db, Teller())
    kept.commit(Cursor(0, 1), verdicts, {}, kept.open_incidents(), {}, verdicts[0].window_end)


def test_a_log_that_is_away_is_told_of_once_whoever_notices_first(db: sqlite3.Connection) -> None:
    alarms = Alarms(db, True, 60)
    commit(db, away("wifi", NOW + 1500, 1500))
    alarms.rows(NOW, NOW + 4000, NOW + 4000)
    assert titles(db) == ["critical: log silent on all hosts"], "it stands for the rows that are missed"
    commit(db, away("sshd", NOW + 1800, 1800), away("generic", NOW + 1800, 1800))
    assert len(titles(db)) == 1, "another agent's hosts are silent for the same reason"
    db.execute("UPDATE incidents SET state = 'ended'")
    alarms.rows(NOW + 9000, NOW + 13_000, NOW + 13_000)
    assert titles(db)[1:] == ["no logs for 67 minutes"]
    commit(db, away("wifi", NOW + 14_000, 5000))
    assert len(titles(db)) == 2, "people know since an hour has passed without a row"
    db.execute("UPDATE incidents SET state = 'ended'")
    commit(db, away("wifi", NOW + 40_000, 1500))
    assert len(titles(db)) == 3, "another day's silence is told of again"


def test_a_table_that_counts_anew_is_told_of(db: sqlite3.Connection) -> None:
    Alarms(db, True, 60).begun_again("restored, perhaps", NOW)
    assert titles(db) == ["the log table counts its ids anew"]


def test_a_database_that_does_not_answer_is_told_of_once_for_each_outage(db: sqlite3.Connection) -> None:
    alarms = Alarms(db, True, 60)
    for minute in range(0, 180, 30):
        alarms.source_failed("connection refused", NOW + 60 * minute)
    alarms.rows(NOW + 10_800, NOW + 10_800, NOW + 10_800)
    for minute in range(200, 300, 30):
        alarms.source_failed("connection refused", NOW + 60 * minute)
    assert titles(db) == ["no answer from the log database for 90 minutes"] * 2
