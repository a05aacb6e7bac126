"""What somebody wants of an agent besides its version: that it pauses, that a challenger is judged beside it.

The pages write, the daemon follows; `challengers` is what the daemon has made of the second wish.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS switches (
    agent TEXT PRIMARY KEY, paused INTEGER NOT NULL DEFAULT 0, paused_at REAL, challenger TEXT, by TEXT NOT NULL DEFAULT '',
    at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS challengers (
    agent TEXT PRIMARY KEY, version TEXT NOT NULL, since REAL NOT NULL, error TEXT NOT NULL DEFAULT '',
    windows INTEGER NOT NULL DEFAULT 0, cpu_s REAL NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS challenger_verdicts (
    agent TEXT NOT NULL, host TEXT NOT NULL, window_start REAL NOT NULL, window_end REAL NOT NULL, version TEXT NOT NULL,
    score REAL, rarity REAL, is_anomaly INTEGER NOT NULL, type TEXT, severity TEXT, found_by TEXT NOT NULL,
    PRIMARY KEY (agent, host, window_start)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS challenger_verdicts_by_end ON challenger_verdicts (window_end);
"""


@dataclass(frozen=True, slots=True)
class Switch:
    """What is wanted of one agent."""

    agent: str
    paused: bool
    paused_at: float | None
    challenger: str | None
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class ChallengerRow:
    """A challenger as the daemon has it; `error` says why it is not judged."""

    agent: str
    version: str
    since: float
    error: str
    windows: int
    cpu_s: float


def switches(db: sqlite3.Connection) -> dict[str, Switch]:
    """Every agent of which something is wanted."""
    rows = db.execute("SELECT agent, paused, paused_at, challenger, by, at FROM switches")
    return {row[0]: Switch(row[0], bool(row[1]), row[2], row[3], row[4], row[5]) for row in rows}


def pause(db: sqlite3.Connection, agent: str, paused: bool, by: str, now: float) -> None:
    """Judge nothing for an agent until further notice, or go on; its cursor moves on meanwhile."""
    db.execute(
        "INSERT INTO switches (agent, paused, paused_at, by, at) VALUES (?,?,?,?,?) ON CONFLICT (agent) DO UPDATE SET"
        " paused_at = CASE WHEN excluded.paused THEN coalesce(paused_at, excluded.paused_at) END,"
        " paused = excluded.paused, by = excluded.by, at = excluded.at",
        (agent, int(paused), now if paused else None, by, now),
    )


def challenge(db: sqlite3.Connection, agent: str, version: str | None, by: str, now: float) -> None:
    """Judge a second version beside the active one; None ends it. One that failed before is tried again."""
    db.execute("UPDATE challengers SET error = '' WHERE agent = ? AND version = ?", (agent, version))
    db.execute(
        "INSERT INTO switches (agent, challenger, by, at) VALUES (?,?,?,?) ON CONFLICT (agent) DO UPDATE SET"
        " challenger = excluded.challenger, by = excluded.by, at = excluded.at",
        (agent, version, by, now),
    )


def challengers(db: sqlite3.Connection) -> dict[str, ChallengerRow]:
    """What is judged beside the active versions, by agent."""
    rows = db.execute("SELECT agent, version, since, error, windows, cpu_s FROM challengers")
    return {row[0]: ChallengerRow(*row) for row in rows}


def begin_challenger(db: sqlite3.Connection, agent: str, version: str, now: float, error: str = "") -> None:
    """The daemon judges it from now on (or says why not); what an earlier one said is forgotten."""
    known = db.execute("SELECT 1 FROM challengers WHERE agent = ? AND version = ?", (agent, version)).fetchone()
    if known:
        db.execute("UPDATE challengers SET error = ? WHERE agent = ?", (error, agent))
        return
    db.execute("DELETE FROM challenger_verdicts WHERE agent = ?", (agent,))
    db.execute(
        "INSERT OR REPLACE INTO challengers (agent, version, since, error) VALUES (?,?,?,?)",
        (agent, version, now, error),
    )


def end_challenger(db: sqlite3.Connection, agent: str) -> None:
    """Nothing is judged beside the active version any more."""
    db.execute("DELETE FROM challengers WHERE agent = ?", (agent,))
    db.execute("DELETE FROM challenger_verdicts WHERE agent = ?", (agent,))


def forget(db: sqlite3.Connection, before: float) -> int:
    """Remove challengers' verdicts of windows that ended before a moment; gives how many."""
    return db.execute("DELETE FROM challenger_verdicts WHERE window_end < ?", (before,)).rowcount
