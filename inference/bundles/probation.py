"""Probation: a new model serves, is watched over its first windows, and goes back by itself when it breaks its promise."""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from inference.bundles.store import ActiveRow

if TYPE_CHECKING:
    from inference.cycle import Judged

# What a bundle that promises nothing is held to.
DEFAULT_PROMISE: Mapping[str, float] = {"anomaly_rate_max": 0.5, "latency_ms_max": 250.0}
PATIENCE = 4  # times the windows, for a model that finds more than it promised: it may be an attack that is going on
RESTARTS = 5  # starts without one window judged or one orderly stop


@dataclass(frozen=True, slots=True)
class ProbationRules:
    """How long a new model is watched: so many windows, or so long with at least one window. 0 windows: not at all."""

    windows: int = 12
    seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that was not kept."""

    code: str
    reason: str


def note(
    db: sqlite3.Connection,
    agent: str,
    version: str,
    *,
    windows: int,
    anomalies: int,
    errors: int = 0,
    latency_ms: float = 0.0,
    memory_mb: float = 0.0,
) -> None:
    """Count what a cycle saw of the active version. `latency_ms` is of all its windows together, memory is resident."""
    db.execute(
        "UPDATE active SET windows = windows + ?, anomalies = anomalies + ?, errors = errors + ?,"
        " latency_ms = latency_ms + ?, memory_mb = MAX(memory_mb, ?),"
        " starts = CASE WHEN ? > 0 AND ? = 0 THEN 0 ELSE starts END WHERE agent = ? AND version = ?",
        (windows, anomalies, errors, latency_ms, memory_mb, windows, errors, agent, version),
    )


def note_cycle(
    db: sqlite3.Connection, agent: str, version: str, judged: Judged | None, failed: bool, memory_mb: float
) -> None:
    """Count what a cycle saw of the active version; None where its judge gave nothing."""
    note(
        db, agent, version,
        windows=judged.scored if judged else 0, anomalies=judged.strange if judged else 0, errors=int(failed),
        latency_ms=judged.cpu_seconds * 1000 if judged else 0.0, memory_mb=memory_mb,
    )  # fmt: skip


def read_promise(reference: bytes) -> dict[str, float]:
    """The band that a bundle promises in its reference.json; {} where it promises nothing that can be read."""
    try:
        promise = json.loads(reference).get("promise") or {}
        return {str(k): float(v) for k, v in promise.items() if isinstance(v, (int, float)) and math.isfinite(v)}
    except (ValueError, AttributeError, RecursionError):
        return {}


def judge(row: ActiveRow, rules: ProbationRules, now: float) -> Broken | bool:
    """Has it broken its promise (Broken), passed (True), or must it be watched on (False)?"""
    promise = {**DEFAULT_PROMISE, **json.loads(row.promise)}
    if row.starts > RESTARTS:
        return Broken("promise_restarts", f"probation: the daemon started {row.starts} times without a window judged")
    if row.errors:
        return Broken("promise_errors", f"probation: judging failed {row.errors} times")
    over = row.windows >= rules.windows or (row.windows > 0 and now - row.since >= rules.seconds)
    rate, patience = promise["anomaly_rate_max"], PATIENCE * rules.windows
    if row.anomalies > max(1.0, rate * max(row.windows, patience)):
        return Broken(
            "promise_anomalies",
            f"probation: {row.anomalies} anomalies in {row.windows} windows; the bundle promises at most {rate:g} a window",
        )
    if row.anomalies > max(1.0, rate * max(row.windows, rules.windows)):
        over = False  # too many so far; the next windows say whether it is the model or the network
    mean_ms = row.latency_ms / row.windows if row.windows else 0.0
    if over and mean_ms > promise["latency_ms_max"]:
        return Broken(
            "promise_latency",
            f"probation: {mean_ms:.1f} ms a window; the bundle promises at most {promise['latency_ms_max']:g}",
        )
    if row.memory_mb > promise.get("memory_mb_max", math.inf):
        return Broken(
            "promise_memory",
            f"probation: {row.memory_mb:.0f} MB; the bundle promises at most {promise['memory_mb_max']:g}",
        )
    return over
