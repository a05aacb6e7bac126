"""Incidents as values for JSON and CSV: for the command line, the API and files. Times are ISO 8601 in UTC."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from inference.keeping.rows import IncidentDetail, IncidentRow
from inference.telling.messages import rarity_words
from shared.clean import clean_csv
from shared.values import Line, Verdict, iso

COLUMNS = (
    *("id", "agent", "host", "type", "severity", "state", "started", "peak", "ended", "windows", "score", "rarity"),
    *("confidence", "found_by", "mark", "muted", "description", "key"),
)
TIMES = ("started", "peak", "ended")


def incident_values(row: IncidentRow) -> dict[str, Any]:
    """One incident as the list shows it."""
    values = asdict(row)
    return {**values, **{name: iso(values[name]) for name in TIMES}, "rarity_words": rarity_words(row.rarity)}


def detail_values(detail: IncidentDetail, mark: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One incident with its evidence: what moved, the telling log lines first, the nearest normal window."""
    strangest = max(detail.verdicts, key=lambda one: one.score or 0.0, default=None)
    return {
        **incident_values(detail.incident),
        "marked": dict(mark) if mark else None,
        "moved": strangest.as_json()["explanation"] if strangest else [],
        "nearest": strangest.nearest if strangest else None,
        "lines": [line_values(line) for line in telling_lines(detail.verdicts)],
        "verdicts": [verdict.as_json() for verdict in detail.verdicts],
    }


def telling_lines(verdicts: Iterable[Verdict], limit: int = 200) -> list[Line]:
    """The lines kept of all windows, without repeats: the telling ones first, each group in order of time."""
    lines = {line for verdict in verdicts for line in verdict.lines}
    return sorted(lines, key=lambda line: (not line.telling, line.time, line.message))[:limit]


def line_values(line: Line) -> dict[str, Any]:
    """One log line."""
    return {"time": iso(line.time), "program": line.program, "message": line.message, "telling": line.telling}


def csv_text(rows: Iterable[IncidentRow]) -> str:
    """The incidents as CSV, safe in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        values = incident_values(row)
        writer.writerow([_cell(values[name]) for name in COLUMNS])
    return out.getvalue()


def _cell(value: object) -> str:
    return "" if value is None else clean_csv(value) if isinstance(value, str) else str(value)
