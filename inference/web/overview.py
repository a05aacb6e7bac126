"""The overview as values: the first sentence, the facts, the timeline and the hosts' strips. Pure but for reads."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from inference import state_charts
from inference import state_read as read
from inference.bundle_store import ActiveRow
from inference.state_rows import DayCell
from inference.web.incident_words import ListedIncident
from inference.web.room import Health
from shared.web import charts, words
from shared.web.bundle_words import BundleWords
from shared.web.fact import Fact

SLOTS = {"24h": (words.DAY_S, 300.0), "7d": (7 * words.DAY_S, 1800.0)}
CELL_S = 1800.0
CELLS = 48
UNUSUAL = 100.0  # "rarer than 1 in 100": darker, but nothing to worry about
LOUD_HOSTS = 12
LAGGING_S = 300.0


@dataclass(frozen=True, slots=True)
class HostStrip:
    """One host's last 24 hours."""

    host: str
    svg: str
    end: str
    is_loud: bool


def headline(health: Health, status: read.Status, open_count: int, newest: float | None, ended: int, now: float) -> str:
    """The first line: the worst thing that is true."""
    if health == "never":
        return "The daemon has not run on this machine yet."
    if health == "stopped":
        return f"The daemon was stopped {words.ago(status.updated, now)}."
    if health == "dead":
        return f"The daemon has not been heard for {words.at_length(now - status.updated)}."
    if health == "no-database":
        since = f" for {words.at_length(now - status.last_run)}" if status.last_run else " yet"
        return f"The log database has not answered{since}."
    if health == "no-model":
        return "Pipit is running, but it has no model yet."
    if open_count and newest is not None:
        are = "is" if open_count == 1 else "are"
        began = "It" if open_count == 1 else "The newest"
        count = words.sentence(words.counted(open_count, "incident"))
        return f"{count} {are} open. {began} began {words.ago(newest, now)}."
    if ended:
        return f"No incident is open. {words.sentence(words.counted(ended, 'incident'))} ended in the last 24 hours."
    return "All is well. Nothing unusual in the last 24 hours."


def lead(health: Health, status: read.Status, totals: read.Totals, quiet: int, now: float) -> str:
    """What the first line means."""
    if health == "never":
        return "Three steps, and this page fills by itself."
    if health in ("stopped", "dead"):
        return f"What you see below is the state of {words.moment(status.updated, now)}. Nothing is scored meanwhile."
    if health == "no-database":
        state = f"the state of {words.moment(status.last_run, now)}" if status.last_run else "older"
        return f"What you see below is {state}. Pipit keeps trying and will catch up by itself."
    if health == "no-model":
        return "It reads the log and waits. Nothing is scored until a model arrives; no row is lost meanwhile."
    looked = f"Pipit looked at {words.counted(totals.windows, 'window')} of {words.counted(totals.hosts, 'host')} today"
    if totals.anomalies and totals.hosts:
        return f"{looked}; {quiet} of {words.counted(totals.hosts, 'host')} were normal all the time."
    return f"{looked}, and all of them look like the days it learnt from."


def facts(
    health: Health, status: read.Status, actives: Sequence[ActiveRow], trials: Collection[str], now: float
) -> list[Fact]:
    """Daemon, log database, model, last cycle; `trials` are the agents whose model is on probation."""
    return [
        _daemon(health, status, now),
        _database(health, status, now),
        _model(actives, trials, now),
        _cycle(health, status, now),
    ]


def _daemon(health: Health, status: read.Status, now: float) -> Fact:
    if health == "never":
        return Fact("Daemon", "Never ran", "no state file yet", "high")
    heard = f"last heard {words.ago(status.updated, now)}"
    if health in ("stopped", "dead"):
        return Fact("Daemon", "Stopped" if health == "stopped" else "No sign of life", heard, "high")
    return Fact("Daemon", "Running", f"since {words.moment(status.started, now)}" if status.started else heard, "ok")


def _database(health: Health, status: read.Status, now: float) -> Fact:
    if health == "no-database":
        return Fact(
            "Log database",
            "No answer",
            f"last read {words.ago(status.last_run, now)}" if status.last_run else "",
            "high",
        )
    if status.lag_s is not None and health in ("dead", "stopped"):
        newest = words.clock(status.updated - status.lag_s, seconds=True)
        return Fact("Log database", "Not read", f"newest row then {newest}", "off")
    if status.lag_s is None:
        return Fact("Log database", "No rows yet", status.source or "not connected", "mid" if status.updated else "off")
    late = status.lag_s > LAGGING_S
    newest = words.clock(status.updated - status.lag_s, seconds=True)
    return Fact("Log database", f"{words.lasted(status.lag_s)} behind", f"newest row {newest}", "mid" if late else "ok")


def _model(actives: Sequence[ActiveRow], trials: Collection[str], now: float) -> Fact:
    if not actives:
        return Fact("Model", "None", "waiting for the first", "mid")
    newest = actives[0]
    made = words.version_time(newest.version)
    note = words.age(now - made) if made else f"since {words.moment(newest.since, now)}"
    state = "on probation" if newest.agent in trials else "good"
    more = f"; {words.figure(len(actives) - 1, 'agent')} more" if len(actives) > 1 else ""
    return Fact("Model", f"{newest.agent} {newest.version}", f"{note} · {state}{more}", "mid" if trials else "ok")


def _cycle(health: Health, status: read.Status, now: float) -> Fact:
    if status.last_run is None:
        return Fact("Last cycle", "None yet", "", "mid" if status.updated else "off")
    rows, windows = int(status.cycle.get("rows", 0)), int(status.cycle.get("windows", 0))
    took = float(status.cycle.get("seconds", 0.0)) * 1000
    note = f"{words.figure(rows, 'row')}, {words.figure(windows, 'window')}, {took:.0f} ms"
    if health == "failing":
        return Fact("Last cycle", words.clock(status.last_run, seconds=True), "failed since; see below", "high")
    at = (
        words.clock(status.last_run, seconds=True)
        if now - status.last_run < words.DAY_S
        else words.moment(status.last_run, now)
    )
    return Fact("Last cycle", at, note, "ok" if health == "well" else "mid")


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
