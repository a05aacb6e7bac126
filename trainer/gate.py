"""The quality gate: what a model must reach before `ship` takes it without `--force`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# metric -> is a larger figure better?
METRICS: Mapping[str, bool] = {
    "accuracy": True,
    "precision": True,
    "recall": True,
    "f1_score": True,
    "roc_auc": True,
    "average_precision": True,
    "episode_recall": True,
    "named_right": True,
    "understood": True,
    "false_incidents_per_host_week": False,
    "median_delay_s": False,
}
WORDS = {
    "accuracy": "Accuracy of windows",
    "precision": "Precision of windows",
    "recall": "Recall of windows",
    "f1_score": "F1 of windows",
    "roc_auc": "ROC AUC of the score",
    "average_precision": "Average precision of the score",
    "episode_recall": "Episodes found",
    "named_right": "Called by the right name",
    "understood": "Lines that a pattern knows",
    "false_incidents_per_host_week": "False incidents a week and host",
    "median_delay_s": "Median delay",
}
LEAST_EPISODES = 8  # fewer say nothing about a share of found ones
NOT_CHECKED = "not checked"
CHANCE = 0.05  # a rate is over its bound only when so many would come by chance in fewer cases than this


@dataclass(frozen=True)
class Check:
    """One threshold. value None: it was not measured, and so neither reached nor missed."""

    metric: str
    bound: float
    value: float | None
    passed: bool
    note: str = ""

    @property
    def at_least(self) -> bool:
        """A lower bound, or an upper one?"""
        return METRICS[self.metric]

    def as_json(self) -> dict[str, Any]:
        bound = "at_least" if self.at_least else "at_most"
        return {"metric": self.metric, bound: self.bound, "value": self.value, "passed": self.passed, "note": self.note}


@dataclass(frozen=True)
class Gate:
    """All checks together."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """No check was missed."""
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """The missed checks in words; empty where there are none."""
        return "; ".join(
            f"{check.metric} is {check.value:.4g}, {'at least' if check.at_least else 'at most'} {check.bound:g} is "
            f"asked for{f' ({check.note})' if check.note else ''}"
            for check in self.checks
            if not check.passed and check.value is not None
        )

    def as_json(self) -> dict[str, Any]:
        return {"passed": self.passed, "reason": self.reason, "checks": [check.as_json() for check in self.checks]}


def check_gate(
    thresholds: Mapping[str, float], metrics: Mapping[str, float], *, false: int = 0, host_weeks: float = 0.0
) -> Gate:
    """Compare what was measured with what is asked for.

    A few episodes or a short time decide nothing: with fewer than `LEAST_EPISODES` the share of found ones is not
    checked, and a rate of false incidents is missed only where chance alone would hardly give so many.
    """
    checks = []
    for metric, bound in thresholds.items():
        value = metrics.get(metric)
        passed, note = True, ""
        if value is None:
            note = "not measured"
        elif metric in ("episode_recall", "named_right") and metrics.get("episodes", LEAST_EPISODES) < LEAST_EPISODES:
            note = f"only {metrics.get('episodes', 0):g} episodes: {NOT_CHECKED}"
        elif metric == "false_incidents_per_host_week" and value > bound:
            passed = poisson_tail(false, bound * host_weeks) < CHANCE
            passed = not passed
            note = f"{false} in {host_weeks:.1f} host-weeks" + (", within chance" if passed else "")
        else:
            passed = value >= bound if METRICS[metric] else value <= bound
        checks.append(Check(metric, bound, value, passed, note))
    return Gate(tuple(checks))


def poisson_tail(count: int, mean: float) -> float:
    """The chance of `count` or more where `mean` are expected.

    >>> round(poisson_tail(3, 1.0), 3)
    0.08
    """
    below = sum(math.exp(-mean) * mean**k / math.factorial(k) for k in range(min(count, 170)))
    return max(0.0, 1 - below)


def decided(gate: Mapping[str, Any]) -> bool:
    """Was anything measured that a gate's JSON asks for? What was not is no reason to pass a gate that was missed."""
    checks = gate.get("checks") or ()
    return not checks or any(c.get("value") is not None and NOT_CHECKED not in str(c.get("note", "")) for c in checks)


def missed(gate: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The missed checks of a gate's JSON."""
    return [check for check in gate.get("checks", ()) if not check.get("passed", True)]
