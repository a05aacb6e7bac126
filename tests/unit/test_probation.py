"""When a model has kept its promise, has broken it, or must be watched on; and what a bundle promises."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from inference.bundles.probation import Broken, ProbationRules, judge, read_promise
from inference.bundles.rows import ActiveRow
from trainer.fitting.promise import BASE_MB, LEAST_MS, LEAST_RATE, MOST_RATE, promise, with_promise

RULES = ProbationRules(windows=12, seconds=1800)
PROMISE = {"anomaly_rate_max": 0.25, "latency_ms_max": 100.0, "memory_mb_max": 260.0}


def seen(**counts: Any) -> ActiveRow:
    row = {"windows": 0, "anomalies": 0, "errors": 0, "latency_ms": 0.0, "memory_mb": 0.0, "starts": 0, **counts}
    return ActiveRow("wifi", "20250607_230000", None, 1000.0, json.dumps(PROMISE), **row)


def verdict(row: ActiveRow, now: float = 1000.0) -> str:
    found = judge(row, RULES, now)
    return found.code if isinstance(found, Broken) else "passed" if found else "watched"


def test_it_passes_after_its_windows_or_half_an_hour_with_one() -> None:
    assert verdict(seen(windows=11)) == "watched"
    assert verdict(seen(windows=12)) == "passed"
    assert verdict(seen(windows=1), 2800.0) == "passed"
    assert verdict(seen(), 10**9) == "watched"


def test_an_attack_in_the_first_hour_is_watched_longer_and_is_no_broken_promise() -> None:
    assert verdict(seen(windows=12, anomalies=3)) == "passed"
    assert verdict(seen(windows=12, anomalies=7)) == "watched"
    assert verdict(seen(windows=28, anomalies=7)) == "passed"
    assert verdict(seen(windows=12, anomalies=7), 10**6) == "watched", "time alone does not excuse it"


def test_a_model_that_goes_on_finding_too_much_breaks_its_promise() -> None:
    assert verdict(seen(windows=13, anomalies=13)) == "promise_anomalies"
    assert verdict(seen(windows=48, anomalies=13)) == "promise_anomalies"
    assert verdict(seen(windows=2000, anomalies=400)) == "passed"


@pytest.mark.parametrize(
    ("counts", "code"),
    [
        ({"errors": 1}, "promise_errors"),
        ({"starts": 6}, "promise_restarts"),
        ({"memory_mb": 261.0}, "promise_memory"),
        ({"windows": 12, "latency_ms": 1300.0}, "promise_latency"),
    ],
)
def test_every_other_broken_promise_has_its_code(counts: dict[str, Any], code: str) -> None:
    assert verdict(seen(**counts)) == code


def test_what_lies_at_the_promise_keeps_it_and_a_slow_beginning_is_waited_for() -> None:
    assert verdict(seen(windows=12, latency_ms=1200.0, memory_mb=260.0, starts=5)) == "passed"
    assert verdict(seen(windows=2, latency_ms=1300.0)) == "watched", (
        "the machine may be busy: the mean at the end counts"
    )


@pytest.mark.parametrize("text", [b"", b"[]", b'{"promise": 7}', b'{"promise": {"anomaly_rate_max": "x"}}', b"\xff"])
def test_a_promise_that_cannot_be_read_is_none(text: bytes) -> None:
    assert read_promise(text) == {}


def test_the_bands_are_wide_and_bounded() -> None:
    files = {"scorer.npz": bytes(10**6), "reference.json": b"{}", "agent.yaml": b""}

    def bands(rate: float, judge_ms: float) -> dict[str, float]:
        scores = np.zeros(1000)
        scores[: round(rate * 1000)] = 1.0
        fitted: Any = SimpleNamespace(out_of_fold={"station": SimpleNamespace(scores=scores)}, threshold=0.5)
        return promise(fitted, files, judge_ms)

    assert bands(0.0, 0.1) == {
        "anomaly_rate_max": LEAST_RATE, "latency_ms_max": LEAST_MS, "memory_mb_max": BASE_MB + 20
    }  # fmt: skip
    assert bands(0.3, 20.0)["anomaly_rate_max"] == MOST_RATE
    assert bands(0.3, 20.0)["latency_ms_max"] == 1000.0


def test_the_promise_travels_in_the_reference() -> None:
    assert read_promise(with_promise(b'{"schema": 1}', PROMISE)) == PROMISE
