"""Messages that wait to be sent: rows that a cycle writes in its own transaction, and a child takes out (notify.py).

A message's `key` is used once for ever, so that nothing is told twice: not after a crash, not by two callers.
Times: seconds since the epoch.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass

from shared.clean import clean

WAITING, SENT, FAILED = "waiting", "sent", "failed"
TITLE_CHARS, BODY_CHARS = 200, 3_000
FIRST_RETRY_S, LONGEST_RETRY_S = 60.0, 3_600.0
GIVE_UP_S = 86_400.0  # a message of yesterday that never got through is no news
KEEP_S = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `severity` info, warning or critical: critical ones are sent in quiet hours too."""

    id: int
    kind: str  # "incident", "raised", "model", "source", "drift", "test"
    key: str
    severity: str
    title: str
    body: str
    created: float
    due: float
    attempts: int
    state: str  # "waiting", "sent" or "failed"
    error: str
    sent: float | None
    taken: str = ""  # names of the channels that have it already, a line each

    @property
    def told(self) -> frozenset[str]:
        """The channels that have it already: another try leaves them alone."""
        return frozenset(self.taken.splitlines())


def put(db: sqlite3.Connection, kind: str, key: str, severity: str, title: str, body: str, now: float) -> bool:
    """Add a message, inside the caller's transaction where there is one; False where its key was used before."""
    lines = "\n".join(clean(line, 500) for line in body.split("\n"))
    done = db.execute(
        "INSERT OR IGNORE INTO outbox (kind, key, severity, title, body, created, due) VALUES (?,?,?,?,?,?,?)",
        (kind, key, severity, clean(title, TITLE_CHARS), lines[:BODY_CHARS], now, now),
    )
    return done.rowcount > 0


def due(db: sqlite3.Connection, now: float, limit: int = 100) -> list[Message]:
    """Messages to send now, the oldest first."""
    query = "SELECT * FROM outbox WHERE state = 'waiting' AND due <= ? ORDER BY id LIMIT ?"
    return [Message(**dict(row)) for row in db.execute(query, (now, limit))]


def next_due(db: sqlite3.Connection) -> float | None:
    """When the next message is to be sent, or None where nothing waits."""
    value = db.execute("SELECT min(due) FROM outbox WHERE state = 'waiting'").fetchone()[0]
    return None if value is None else float(value)


def newest(
    db: sqlite3.Connection, limit: int = 100, state: str | None = None, kind: str | None = None
) -> list[Message]:
    """The newest messages, of any state and kind unless they are named."""
    query = (
        "SELECT * FROM outbox WHERE (?1 IS NULL OR state = ?1) AND (?2 IS NULL OR kind = ?2) ORDER BY id DESC LIMIT ?3"
    )
    return [Message(**dict(row)) for row in db.execute(query, (state, kind, limit))]


def message(db: sqlite3.Connection, number: int) -> Message | None:
    """One message, None where there is none of that number (any more)."""
    row = db.execute("SELECT * FROM outbox WHERE id = ?", (number,)).fetchone()
    return None if row is None else Message(**dict(row))


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """How many messages wait, were sent, were given up."""
    found = dict(db.execute("SELECT state, count(*) FROM outbox GROUP BY state").fetchall())
    return {state: found.get(state, 0) for state in (WAITING, SENT, FAILED)}


def hurry(db: sqlite3.Connection, now: float) -> int:
    """Try what did not get through again now; gives how many messages. Those that quiet hours hold back wait on."""
    return db.execute("UPDATE outbox SET due = ? WHERE state = 'waiting' AND attempts > 0", (now,)).rowcount


def note_sent(db: sqlite3.Connection, message: Message, now: float) -> None:
    """It got through."""
    db.execute("UPDATE outbox SET state = 'sent', sent = ?, error = '' WHERE id = ?", (now, message.id))


def note_failed(db: sqlite3.Connection, message: Message, error: str, now: float, told: Collection[str] = ()) -> None:
    """It did not: try again in 1, 2, 4 … minutes up to an hour, for a day. `told`: the channels that have it now."""
    wait_s = min(FIRST_RETRY_S * 2.0**message.attempts, LONGEST_RETRY_S)
    state = FAILED if now + wait_s - message.created > GIVE_UP_S else WAITING
    db.execute(
        "UPDATE outbox SET attempts = attempts + 1, due = ?, state = ?, error = ?, taken = ? WHERE id = ?",
        (now + wait_s, state, clean(error, 300), "\n".join(sorted(message.told | set(told))), message.id),
    )


def postpone(db: sqlite3.Connection, message: Message, until: float) -> None:
    """Not before `until`: quiet hours."""
    db.execute("UPDATE outbox SET due = ? WHERE id = ?", (until, message.id))


def prune(db: sqlite3.Connection, now: float) -> int:
    """Delete what was sent or given up a month ago; inside the caller's transaction where there is one."""
    return db.execute("DELETE FROM outbox WHERE state <> 'waiting' AND created < ?", (now - KEEP_S,)).rowcount
