"""Is this export fit to train on? One pass over the file, bounded memory: errors end the run, warnings do not."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from shared.agent import UNKNOWN, AgentSpec
from shared.clean import clean
from shared.errors import ExportError
from shared.events import EventParser
from shared.frame import SEVERITY_NAMES, BadRow, open_export
from shared.values import Row, iso
from trainer.progress import Progress, quiet
from trainer.tally import SeenIds, Tally

DAY_S = 86_400.0
EXAMPLES = 20  # bad rows and unknown shapes that are shown
MOST_NAMES = 10_000  # hosts that are told apart; of an export with more the rarest are forgotten
PROGRESS_ROWS = 50_000

MIN_DAYS = 1.0
MIN_AGENT_SHARE = 0.10
MAX_BAD_SHARE = 0.50  # more is an error: this is another kind of file
MAX_UNKNOWN_SHARE = 0.05
MAX_OUT_OF_ORDER_SHARE = 0.01
ANY_PROGRAM = ("*",)  # the programs of an agent that takes any log


@dataclass(slots=True)
class ValidationReport:
    """What an export holds, and what speaks against training on it. Counters are (name, count), most frequent first."""

    path: Path
    agent: str
    kind: str = ""
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    valid_rows: int = 0
    bad_rows: int = 0
    bad_reasons: dict[str, int] = field(default_factory=dict)
    bad_examples: list[BadRow] = field(default_factory=list)
    start: float | None = None
    end: float | None = None
    agent_rows: int = 0
    hosts: dict[str, int] = field(default_factory=dict)
    host_count: int = 0
    programs: dict[str, int] = field(default_factory=dict)
    severities: dict[str, int] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)
    unknown_shapes: dict[str, int] = field(default_factory=dict)
    duplicate_ids: int = 0
    out_of_order: int = 0
    empty_messages: int = 0

    @property
    def agent_share(self) -> float:
        """Share of the valid rows that come from the agent's programs."""
        return self.agent_rows / self.valid_rows if self.valid_rows else 0.0

    @property
    def unknown_share(self) -> float:
        """Share of the agent's rows that no pattern knows."""
        return self.events.get(UNKNOWN, 0) / self.agent_rows if self.agent_rows else 0.0

    @property
    def days(self) -> float:
        """From the first to the last row."""
        return 0.0 if self.start is None or self.end is None else (self.end - self.start) / DAY_S

    def as_json(self) -> dict[str, object]:
        """The whole report as plain values."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "agent": self.agent,
            "fit": not self.errors,
            "errors": self.errors,
            "warnings": self.warnings,
            "valid_rows": self.valid_rows,
            "bad_rows": self.bad_rows,
            "bad_reasons": self.bad_reasons,
            "bad_examples": [{"line": b.line, "reason": b.reason, "detail": b.detail} for b in self.bad_examples],
            "start": None if self.start is None else iso(self.start),
            "end": None if self.end is None else iso(self.end),
            "days": round(self.days, 3),
            "agent_rows": self.agent_rows,
            "agent_share": round(self.agent_share, 4),
            "host_count": self.host_count,
            "hosts": self.hosts,
            "programs": self.programs,
            "severities": self.severities,
            "events": self.events,
            "unknown_share": round(self.unknown_share, 4),
            "unknown_shapes": self.unknown_shapes,
            "duplicate_ids": self.duplicate_ids,
            "out_of_order": self.out_of_order,
            "empty_messages": self.empty_messages,
        }


def validate(
    path: Path, spec: AgentSpec, progress: Progress = quiet, now: Callable[[], float] = time.time
) -> ValidationReport:
    """Look at every row of an export. Never raises for what is in the file: that is in the report."""
    report = ValidationReport(Path(path), spec.name)
    survey = _Survey(report, spec)
    try:
        export = open_export(Path(path))
        report.kind = export.kind
        for row in export.rows(survey.bad):
            survey.row(row)
            if not report.valid_rows % PROGRESS_ROWS:
                progress(f"{report.valid_rows:,} rows", None)
    except ExportError as error:
        report.errors.append(str(error))
    survey.finish()
    _judge(report, spec, now())
    return report


class _Survey:
    """Counts rows into a report."""

    def __init__(self, report: ValidationReport, spec: AgentSpec) -> None:
        self._report = report
        self._parser = EventParser(spec)
        self._wanted = frozenset(spec.programs)
        self._any = spec.programs == ANY_PROGRAM
        self._ids = SeenIds()
        self._newest: dict[str, float] = {}
        self._hosts, self._programs, self._shapes = Tally(MOST_NAMES), Tally(MOST_NAMES // 2), Tally(MOST_NAMES // 2)
        self._severities: Counter[int] = Counter()
        self._events: Counter[str] = Counter()

    def bad(self, bad: BadRow) -> None:
        """A row that could not be read."""
        report = self._report
        report.bad_rows += 1
        report.bad_reasons[bad.reason] = report.bad_reasons.get(bad.reason, 0) + 1
        if len(report.bad_examples) < EXAMPLES:
            report.bad_examples.append(bad)

    def row(self, row: Row) -> None:
        """A row that could be read."""
        row_id, time_s, host, program, _, severity, message = row
        report = self._report
        report.valid_rows += 1
        report.start = time_s if report.start is None else min(report.start, time_s)
        report.end = time_s if report.end is None else max(report.end, time_s)
        newest = self._newest.get(host)
        if newest is not None and time_s < newest:
            report.out_of_order += 1
        elif newest is not None or len(self._newest) < MOST_NAMES:
            self._newest[host] = time_s
        report.duplicate_ids += self._ids.seen_before(row_id)
        report.empty_messages += not message
        self._hosts.add(host)
        self._programs.add(program)
        self._severities[severity] += 1
        if self._any:
            report.agent_rows += 1  # its patterns will be mined: there are none yet to hold the rows against
        elif program in self._wanted:
            report.agent_rows += 1
            parsed = self._parser.parse(program, severity, message)
            self._events[parsed.event] += 1
            if parsed.event == UNKNOWN:
                self._shapes.add(parsed.shape)

    def finish(self) -> None:
        """Counters into the report."""
        report = self._report
        report.hosts, report.host_count = self._hosts.top(50), self._hosts.distinct
        report.programs = self._programs.top(EXAMPLES)
        named = {**dict(enumerate(SEVERITY_NAMES)), -1: "none"}
        report.severities = {named[level]: self._severities[level] for level in sorted(self._severities)}
        report.events = dict(self._events.most_common())
        report.unknown_shapes = {clean(shape, 300): count for shape, count in self._shapes.top(EXAMPLES).items()}


def _judge(report: ValidationReport, spec: AgentSpec, now_s: float) -> None:
    """Errors and warnings from the counts; each says what it means for training."""
    total = report.valid_rows + report.bad_rows
    if total and not report.valid_rows:
        report.errors.append(f"none of the {total:,} rows can be used; the first: {_first(report)}")
    elif report.bad_rows > MAX_BAD_SHARE * total:
        report.errors.append(f"{report.bad_rows:,} of {total:,} rows cannot be used; the first: {_first(report)}")
    elif report.bad_rows:
        report.warnings.append(f"{report.bad_rows:,} of {total:,} rows are left out; the first: {_first(report)}")
    if not report.valid_rows:
        return
    if not report.agent_rows:
        there = ", ".join(list(report.programs)[:5])
        report.errors.append(
            f"no row comes from a program of the agent {spec.name} ({', '.join(spec.programs)}); there are {there}"
        )
        return
    if report.agent_share < MIN_AGENT_SHARE:
        report.warnings.append(
            f"only {report.agent_share:.1%} of the rows come from programs of the agent {spec.name}; is it the right one?"
        )
    if report.days < MIN_DAYS:
        report.warnings.append(
            f"the rows span {report.days * 24:.1f} hours; a day is the least, a week or more shows what is normal"
        )
    if report.unknown_share > MAX_UNKNOWN_SHARE:
        shape = next(iter(report.unknown_shapes), "")
        report.warnings.append(
            f"{report.unknown_share:.1%} of the agent's lines are known to no pattern; the most frequent: {shape}"
        )
    if report.out_of_order > MAX_OUT_OF_ORDER_SHARE * report.valid_rows:
        share = report.out_of_order / report.valid_rows
        report.warnings.append(
            f"{share:.1%} of the rows are older than the row before them of the same host; sort by time"
        )
    if report.duplicate_ids:
        report.warnings.append(
            f"{report.duplicate_ids:,} rows have an id that was there before; was the log exported twice?"
        )
    if report.end is not None and report.end > now_s + DAY_S:
        report.warnings.append(f"the last row is of {iso(report.end)}, which lies ahead; is a clock wrong?")


def _first(report: ValidationReport) -> str:
    bad = report.bad_examples[0]
    return f"line {bad.line}, {bad.reason} ({clean(bad.detail, 200)})"
