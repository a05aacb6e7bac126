"""Kinds that nobody wants to hear of for a time: at one host, or everywhere. Times: seconds since the epoch.

What is muted is judged, stored and shown all the same, as muted; it is not notified of and not counted as news.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from inference.keeping.file import transaction
from shared.clean import clean
from shared.errors import RequestError

LONGEST_S = 365 * 86_400.0
LONGEST_NOTE = 1_000

# Joined to incidents as i: whether a mute was in force at any time while the incident went on.
MUTED = (
    "EXISTS (SELECT 1 FROM mutes m WHERE m.agent = i.agent AND m.type = i.type"
    " AND (m.host IS NULL OR m.host = i.host) AND m.at <= i.ended AND m.until > i.started)"
)


@dataclass(frozen=True, slots=True)
class Mute:
    """One kind at one host (None: everywhere), from `at` to `until`."""

    id: int
    agent: str
    type: str
    host: str | None
    by: str
    at: float
    until: float
    note: str


def mute(
    db: sqlite3.Connection, agent: str, type_: str, host: str | None = None, *, by: str, now: float, seconds: float,
    note: str = "",
) -> Mute:  # fmt: skip
    """Mute a kind for so many seconds; where it is muted already the later end counts.

    Raises:
        RequestError: the time is not between a minute and a year, or no kind is named. StoreError: cannot be written.
    """
    if not 60 <= seconds <= LONGEST_S:
        raise RequestError(f"mute {clean(type_, 100)}: for a minute to a year, not {seconds:g} s")
    if not agent or not type_:
        raise RequestError("mute: name the agent and the kind")
    with transaction(db):
        same = "agent = ? AND type = ? AND host IS ? AND until > ?"
        db.execute(f"DELETE FROM mutes WHERE {same} AND until <= ?", (agent, type_, host, now, now + seconds))  # noqa: S608
        done = db.execute(
            "INSERT INTO mutes (agent, type, host, by, at, until, note) VALUES (?,?,?,?,?,?,?)",
            (agent, type_, host, clean(by, 100), now, now + seconds, clean(note, LONGEST_NOTE)),
        )
    return next(each for each in mutes(db, now) if each.id == done.lastrowid)


def span_s(text: str) -> float:
    """`30m`, `12h` or `7d` in seconds.

    Raises:
        RequestError: it is none of them.
    """
    units = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
    if text[-1:] not in units or len(text) > 12 or not text[:-1].isascii() or not text[:-1].isdigit():
        raise RequestError(f"{clean(text, 20)!r} is no length of time: 30m, 12h, 7d, 2w")
    return int(text[:-1]) * units[text[-1]]


def unmute(db: sqlite3.Connection, mute_id: int, now: float) -> bool:
    """End a mute now; whether it was in force."""
    with transaction(db):
        return db.execute("UPDATE mutes SET until = ? WHERE id = ? AND until > ?", (now, mute_id, now)).rowcount > 0


def mutes(db: sqlite3.Connection, now: float, *, expired: bool = False) -> list[Mute]:
    """Mutes in force, the one that ends first at the top; `expired`: all that were ever made."""
    query = "SELECT id, agent, type, host, by, at, until, note FROM mutes WHERE until > ? ORDER BY until, id"
    return [Mute(*row) for row in db.execute(query, (0.0 if expired else now,))]


def is_muted(db: sqlite3.Connection, agent: str, type_: str, host: str, now: float) -> bool:
    """Whether this kind is muted at this host now."""
    query = "SELECT 1 FROM mutes WHERE agent = ? AND type = ? AND (host IS NULL OR host = ?) AND at <= ? AND until > ? LIMIT 1"
    return db.execute(query, (agent, type_, host, now, now)).fetchone() is not None
