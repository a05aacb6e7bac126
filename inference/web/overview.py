"""The overview's timeline and the hosts' strips as values. Pure but for reads."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from inference.keeping import charts as state_charts
from inference.keeping import reading as read
from inference.keeping.rows import DayCell
from inference.web.incident_words import ListedIncident
from shared.web import charts, words
from shared.web.bundle_words import BundleWords

SLOTS = {"24h": (words.DAY_S, 300.0), "7d": (7 * words.DAY_S, 1800.0)}
CELL_S = 1800.0
CELLS = 48
UNUSUAL = 100.0  # "rarer than 1 in 100": darker, but nothing to worry about
LOUD_HOSTS = 12


@dataclass(frozen=True, slots=True)
class HostStrip:
    """One host's last 24 hours."""

    host: str
    svg: str
    end: str
    is_loud: bool


def timeline(
    db: sqlite3.Connection,
    span: str,
    known: BundleWords,
    listed: Sequence[read.IncidentRow],
    links: Sequence[ListedIncident],
    now: float,
) -> str:
    """The rarest window of any host, slot by slot, with the incidents over it."""
    length_s, slot_s = SLOTS[span]
    end = math.ceil(now / slot_s) * slot_s
    start, slots = end - length_s, round(length_s / slot_s)
    values: list[float | None] = [None] * slots
    loud: set[int] = set()
    for cell in state_charts.slots(db, start, slot_s, slots, [sample + 1.0 for sample in known.samples]):
        slot = round((cell.start - start) / slot_s)
        strangest = None if cell.rarity is not None and math.isinf(cell.rarity) else cell.rarity
        values[slot] = known.height(strangest, strangest is None)
        if cell.anomalies:
            loud.add(slot)
    bands = [
        charts.Band(
            str(row.id),
            max(0.0, (row.started - start) / slot_s),
            min(slots, (row.ended - start) / slot_s),
            words.severity_class(row.severity),
            link.words,
            link.href,
        )
        for row, link in zip(listed, links, strict=True)
        if row.ended > start
    ]
    return charts.timeline(
        "over",
        values,
        loud=loud,
        threshold=known.threshold,
        sample=known.sample,
        incidents=bands,
        ticks=_ticks(start, end, slot_s, span),
        title=f"How unusual the log was, last {'24 hours' if span == '24h' else '7 days'}",
        desc=f"{words.sentence(words.counted(len(bands), 'incident'))} in this time; "
        f"{len(loud)} of {slots} slots hold an anomaly. The list of incidents has the details.",
    )


def _ticks(start: float, end: float, slot_s: float, span: str) -> list[charts.Tick]:
    """A tick each six hours, or each day; those too near the edges give way to them, on a phone the sooner."""
    step = 6 * words.HOUR_S if span == "24h" else words.DAY_S
    ticks = [charts.Tick(0, f"{words.day(start).split(' ')[0]} {words.clock(start)}")]
    for at in (step * n for n in range(math.ceil(start / step), math.floor(end / step) + 1)):
        before, after = (at - start) / (end - start), (end - at) / (end - start)
        if before > 0.13 and after > 0.08:
            text = words.clock(at) if span == "24h" else words.day(at).rsplit(" ", 1)[0]
            ticks.append(charts.Tick((at - start) / slot_s, text, wide_only=before < 0.22 or after < 0.16))
    return [*ticks, charts.Tick((end - start) / slot_s, words.clock(end) if span == "24h" else "now")]


@dataclass(frozen=True, slots=True)
class Day:
    """The last 24 hours of all hosts: their strips, and counts."""

    strips: list[HostStrip]
    totals: read.Totals


def day(db: sqlite3.Connection, known: BundleWords, now: float) -> Day:
    """Every host's last 24 hours, the loud ones first, then by name; one reading of the windows for all of it."""
    end = math.ceil(now / CELL_S) * CELL_S
    start = end - CELLS * CELL_S
    rows: dict[str, list[DayCell | None]] = {host.host: [None] * CELLS for host in read.hosts(db, since=now)}
    cells = state_charts.day_cells(db, start, CELL_S, CELLS)
    for cell in cells:
        rows.setdefault(cell.host, [None] * CELLS)[round((cell.start - start) / CELL_S)] = cell
    found = [_strip(host, own, known, start) for host, own in rows.items()]
    totals = read.Totals(
        windows=sum(cell.windows for cell in cells), anomalies=sum(cell.anomalies for cell in cells),
        hosts=len({cell.host for cell in cells}), rows=sum(cell.rows for cell in cells),
    )  # fmt: skip
    return Day(sorted(found, key=lambda strip: (not strip.is_loud, strip.host)), totals)


def _strip(host: str, cells: Sequence[DayCell | None], known: BundleWords, start: float) -> HostStrip:
    loud = [cell for cell in cells if cell is not None and cell.anomalies]
    worst = max(loud, key=lambda cell: known.height(cell.rarity, True), default=None)
    said = f"{len(loud)} of {CELLS} half-hours over the alert line" if loud else "normal or without rows all day"
    end = f"rarest {words.clock(worst.start)}" if worst else "quiet" if any(cells) else "no rows"
    return HostStrip(host, charts.strip([_level(cell, known) for cell in cells], said), end, bool(loud))


def _level(cell: DayCell | None, known: BundleWords) -> int:
    if cell is None or not cell.windows:
        return 1
    if cell.anomalies:
        return 5 if cell.rarity is None or known.is_beyond(cell.rarity) else 4
    return 3 if (cell.rarity or 0.0) >= UNUSUAL else 2
