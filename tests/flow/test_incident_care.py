"""What people do with incidents: mark, mute, set the budget, export, from the command line and over real files."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inference import state
from inference.incidents import Incidents
from inference.keeping import reading as read
from inference.keeping.incident_export import csv_text, detail_values
from inference.keeping.writing import PAUSED, TAKEN_BACK, end_incidents
from inference.said import budgets, marks, mutes
from inference.source import Cursor
from inference.telling import outbox
from inference.telling.choosing import Teller
from shared.command import main_with_exit_codes
from shared.errors import RequestError
from shared.values import Line, Moved, Verdict
from trainer.labels import read_labels

NOW = 1_773_200_000.0
START = 1_773_144_000.0
DAY_S = 86_400.0
HOSTILE = "=cmd|'/C calc'!A0\x1b[31m\u202ered"


def anomaly(
    window: int = 0, host: str = "ap1", kind: str = "deauth_flood", severity: str = "warning", words: str = "a flood"
) -> Verdict:
    start = START + 300 * window
    lines = (Line(start + 1, "hostapd", "ordinary"), Line(start + 2, "hostapd", HOSTILE, telling=True))
    return Verdict(
        "wifi", host, start, start + 300, "ap", 10, 0.7, 2000.0, True, kind, severity, 0.8, words, {"deauths": 40.0},
        (Moved("deauths", 40.0, 0.0, 2.0, 1.0),), "v1", "model+rule", lines=lines,
        nearest={"host": "this", "when": "day 2, 14:00", "distance": 1.5, "features": {"deauths": 1.0}},
    )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "pi"


@pytest.fixture
def db(place: Path) -> Iterator[sqlite3.Connection]:
    db = state.connect(place / "state.db")
    yield db
    db.close()


def save(db: sqlite3.Connection, *verdicts: Verdict, tell: bool = False, now: float = NOW) -> None:
    kept = state.State(db, Teller("http://pi:8000")) if tell else state.State(db)
    kept.commit(Cursor(0, 1), verdicts, {}, kept.open_incidents(), {}, now)


def cli(place: Path, *arguments: str) -> int:
    from inference.cli import cli as group

    return main_with_exit_codes(group, "pipit-inference", ["--state-dir", str(place), *arguments])


# --- marks -----------------------------------------------------------------------------------------------------


def test_a_mark_says_who_when_and_why_and_the_later_one_counts(db: sqlite3.Connection) -> None:
    save(db, anomaly())
    marks.mark(db, 1, "confirmed", by="ann", now=NOW)
    made = marks.mark(db, 1, "false", by="bob\x1b[31m", now=NOW + 5, note="our own test", days=10)
    assert (made.mark, made.by, made.at, made.expires) == ("false", "bob\\x1b[31m", NOW + 5, NOW + 5 + 10 * DAY_S)
    assert marks.all_marks(db, NOW + 6) == [made]
    assert [row.mark for row in read.incidents(db, now=NOW + 6)] == ["false"]
    assert read.incidents(db, now=NOW + 6, marked="none") == []
    assert marks.false_share(db, 0.0, NOW + 6) == (1, 1)


def test_marks_expire_and_are_then_neither_shown_nor_labels(db: sqlite3.Connection) -> None:
    save(db, anomaly())
    marks.mark(db, 1, "false", by="ann", now=NOW, days=1)
    later = NOW + 2 * DAY_S
    assert marks.all_marks(db, later) == []
    assert len(marks.all_marks(db, later, expired=True)) == 1
    assert [row.mark for row in read.incidents(db, now=later)] == [None]
    assert marks.of_incident(db, 1, later) is None
    assert marks.expire(db, later + 40 * DAY_S) == 1


def test_a_mark_grows_with_its_incident_and_outlives_it(db: sqlite3.Connection) -> None:
    save(db, anomaly())
    marks.mark(db, 1, "false", by="ann", now=NOW)
    save(db, anomaly(2))
    assert marks.all_marks(db, NOW)[0].ended == START + 900
    state.State(db).prune(NOW + 1e6, NOW + 1e6)
    db.execute("DELETE FROM incidents")
    assert marks.all_marks(db, NOW)[0].started == START


@pytest.mark.parametrize("bad", [(99, "false", 10.0), (1, "maybe", 10.0), (1, "false", 0.0)])
def test_what_cannot_be_marked_is_refused(db: sqlite3.Connection, bad: tuple[int, str, float]) -> None:
    save(db, anomaly())
    with pytest.raises(RequestError) as refused:
        marks.mark(db, bad[0], bad[1], by="ann", now=NOW, days=bad[2])
    assert refused.value.missing is (bad[0] == 99)
    assert marks.all_marks(db, NOW) == []


def test_marks_go_to_the_trainer_as_labels(db: sqlite3.Connection, place: Path, tmp_path: Path) -> None:
    save(db, anomaly(), anomaly(20, host="ap2"))
    assert cli(place, "incidents", "mark", "1", "false", "--by", "ann") == 0
    assert cli(place, "incidents", "mark", "2", "confirmed", "--by", "ann", "--note", "=1+1") == 0
    file = tmp_path / "labels.json"
    assert cli(place, "incidents", "--marks", "--output", str(file)) == 0
    false, confirmed = read_labels(file)
    assert (false.host, false.start, false.end, false.normal) == ("ap1", START, START + 300, True)
    assert (confirmed.host, confirmed.type, confirmed.normal) == ("ap2", "deauth_flood", False)


# --- mutes -----------------------------------------------------------------------------------------------------


def test_a_muted_kind_is_kept_and_shown_as_muted_for_its_time(db: sqlite3.Connection) -> None:
    save(db, anomaly(), anomaly(0, host="ap2"), anomaly(0, host="ap3", kind="ap_hang"))
    mutes.mute(db, "wifi", "deauth_flood", "ap1", by="ann", now=START + 100, seconds=3600)
    assert {row.host: row.muted for row in read.incidents(db)} == {"ap1": True, "ap2": False, "ap3": False}
    everywhere = mutes.mute(db, "wifi", "deauth_flood", by="ann", now=START + 200, seconds=3600)
    assert [row.host for row in read.incidents(db, muted=False)] == ["ap3"]
    assert read.count_incidents(db, muted=True) == 2
    assert mutes.unmute(db, everywhere.id, START + 300)
    assert not mutes.is_muted(db, "wifi", "deauth_flood", "ap2", START + 301)
    assert mutes.is_muted(db, "wifi", "deauth_flood", "ap1", START + 301)
    assert not mutes.is_muted(db, "wifi", "deauth_flood", "ap1", START + 4000)
    assert [each.id for each in mutes.mutes(db, START + 4000, expired=True)] == [everywhere.id, 1]


def test_muting_for_ever_or_for_nothing_is_refused(db: sqlite3.Connection) -> None:
    for seconds in (0.0, -5.0, 1e9):
        with pytest.raises(RequestError):
            mutes.mute(db, "wifi", "deauth_flood", by="ann", now=NOW, seconds=seconds)
    for text in ("7", "9" * 400 + "d"):
        with pytest.raises(RequestError):
            mutes.span_s(text)


# --- telling ---------------------------------------------------------------------------------------------------


def told(db: sqlite3.Connection) -> list[tuple[str, str]]:
    return [(each.kind, each.title) for each in reversed(outbox.newest(db))]


def test_an_incident_is_told_once_and_again_when_it_becomes_more_severe(db: sqlite3.Connection) -> None:
    save(db, anomaly(), tell=True)
    save(db, anomaly(1), tell=True)
    save(db, anomaly(2, severity="critical", kind="evil_twin"), tell=True)
    save(db, anomaly(3, severity="critical", kind="evil_twin"), anomaly(4), tell=True)
    assert told(db) == [
        ("incident", "warning: deauth flood on ap1"),
        ("raised", "critical: evil twin on ap1 (now more severe)"),
    ]
    body = outbox.newest(db)[1].body
    assert "deauths: 40 (normal 0 to 2)" in body
    assert "1 in 2,000 windows" in body
    assert "http://pi:8000/incidents/1" in body


def test_nobody_is_told_of_what_is_muted_or_long_over(db: sqlite3.Connection) -> None:
    mutes.mute(db, "wifi", "deauth_flood", by="ann", now=NOW - 5, seconds=3600)
    save(db, anomaly(), anomaly(0, "ap2", "ap_hang"), tell=True)
    save(db, anomaly(100, "ap3", "ap_hang"), tell=True, now=NOW + 30 * DAY_S)
    assert told(db) == [("incident", "warning: ap hang on ap2")]
    save(db, anomaly(1, severity="critical", kind="evil_twin"), tell=True)
    assert len(told(db)) == 2, "another kind of the same incident is not muted"


def test_a_message_waits_exactly_when_its_incident_is_saved(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: Any) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(outbox, "put", dies)
    with pytest.raises(Exception, match="disk I/O"):
        save(db, anomaly(), tell=True)
    assert read.incidents(db) == []
    assert outbox.newest(db) == []


# --- budget ----------------------------------------------------------------------------------------------------


def test_a_budget_is_set_and_taken_away(
    db: sqlite3.Connection, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli(place, "incidents", "budget", "0.5", "--by", "ann") == 0
    assert budgets.budgets(db)["wifi"].per_week == 0.5
    assert "at most 0.5 incidents a week" in capsys.readouterr().out
    assert cli(place, "incidents", "budget", "model") == 0
    assert budgets.budgets(db) == {}
    assert cli(place, "incidents", "budget", "-3") != 0
    assert cli(place, "incidents", "budget", "many") == 2
    for wrong in (0.0, float("nan"), 1e9):
        with pytest.raises(RequestError):
            budgets.set_budget(db, "wifi", wrong, by="ann", now=NOW)


# --- reading and exporting -------------------------------------------------------------------------------------


def test_an_incident_is_shown_with_its_evidence_the_telling_lines_first(
    db: sqlite3.Connection, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(db, anomaly(words=f"flood {HOSTILE}"))
    assert cli(place, "incidents", "show", "1", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert [line["telling"] for line in shown["lines"]] == [True, False]
    assert shown["nearest"]["features"] == {"deauths": 1.0}
    assert shown["rarity_words"] == "1 in 2,000 windows"
    assert shown["moved"][0] == {
        "feature": "deauths", "value": 40.0, "normal_low": 0.0, "normal_high": 2.0, "contribution": 1.0,
    }  # fmt: skip
    assert cli(place, "incidents", "show", "1") == 0
    text = capsys.readouterr().out
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "day 2, 14:00" in text
    assert cli(place, "incidents", "show", "99") == 2


def test_incidents_are_exported_as_csv_and_json(
    db: sqlite3.Connection, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(db, anomaly(words=HOSTILE), anomaly(40, host="=ap2"))
    marks.mark(db, 1, "false", by="ann", now=NOW, days=3650)
    assert cli(place, "incidents", "export") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["host"], row["mark"], row["started"]) for row in rows] == [
        ("'=ap2", "", "2026-03-10T15:20:00Z"),
        ("ap1", "false", "2026-03-10T12:00:00Z"),
    ]
    assert rows[1]["description"].startswith("'=cmd")
    file = tmp_path / "incidents.json"
    assert cli(place, "incidents", "export", "--format", "json", "--output", str(file)) == 0
    assert [each["host"] for each in json.loads(file.read_text())] == ["=ap2", "ap1"]
    assert csv_text([]).startswith('"id","agent"')


def test_the_list_says_what_is_marked_and_muted(
    db: sqlite3.Connection, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(db, anomaly())
    assert cli(place, "incidents", "mark", "1", "false", "--by", "ann") == 0
    assert cli(place, "incidents", "mute", "deauth_flood", "--for", "7d", "--by", "ann") == 0
    capsys.readouterr()
    assert cli(place, "incidents") == 0
    assert "[false]" in capsys.readouterr().out
    assert cli(place, "incidents", "--json", "--open") == 0
    assert json.loads(capsys.readouterr().out)[0]["mark"] == "false"
    assert cli(place, "incidents", "mutes") == 0
    assert "everywhere" in capsys.readouterr().out
    assert cli(place, "incidents", "unmark", "1") == 0
    assert cli(place, "incidents", "unmute", "1") == 0
    assert cli(place, "incidents", "unmute", "1") == 2


def test_a_detail_without_windows_can_be_shown(db: sqlite3.Connection) -> None:
    save(db, anomaly())
    db.execute("DELETE FROM verdicts")
    detail = read.incident(db, 1)
    assert detail is not None
    assert detail_values(detail)["moved"] == []


def test_severity_rises_and_never_falls_over_restarts(db: sqlite3.Connection) -> None:
    save(db, anomaly(0, severity="critical"))
    db.execute("DELETE FROM verdicts")  # as after pruning
    save(db, anomaly(1, severity="info", kind="unusual"))
    (row,) = read.incidents(db)
    assert (row.severity, row.type, row.windows) == ("critical", "deauth_flood", 2)
    assert len(Incidents(state.State(db).open_incidents()._open.values())) == 1


def test_a_late_row_that_mends_an_ended_incident_keeps_why_it_had_ended(db: sqlite3.Connection) -> None:
    save(db, anomaly(0), anomaly(1))
    end_incidents(db, "wifi", PAUSED)
    late = replace(anomaly(1, words="a worse flood"), score=0.9, rows=99)
    state.State(db).revise([late, anomaly(2, kind="evil_twin")], [], NOW)
    (row,) = read.incidents(db)
    assert (row.description, row.state, row.windows) == ("a worse flood" + PAUSED, "ended", 3)
    normal = [replace(one, is_anomaly=False, rows=5) for one in (anomaly(0), anomaly(1), anomaly(2))]
    state.State(db).revise(normal, [], NOW)
    (row,) = read.incidents(db)
    assert (row.description, row.windows) == ("a worse flood" + PAUSED + TAKEN_BACK, 0)
    state.State(db).revise([replace(anomaly(2, words="two twins", kind="evil_twin"), rows=7)], [], NOW)
    (row,) = read.incidents(db)
    assert (row.windows, row.state) == (1, "ended")
    assert row.description.count(PAUSED) == 1
    assert TAKEN_BACK not in row.description


def test_an_older_state_file_gets_the_new_columns(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "state.db")
    old.execute("CREATE TABLE lines (verdict_id INTEGER, n INTEGER, time REAL, program TEXT, message TEXT)")
    old.close()
    state.connect(tmp_path / "state.db").execute("SELECT telling FROM lines")
