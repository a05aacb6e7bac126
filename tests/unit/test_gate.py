"""The quality gate: bounds, chance, and what was not measured."""

from __future__ import annotations

import pytest

from trainer.gate import check_gate, poisson_tail


def test_a_model_that_reaches_all_bounds_passes() -> None:
    gate = check_gate({"recall": 0.7, "median_delay_s": 600}, {"recall": 0.7, "median_delay_s": 599})
    assert gate.passed
    assert gate.reason == ""


def test_every_missed_bound_is_in_the_reason_with_its_value() -> None:
    gate = check_gate(
        {"recall": 0.7, "precision": 0.7, "median_delay_s": 60}, {"recall": 0.5, "precision": 0.9, "median_delay_s": 90}
    )
    assert not gate.passed
    assert gate.reason == "recall is 0.5, at least 0.7 is asked for; median_delay_s is 90, at most 60 is asked for"
    assert [check["passed"] for check in gate.as_json()["checks"]] == [False, True, False]


def test_what_was_not_measured_is_neither_reached_nor_missed() -> None:
    gate = check_gate({"roc_auc": 0.9}, {})
    assert gate.passed
    assert gate.checks[0].note == "not measured"


def test_a_handful_of_episodes_decides_nothing() -> None:
    assert check_gate({"episode_recall": 0.9}, {"episode_recall": 0.5, "episodes": 2}).passed
    assert not check_gate({"episode_recall": 0.9}, {"episode_recall": 0.5, "episodes": 20}).passed


@pytest.mark.parametrize(
    ("false", "weeks", "passed"), [(1, 0.2, True), (2, 1.0, True), (5, 1.0, False), (40, 21.0, False)]
)
def test_a_rate_is_missed_only_beyond_chance(false: int, weeks: float, passed: bool) -> None:
    measured = {"false_incidents_per_host_week": false / weeks}
    gate = check_gate({"false_incidents_per_host_week": 1.0}, measured, false=false, host_weeks=weeks)
    assert gate.passed is passed
    assert f"{false} in {weeks:.1f} host-weeks" in gate.checks[0].note


def test_the_chance_of_many_is_the_poisson_tail() -> None:
    assert poisson_tail(0, 3.0) == 1.0
    assert poisson_tail(1, 0.0) == 0.0
    assert poisson_tail(3, 1.0) == pytest.approx(0.0803, abs=1e-4)
