"""What the charts draw of the state file: one host's windows, every host's day, the strangest window slot by slot.

Each reads an index alone, in its order: a week of 50 hosts is 100,000 windows, and a page must not wait for them.
Times are seconds since the epoch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from inference.keeping.rows import DayCell, Point, Slot


def timeline(db: sqlite3.Connection, agent: str, host: str, since: float, until: float) -> list[Point]:
    """The windows of one host that end in (since, until], in order of time."""
    query = (
        "SELECT window_start, window_end, rarity, is_anomaly FROM verdicts"
        " WHERE agent = ? AND host = ? AND window_start < ? AND window_end > ? AND window_end <= ? ORDER BY window_start"
    )
    rows = db.execute(query, (agent, host, until, since, until))
    return [Point(start, end, rarity, bool(is_anomaly)) for start, end, rarity, is_anomaly in rows]


def day_cells(db: sqlite3.Connection, since: float, span_s: float, spans: int) -> list[DayCell]:
    """The strangest window of each host in each of `spans` spans from `since` on; a window belongs where it ends.

    Asked span by span: sorting a few hundred windows often takes less than sorting all of them once.
    """
    query = (
        "SELECT host, ?, count(*), sum(rows), max(rarity), sum(is_anomaly) FROM verdicts"
        " WHERE window_end > ? AND window_end <= ? GROUP BY host"
    )
    starts = [since + n * span_s for n in range(spans)]
    return [DayCell(*row) for start in starts for row in db.execute(query, (start, start, start + span_s))]


def slots(db: sqlite3.Connection, since: float, span_s: float, spans: int, beyond: Sequence[float]) -> list[Slot]:
    """The strangest window of any host in each of `spans` spans from `since` on; spans without windows are left out.

    In a span that holds an anomaly, rarities in `beyond`, and anomalies without any, count as infinity: stranger than
    any other. Asked span by span, along the index: to group by span SQLite would sort every window (a quarter of the time).
    """
    query = "SELECT count(*), max(rarity), sum(is_anomaly) FROM verdicts WHERE window_end > ? AND window_end <= ?"
    marks = ", ".join("?" * len(beyond))
    strangest = (
        f"SELECT max(CASE WHEN rarity IN ({marks}) OR (is_anomaly AND rarity IS NULL) THEN 9e999 ELSE rarity END)"  # noqa: S608
        " FROM verdicts WHERE window_end > ? AND window_end <= ?"
    )
    found = []
    for start in (since + n * span_s for n in range(spans)):
        count, rarity, anomalies = db.execute(query, (start, start + span_s)).fetchone()
        if anomalies:
            (rarity,) = db.execute(strangest, (*beyond, start, start + span_s)).fetchone()
        if count:
            found.append(Slot(start, rarity, anomalies))
    return found
