"""How a version does, from what the daemon wrote: a summary against the settings' limits, and a report over the days."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inference.said import marks
from inference.watching import drifting
from inference.watching.drifting import DriftReport
from inference.watching.performance import MachineHour, ModelHour, machine_hours, model_hours

DAY_S = 86_400.0
SPAN_S = 7 * DAY_S
SCORES_MOST = 5_000  # the newest: their distribution says as much as that of all


@dataclass(frozen=True, slots=True)
class PerformanceLimits:
    """From what on a figure is warned about."""

    anomaly_rate: float = 0.05
    latency_ms: float = 50.0
    memory_mb: float = 256.0
    false_alarms: float = 0.5
    interval_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Summary:
    """One version over a span. Times in ms of CPU a window; `false_rate`: of the incidents that somebody marked."""

    agent: str
    version: str
    since: float
    windows: int
    anomalies: int
    anomaly_rate: float | None
    windows_24h: int
    anomaly_rate_24h: float | None
    incidents: int
    inference_ms: float | None
    inference_slowest_ms: float | None
    cycle_ms: float | None
    cycle_slowest_ms: float | None
    cpu_share: float | None
    memory_mb: float | None
    usable_rows: float | None
    score_quantiles: dict[str, float] | None
    marked: int
    marked_false: int
    false_rate: float | None
    drift: str
    drift_worst: float | None
    drift_scores: float | None
    drift_at: float | None
    warnings: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)


def summary(
    db: sqlite3.Connection, agent: str, version: str, limits: PerformanceLimits, now: float, span_s: float = SPAN_S
) -> Summary:
    """The figures of a version over the last days; what was never measured is None."""
    since = now - span_s
    hours, machine = model_hours(db, since, agent=agent, version=version), machine_hours(db, since)
    day = [hour for hour in hours if hour.slot >= now - DAY_S]
    drift = drifting.newest(db, agent, version)
    false, marked = marks.false_share(db, since, now, agent)
    windows, anomalies = _sum(hours, "windows"), _sum(hours, "anomalies")
    day_windows = _sum(day, "windows")
    found = Summary(
        agent=agent, version=version, since=since, windows=windows, anomalies=anomalies,
        anomaly_rate=_part(anomalies, windows),
        windows_24h=day_windows, anomaly_rate_24h=_part(_sum(day, "anomalies"), day_windows),
        incidents=_incidents(db, agent, version, since),
        inference_ms=_part(1000 * sum(hour.cpu_s for hour in hours), windows),
        inference_slowest_ms=max((1000 * hour.slowest_s for hour in hours), default=None),
        score_quantiles=scores(db, agent, version, since),
        marked=marked, marked_false=false, false_rate=_part(false, marked),
        drift=drift.word if drift else drifting.UNKNOWN, drift_worst=drift.worst if drift else None,
        drift_scores=drift.score if drift else None, drift_at=drift.at if drift else None,
        **_machine(machine, limits.interval_s),
    )  # fmt: skip
    return _warned(found, limits)


def _machine(hours: Sequence[MachineHour], interval_s: float) -> dict[str, Any]:
    cycles, rows = sum(hour.cycles for hour in hours), sum(hour.rows for hour in hours)
    return {
        "cycle_ms": _part(1000 * sum(hour.seconds for hour in hours), cycles),
        "cycle_slowest_ms": max((1000 * hour.slowest_s for hour in hours), default=None),
        "cpu_share": _part(sum(hour.cpu_s for hour in hours), cycles * interval_s),
        "memory_mb": max((hour.memory_mb for hour in hours), default=None),
        "usable_rows": _part(rows - sum(hour.bad for hour in hours), rows),
    }


def _warned(found: Summary, limits: PerformanceLimits) -> Summary:
    """The same with what is over a limit, in words."""
    said = []
    if found.anomaly_rate_24h is not None and found.windows_24h >= 100 and found.anomaly_rate_24h > limits.anomaly_rate:
        said.append(
            f"{found.anomaly_rate_24h:.1%} of the windows of 24 hours are anomalous; the limit is {limits.anomaly_rate:.1%}"
        )
    if found.inference_ms is not None and found.inference_ms > limits.latency_ms:
        said.append(f"a window takes {found.inference_ms:.1f} ms of CPU; the limit is {limits.latency_ms:g} ms")
    if found.memory_mb is not None and found.memory_mb > limits.memory_mb:
        said.append(f"the daemon took {found.memory_mb:.0f} MB; the limit is {limits.memory_mb:g} MB")
    if found.false_rate is not None and found.marked >= 3 and found.false_rate > limits.false_alarms:
        said.append(
            f"{found.marked_false} of {found.marked} marked incidents were false; the limit is {limits.false_alarms:.0%}"
        )
    if found.drift == drifting.DRIFTED:
        said.append("the log has drifted from what the model learnt: train on newer logs")
    return Summary(**{**{name: getattr(found, name) for name in Summary.__slots__}, "warnings": tuple(said)})


def scores(db: sqlite3.Connection, agent: str, version: str, since: float) -> dict[str, float] | None:
    """Quantiles of the scores of all windows that had rows."""
    query = (
        "SELECT score FROM verdicts WHERE window_end > ? AND +agent = ? AND model_version = ? AND rows > 0"
        " AND score IS NOT NULL ORDER BY window_end DESC LIMIT ?"
    )
    found = sorted(row[0] for row in db.execute(query, (since, agent, version, SCORES_MOST)))
    if not found:
        return None
    last = len(found) - 1
    return {
        f"p{round(100 * share)}": found[round(share * last)] for share in (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0)
    }


def _incidents(db: sqlite3.Connection, agent: str, version: str, since: float) -> int:
    query = (
        "SELECT count(DISTINCT incident_id) FROM verdicts WHERE incident_id IS NOT NULL AND +agent = ?"
        " AND model_version = ? AND +window_end > ?"  # a +: the small index of incidents is the one to use
    )
    return int(db.execute(query, (agent, version, since)).fetchone()[0])


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a version, for the report."""

    day: float
    windows: int
    anomalies: int
    inference_ms: float | None
    drift_worst: float | None
    drift_scores: float | None


@dataclass(frozen=True, slots=True)
class Report:
    """A summary with its days, its drift feature by feature, and what to do."""

    summary: Summary
    days: tuple[Day, ...]
    drift: DriftReport | None
    recommendations: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        drift = self.drift.as_json() if self.drift else None
        return {
            "summary": self.summary.as_json(), "days": [asdict(day) for day in self.days], "drift": drift,
            "recommendations": list(self.recommendations),
        }  # fmt: skip


def report(
    db: sqlite3.Connection, agent: str, version: str, limits: PerformanceLimits, now: float, days: int = 14
) -> Report:
    """How a version did, day by day."""
    since = (now // DAY_S - days + 1) * DAY_S
    told = summary(db, agent, version, limits, now, now - since)
    found: dict[float, list[ModelHour]] = {}
    for hour in model_hours(db, since, agent=agent, version=version):
        found.setdefault(hour.slot // DAY_S * DAY_S, []).append(hour)
    drifts: dict[float, tuple[float | None, float | None]] = {
        at // DAY_S * DAY_S: (worst, score) for at, worst, score in drifting.history(db, agent, version, since)
    }
    rows = [
        Day(
            day, _sum(found.get(day, []), "windows"), _sum(found.get(day, []), "anomalies"),
            _part(1000 * sum(hour.cpu_s for hour in found.get(day, [])), _sum(found.get(day, []), "windows")),
            *drifts.get(day, (None, None)),
        )
        for day in sorted({*found, *drifts})
    ]  # fmt: skip
    return Report(told, tuple(rows), drifting.newest(db, agent, version), tuple(_advice(told)))


def _advice(told: Summary) -> list[str]:
    """What follows from the figures."""
    found = []
    if told.drift == drifting.DRIFTED:
        found.append(
            "Export the last days, train a new version, and ship it: the log is not the one this model learnt."
        )
    if told.false_rate is not None and told.marked >= 3 and told.false_rate > 0.5:
        found.append("Lower the alert budget, and train with the marks as labels (`pipit-trainer export` brings them).")
    if told.anomaly_rate_24h is not None and told.anomaly_rate_24h > 0.2:
        found.append(
            "Most likely an attack goes on or the network changed: read the newest incident before you retrain."
        )
    if not told.windows:
        found.append("Nothing was judged by this version in this time.")
    return found or ["Nothing needs to be done."]


def _sum(hours: Sequence[Any], name: str) -> int:
    return sum(int(getattr(hour, name)) for hour in hours)


def _part(part: float, whole: float) -> float | None:
    return part / whole if whole else None
