"""What people say of incidents: false or confirmed, by whom, when, and until when it counts.

A mark holds all that a label needs, so it outlives its incident's rows. The newest mark of an incident counts; marks
that have expired count no more, neither on the pages nor as labels for the trainer. Times: seconds since the epoch.
"""

# ruff: noqa: S608 (conditions are this module's own; values are parameters)

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from inference.keeping.file import transaction
from shared.clean import clean
from shared.errors import RequestError
from shared.values import iso

FALSE, CONFIRMED = "false", "confirmed"
MARKS = (FALSE, CONFIRMED)
MARK_DAYS = 180.0
DAY_S = 86_400.0
LONGEST_NOTE = 1_000


@dataclass(frozen=True, slots=True)
class Mark:
    """One statement about one incident; the incident's facts are those of the moment of marking, or newer."""

    id: int
    incident_id: int
    incident_key: str
    agent: str
    host: str
    type: str
    started: float
    ended: float
    mark: str  # "false" or "confirmed"
    by: str
    at: float
    expires: float
    note: str


def mark(
    db: sqlite3.Connection, incident_id: int, mark: str, *, by: str, now: float, note: str = "", days: float = MARK_DAYS
) -> Mark:
    """Mark an incident false or confirmed; a later mark takes the place of an earlier one.

    Raises:
        RequestError: there is no such incident, or no such mark. StoreError: the state file cannot be written.
    """
    if mark not in MARKS:
        raise RequestError(f"mark incident {incident_id}: {clean(mark, 40)!r} is no mark; say false or confirmed")
    if not 0 < days <= 3650:
        raise RequestError(f"mark incident {incident_id}: a mark counts for 1 to 3650 days, not {days:g}")
    with transaction(db):
        row = db.execute("SELECT * FROM incidents WHERE id = ?", (incident_id,)).fetchone()
        if row is None:
            raise RequestError(f"mark incident {incident_id}: there is none of that number", missing=True)
        db.execute("DELETE FROM marks WHERE incident_id = ?", (incident_id,))
        db.execute(
            "INSERT INTO marks (incident_id, incident_key, agent, host, type, started, ended, mark, by, at, expires,"
            " note) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                incident_id, row["key"], row["agent"], row["host"], row["type"], row["started"], row["ended"], mark,
                clean(by, 100), now, now + days * DAY_S, clean(note, LONGEST_NOTE),
            ),
        )  # fmt: skip
    found = of_incident(db, incident_id, now)
    assert found is not None
    return found


def unmark(db: sqlite3.Connection, incident_id: int) -> bool:
    """Take an incident's mark away; whether there was one."""
    with transaction(db):
        return db.execute("DELETE FROM marks WHERE incident_id = ?", (incident_id,)).rowcount > 0


def of_incident(db: sqlite3.Connection, incident_id: int, now: float) -> Mark | None:
    """The mark of an incident that counts now, or None."""
    return next(iter(_read(db, "WHERE m.incident_id = ? AND m.expires > ?", (incident_id, now))), None)


def all_marks(
    db: sqlite3.Connection, now: float, *, agent: str | None = None, mark: str | None = None, since: float = 0.0,
    expired: bool = False, limit: int = 10_000,
) -> list[Mark]:  # fmt: skip
    """Marks made at or after `since`, the newest first; `expired`: also those that count no more."""
    where, values = "WHERE m.at >= ?", [since]
    given: list[Any] = list(values)
    for name, value in (("agent", agent), ("mark", mark)):
        if value is not None:
            where += f" AND m.{name} = ?"
            given.append(value)
    if not expired:
        where += " AND m.expires > ?"
        given.append(now)
    return _read(db, f"{where} ORDER BY m.at DESC, m.id DESC LIMIT ?", (*given, limit))


def false_share(db: sqlite3.Connection, since: float, now: float, agent: str | None = None) -> tuple[int, int]:
    """(incidents marked false, incidents marked at all) among those that began at or after `since`."""
    marks = [each for each in all_marks(db, now, agent=agent) if each.started >= since]
    return sum(each.mark == FALSE for each in marks), len(marks)


def expire(db: sqlite3.Connection, now: float, keep_s: float = 30 * DAY_S) -> int:
    """Delete marks that expired more than `keep_s` ago; how many."""
    with transaction(db):
        return db.execute("DELETE FROM marks WHERE expires < ?", (now - keep_s,)).rowcount


def labels(marks: Iterable[Mark]) -> list[dict[str, str]]:
    """The marks as `pipit-trainer train --labels` reads them, in order of time.

    `mark` false: these windows are normal, learn from them. `mark` confirmed: an episode, leave them out.
    """
    return [
        {
            "type": each.type, "start": iso(each.started), "end": iso(each.ended), "host": each.host,
            "mark": each.mark, "agent": each.agent, "by": each.by, "at": iso(each.at), "note": each.note,
        }
        for each in sorted(marks, key=lambda each: (each.started, each.host))
    ]  # fmt: skip


def _read(db: sqlite3.Connection, where: str, values: Iterable[Any]) -> list[Mark]:
    """Marks with the incident's present end and kind where it still exists: it may have grown since."""
    query = (
        "SELECT m.id, m.incident_id, m.incident_key, m.agent, m.host, coalesce(i.type, m.type) AS type,"
        " coalesce(i.started, m.started) AS started, coalesce(i.ended, m.ended) AS ended, m.mark, m.by, m.at,"
        f" m.expires, m.note FROM marks m LEFT JOIN incidents i ON i.id = m.incident_id {where}"
    )
    return [Mark(**dict(row)) for row in db.execute(query, tuple(values))]
