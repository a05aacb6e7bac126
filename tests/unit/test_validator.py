"""Validation and performance in figures: age is a warning, limits are told in words, nothing measured is None."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference import state
from inference.cycle import CycleReport, Judged
from inference.watching import performance, validator
from inference.watching.performance import Performance
from inference.watching.report import PerformanceLimits, report, summary
from inference.watching.validator import Check, Validation
from tests.web_more import a_drift, a_validation

NOW = 1_773_350_160.0
V = "20260309_230000"
DAY_S = 86_400.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = state.connect(tmp_path / "state.db")
    yield opened
    opened.close()


def cycle(windows: int, anomalies: int = 0, cpu_s: float = 0.01) -> CycleReport:
    judged = Judged(windows, anomalies, cpu_seconds=cpu_s)
    return CycleReport(seen=100, bad=1, seconds=0.02, cpu_seconds=cpu_s, agents={"wifi": judged})


@pytest.mark.parametrize(
    ("version", "state_", "word"),
    [(V, "good", "3 days ago"), ("20250101_000000", "odd", "more than 45 days"), ("20270101_000000", "odd", "in the future"),
     ("20260312_200000-r2", "good", "1 hour ago")],
)  # fmt: skip
def test_age_warns_and_never_refuses(version: str, state_: str, word: str) -> None:
    (found,) = validator._age(version, {}, NOW, 45 * DAY_S)
    assert found.state == state_
    assert word in found.found
    assert Validation("wifi", version, NOW, (found,)).is_valid


def test_the_newest_line_that_was_learnt_counts_too() -> None:
    metadata = {"training_info": {"data_info": {"last": "2025-06-01T00:00:00Z"}}}
    made, learnt = validator._age(V, metadata, NOW, 45 * DAY_S)
    assert (made.state, learnt.what, learnt.state) == ("good", "freshness", "odd")


@pytest.mark.parametrize("checks", [{"recall": False}, {"recall": {"passed": False, "value": 0.2}}])
def test_a_missed_gate_is_told(checks: dict[str, object]) -> None:
    found = validator._quality({"evaluation_info": {"metrics": {"recall": 0.2}, "threshold_checks": checks}})
    assert found[0].state == "odd"
    assert "recall" in found[0].found


def test_a_bundle_that_says_nothing_is_unknown_not_wrong() -> None:
    assert [check.state for check in validator._quality({})] == ["unknown"]


def test_the_worst_check_names_the_state_and_cures_are_told_once() -> None:
    checks = (Check("age", "age", "odd", "old", "train"), Check("age", "freshness", "odd", "old", "train"))
    found = Validation("wifi", V, NOW, checks)
    assert (found.state, found.is_valid, found.recommendations()) == ("odd", True, ["train"])
    assert Validation.from_json(found.as_json()) == found
    assert validator.drift_checks(None, NOW)[0].state == "unknown"
    assert validator.drift_checks(a_drift(NOW), NOW)[0].state == "odd"
    assert a_validation(NOW).section("drift")


def test_hours_add_up_whatever_was_written_when(db: sqlite3.Connection) -> None:
    book = Performance(db)
    for n in range(30):
        book.note(cycle(2, n % 10 == 0), {"wifi": V}, 40 + n, NOW + n)
        if n % 7 == 0:
            book.flush(NOW + n)
    book.flush(NOW + 60)
    (hour,) = performance.model_hours(db, 0.0)
    assert (hour.windows, hour.anomalies) == (60, 3)
    (machine,) = performance.machine_hours(db, 0.0)
    assert (machine.cycles, machine.rows, machine.bad, machine.memory_mb) == (30, 3000, 30, 69)


def test_nothing_is_written_while_nothing_is_due(db: sqlite3.Connection) -> None:
    book = Performance(db)
    assert not book.is_due(NOW)
    book.note(cycle(1), {"wifi": V}, 40, NOW)
    assert book.is_due(NOW)
    book.flush(NOW)
    book.note(cycle(1), {"wifi": V}, 40, NOW + 1)
    assert not book.is_due(NOW + 299)
    assert book.is_due(NOW + 300)
    assert book.is_due(NOW - 1), "a clock that went back must not stop it"


def test_what_was_never_measured_is_none(db: sqlite3.Connection) -> None:
    found = summary(db, "wifi", V, PerformanceLimits(), NOW)
    assert (found.windows, found.anomaly_rate, found.inference_ms, found.memory_mb) == (0, None, None, None)
    assert (found.score_quantiles, found.false_rate, found.drift, found.warnings) == (None, None, "unknown", ())


def test_limits_are_told_in_words(db: sqlite3.Connection) -> None:
    book = Performance(db)
    book.note(cycle(200, 30, cpu_s=20.0), {"wifi": V}, 300, NOW - 60)
    book.flush(NOW)
    found = summary(db, "wifi", V, PerformanceLimits(), NOW)
    assert found.anomaly_rate_24h == pytest.approx(0.15)
    assert found.inference_ms == pytest.approx(100.0)
    assert [warning.split(";")[1] for warning in found.warnings] == [
        " the limit is 5.0%", " the limit is 50 ms", " the limit is 256 MB",
    ]  # fmt: skip


def test_a_report_has_its_days_and_advice(db: sqlite3.Connection) -> None:
    book = Performance(db)
    for day in range(3):
        book.note(cycle(10), {"wifi": V}, 40, NOW - day * DAY_S)
    book.flush(NOW)
    found = report(db, "wifi", V, PerformanceLimits(), NOW, days=2)
    assert [day.windows for day in found.days] == [10, 10]
    assert found.recommendations == ("Nothing needs to be done.",)


def test_old_hours_are_forgotten(db: sqlite3.Connection) -> None:
    book = Performance(db)
    for day in range(5):
        book.note(cycle(10), {"wifi": V}, 40, NOW - day * DAY_S)
    book.flush(NOW)
    assert performance.forget(db, NOW - 2.5 * DAY_S) == 4
    assert len(performance.model_hours(db, 0.0)) == 3
