"""One scheduled pass: fetch ▸ windows ▸ score ▸ classify ▸ explain ▸ incidents ▸ store ▸ publish.

Windows to explanations are the judge's work, in `shared`, so that `replay` does exactly the same.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inference.incidents import Incidents
from inference.judging.judges import Judges
from inference.judging.revising import Reviser
from inference.source import BATCH_ROWS, Batch, Cursor, Head, LogSource
from inference.sources.another_table import begin_again, note_on, told_of, was_replaced
from inference.sources.steady import SteadyClock
from inference.state import State
from shared.values import SILENT, WINDOW_ROWS, Row, Verdict

logger = logging.getLogger(__name__)

MODEL = "model"  # what a verdict's `found_by` names, as SILENT
SHOWN_ANOMALIES = 50  # of one cycle, for the live list; the store has them all


NUMBERS = (
    *(
        "rows",
        "seen",
        "bad",
        "late",
        "early",
        "revised",
        "sampled",
        "passed_over",
        "strangers",
        "windows",
        "anomalies",
        "seconds",
    ),
    *("cpu_seconds", "lag_s", "drained", "gaps", "gaps_expired", "open_incidents", "newest", "newest_row"),
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
    late: int = 0  # rows of windows that were judged already
    early: int = 0  # rows from the far future
    revised: int = 0  # windows judged again
    sampled: int = 0  # windows in a flood
    passed_over: int = 0  # rows of floods that were counted and not read
    strangers: int = 0  # rows of hosts that training did not know, beyond those that are let in
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
    newest_row: float | None = None  # time of the row at the table's head
    source_now: float = 0.0
    note: str = ""  # what is odd about the table now
    begun_again: str = ""  # the table was another one than before
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
    is_known: bool = False  # the table has been looked at since the daemon came here


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
    reviser: Reviser | None = None,
    clock: SteadyClock | None = None,
) -> CycleReport:
    """Read what is new, judge the windows that are complete, save both together, and tell.

    `beat` is called after each batch, for the watchdog; `reviser` judges windows again that rows came late for; `clock`
    holds jumps of the source's clock back until they are confirmed. What was not saved when an error is raised has not
    happened: the caller then begins again from the state file.

    Raises:
        SourceError: the log source failed; try again later.
        StoreError: the state file could not be written; forget `standing` and `judges`.
    """
    report, began, cpu = CycleReport(), time.monotonic(), time.process_time()
    head = source.head() if clock is None else clock.steady(source.head())
    report.newest_row = head.time
    _mind(head, source, judges, standing, report)
    while not report.drained and report.seen < limits.cycle_rows:
        batch = source.fetch(standing.cursor, judges.programs, limits.batch_rows)
        judges.add(batch.rows, head.now)
        standing.cursor = batch.cursor.marked(batch.rows)
        report.drained = batch.drained
        until = judges.until_drained(head.now) if batch.drained else judges.until_behind(batch.rows, head.now)
        for piece in judges.pieces(until):
            verdicts = _close(judges, piece, report)
            new = state.commit(
                standing.cursor, verdicts, judges.memories(), standing.incidents, judges.closed(), now(),
                judges.take_reopened(),
            )  # fmt: skip
            _count_verdicts(report, new)
            beat()
        _count_rows(report, batch, head)
    if report.drained and reviser is not None:
        _revise(reviser, source, judges, standing, state, report, head, now())
    report.late, report.early = judges.take_counts()
    report.strangers = judges.take_passed_over()
    report.open_incidents = len(standing.incidents)
    report.seconds, report.cpu_seconds = time.monotonic() - began, time.process_time() - cpu
    publish(report)
    return report


def _mind(head: Head, source: LogSource, judges: Judges, standing: Standing, report: CycleReport) -> None:
    """Begin again where the table or its clock has: ids that are counted anew, windows judged ahead of time."""
    if standing.cursor.was_restarted(head) or (not standing.is_known and was_replaced(source, standing.cursor)):
        standing.cursor = begin_again(source, standing.cursor, head, judges.closed().values())
        judges.begin_again(source, standing.cursor)
        report.begun_again = told_of(standing.cursor, head.now)
    standing.is_known = True
    report.note = note_on(standing.cursor, head)
    judges.turn_back(head.now, source, standing.cursor)


def _revise(
    reviser: Reviser, source: LogSource, judges: Judges, standing: Standing, state: State, report: CycleReport,
    head: Head, scored_at: float,
) -> None:  # fmt: skip
    """Judge windows again that late rows belong to; they count as revised, not as windows."""
    revised = reviser.revise(source, standing.cursor, judges.serving(), judges.closed(), head.now, scored_at)
    if revised:
        report.revised = len(revised)
        report.found = (report.found + [verdict for verdict in revised if verdict.is_anomaly])[-SHOWN_ANOMALIES:]
        standing.incidents = state.open_incidents()


def _close(judges: Judges, until: Mapping[str, float], report: CycleReport) -> list[Verdict]:
    """The verdicts of all agents' complete windows."""
    verdicts: list[Verdict] = []
    for agent, found, cpu_seconds in judges.close(until):
        judged = report.agents.setdefault(agent, Judged())
        judged.windows += len(found)
        judged.anomalies += sum(verdict.is_anomaly for verdict in found)
        judged.scored += sum(verdict.found_by != SILENT for verdict in found)
        judged.strange += sum(MODEL in verdict.found_by for verdict in found)
        judged.cpu_seconds += cpu_seconds
        verdicts += found
    return verdicts


def _count_verdicts(report: CycleReport, new: list[Verdict]) -> None:
    """Add what was saved to the report."""
    anomalies = [verdict for verdict in new if verdict.is_anomaly]
    report.windows += len(new)
    report.sampled += sum(verdict.sampled for verdict in new)
    report.passed_over += sum(max(0, verdict.rows - WINDOW_ROWS) for verdict in new if verdict.sampled)
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
