"""One scheduled pass: fetch ▸ windows ▸ score ▸ classify ▸ explain ▸ incidents ▸ store ▸ publish.

Windows to explanations are the judge's work, in `shared`, so that `replay` does exactly the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.incidents import Incidents
from inference.judging import Judges
from inference.source import BATCH_ROWS, Batch, Cursor, Head, LogSource
from inference.state import State
from shared.values import Row, Verdict

MODEL, SILENCE = "model", "silence"  # what a verdict's `found_by` names
SHOWN_ANOMALIES = 50  # of one cycle, for the live list; the store has them all


NUMBERS = (
    *("rows", "seen", "bad", "late", "windows", "anomalies", "seconds", "cpu_seconds", "lag_s", "drained"),
    *("gaps", "gaps_expired", "open_incidents", "newest"),
)


@dataclass(slots=True)
class Judged:
    """What one agent's judge did in a cycle. `strange` of the `scored` windows lay over the model's threshold: silences
    and rules are not the model's doing, and a new model is not to be sent back for them."""

    windows: int = 0
    anomalies: int = 0
    scored: int = 0
    strange: int = 0
    cpu_seconds: float = 0.0


@dataclass(slots=True)
class CycleReport:
    """What happened in a cycle. `rows` are those of wanted programs, `seen` all that were passed."""

    rows: int = 0
    seen: int = 0
    bad: int = 0
    late: int = 0
    windows: int = 0
    anomalies: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    lag_s: float = 0.0
    drained: bool = False
    gaps: int = 0
    gaps_expired: int = 0
    open_incidents: int = 0
    newest: float | None = None  # time of the newest row read
    source_now: float = 0.0
    agents: dict[str, Judged] = field(default_factory=dict)
    found: list[Verdict] = field(default_factory=list)  # the newest anomalies, with their incident

    def as_json(self) -> dict[str, Any]:
        """The numbers, for `once --json`, the status page and the logs."""
        numbers = {name: getattr(self, name) for name in NUMBERS}
        agents = {agent: {"windows": each.windows, "anomalies": each.anomalies} for agent, each in self.agents.items()}
        return {**numbers, "agents": agents}


@dataclass
class Standing:
    """Where the daemon stands between two cycles: what is in memory agrees with what is in the state file."""

    cursor: Cursor
    incidents: Incidents


@dataclass(frozen=True)
class Limits:
    """How much one cycle reads."""

    batch_rows: int = BATCH_ROWS
    cycle_rows: int = 200_000


def run_cycle(
    source: LogSource,
    judges: Judges,
    standing: Standing,
    state: State,
    publish: Callable[[CycleReport], None],
    now: Callable[[], float],
    limits: Limits,
    beat: Callable[[], None] = lambda: None,
) -> CycleReport:
    """Read what is new, judge the windows that are complete, save both together, and tell.

    `beat` is called after each batch, for the watchdog. What was not saved when an error is raised has not happened:
    the caller then begins again from the state file.

    Raises:
        SourceError: the log source failed; try again later.
        StoreError: the state file could not be written; forget `standing` and `judges`.
    """
    report, began, cpu = CycleReport(), time.monotonic(), time.process_time()
    head = source.head()
    while not report.drained and report.seen < limits.cycle_rows:
        batch = source.fetch(standing.cursor, judges.programs, limits.batch_rows)
        judges.add(batch.rows)
        standing.cursor = batch.cursor
        report.drained = batch.drained
        until = judges.until_drained(head.now) if batch.drained else judges.until_behind(batch.rows, head.now)
        for piece in judges.pieces(until):
            verdicts = _close(judges, piece, report)
            new = state.commit(batch.cursor, verdicts, judges.memories(), standing.incidents, judges.closed(), now())
            _count_verdicts(report, new)
            beat()
        _count_rows(report, batch, head)
    report.late = judges.take_late()
    report.open_incidents = len(standing.incidents)
    report.seconds, report.cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    publish(report)
    return report


def _close(judges: Judges, until: Mapping[str, float], report: CycleReport) -> list[Verdict]:
    """The verdicts of all agents' complete windows."""
    verdicts: list[Verdict] = []
    for agent, found, cpu_seconds in judges.close(until):
        judged = report.agents.setdefault(agent, Judged())
        judged.windows += len(found)
        judged.anomalies += sum(verdict.is_anomaly for verdict in found)
        judged.scored += sum(verdict.found_by != SILENCE for verdict in found)
        judged.strange += sum(MODEL in verdict.found_by for verdict in found)
        judged.cpu_seconds += cpu_seconds
        verdicts += found
    return verdicts


def _count_verdicts(report: CycleReport, new: list[Verdict]) -> None:
    """Add what was saved to the report."""
    anomalies = [verdict for verdict in new if verdict.is_anomaly]
    report.windows += len(new)
    report.anomalies += len(anomalies)
    report.found = (report.found + anomalies)[-SHOWN_ANOMALIES:]


def _count_rows(report: CycleReport, batch: Batch, head: Head) -> None:
    """Add one batch to the report."""
    report.seen += batch.seen
    report.bad += batch.bad
    report.rows += len(batch.rows)
    report.newest = _newest(report.newest, batch.rows)
    report.gaps, report.gaps_expired = len(batch.cursor.gaps), batch.cursor.expired
    report.source_now = head.now
    report.lag_s = 0.0 if batch.drained or report.newest is None else max(0.0, head.now - report.newest)


def _newest(newest: float | None, rows: list[Row]) -> float | None:
    times = [row[1] for row in rows]
    return max(times) if newest is None and times else max([newest, *times]) if newest is not None else None
