"""The trainer's record of transfers: who got what, when, and what became of it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from shared.errors import StoreError
from shared.forms import Form, bring_forward

FILE = "history.sqlite"
SHIP, ROLLBACK, CHALLENGE = "ship", "rollback", "challenge"

_FORM = Form(
    "history",
    """
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, what TEXT NOT NULL, target TEXT NOT NULL,
    agent TEXT NOT NULL, version TEXT NOT NULL, serial INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
    seconds REAL NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL);
""",
)


@dataclass(frozen=True, slots=True)
class Transfer:
    """One attempt to bring a version to a target. `what`: ship, rollback or challenge (to be judged beside what
    serves); `state`: sent, loaded, good, challenger, refused, returned, failed, skipped or unknown. `replaced`: it
    served, or was judged beside, and something newer took its place there; never stored, worked out when it is read."""

    at: float
    what: str
    target: str
    agent: str
    version: str
    serial: int
    size_bytes: int
    seconds: float
    state: str
    code: str = ""
    reason: str = ""
    replaced: bool = False


# the newest transfer to each target that came to serve, and that came to be judged beside
_NEWEST = """WITH newest AS (
    SELECT target AS place, agent AS kind, state = 'challenger' AS beside, max(id) AS top FROM transfers
    WHERE state IN ('loaded', 'good', 'challenger') GROUP BY target, agent, state = 'challenger')"""
_JOINED = """LEFT JOIN newest ON place = target AND kind = agent AND beside = (state = 'challenger')
    AND state IN ('loaded', 'good', 'challenger')"""
_STORED = tuple(name for name in Transfer.__dataclass_fields__ if name != "replaced")


def record(state_dir: Path, transfer: Transfer) -> None:
    """Add one.

    Raises:
        StoreError: the state folder cannot be written.
    """
    marks = ", ".join("?" * len(_STORED))
    with _open(state_dir) as db:
        values = [getattr(transfer, name) for name in _STORED]
        db.execute(f"INSERT INTO transfers ({_columns()}) VALUES ({marks})", values)  # noqa: S608 (our own column names)


def transfers(
    state_dir: Path,
    *,
    target: str | None = None,
    agent: str | None = None,
    version: str | None = None,
    state: str | None = None,
    since: float = 0.0,
    limit: int = 100,
) -> list[Transfer]:
    """The newest first; of one target, agent, version or state where given."""
    wanted = {"target": target, "agent": agent, "version": version, "state": state}
    given = {name: value for name, value in wanted.items() if value}
    conditions = "".join(f" AND {name} = ?" for name in given)
    query = (
        f"{_NEWEST} SELECT {_columns()}, coalesce(id < top, 0) FROM transfers {_JOINED}"  # noqa: S608 (our own column names)
        f" WHERE at >= ?{conditions} ORDER BY id DESC LIMIT ?"
    )
    with _open(state_dir) as db:
        rows = db.execute(query, (since, *given.values(), limit)).fetchall()
    return [replace(Transfer(*row[:-1]), replaced=bool(row[-1])) for row in rows]


def latest(state_dir: Path) -> dict[tuple[str, str], Transfer]:
    """What happened last of what is to serve, by target and agent."""
    return _last(state_dir, f"what != '{CHALLENGE}'")


def challengers(state_dir: Path) -> dict[tuple[str, str], Transfer]:
    """What was last sent to be judged beside, by target and agent."""
    return _last(state_dir, f"what = '{CHALLENGE}'")


def _last(state_dir: Path, condition: str) -> dict[tuple[str, str], Transfer]:
    newest = f"SELECT max(id) FROM transfers WHERE {condition} GROUP BY target, agent"  # noqa: S608 (our own words)
    with _open(state_dir) as db:
        query = f"SELECT {_columns()} FROM transfers WHERE id IN ({newest})"  # noqa: S608 (our own column names)
        found = [Transfer(*row) for row in db.execute(query)]
    return {(transfer.target, transfer.agent): transfer for transfer in found}


def forget(state_dir: Path, before: float) -> int:
    """Remove what is older than a moment; gives how many."""
    with _open(state_dir) as db:
        return db.execute("DELETE FROM transfers WHERE at < ?", (before,)).rowcount


def _columns() -> str:
    return ", ".join(_STORED)


@contextlib.contextmanager
def _open(state_dir: Path) -> Iterator[sqlite3.Connection]:
    path = state_dir / FILE
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.closing(sqlite3.connect(path, timeout=10.0)) as db, db:
            bring_forward(db, _FORM)
            yield db
    except (OSError, sqlite3.Error) as cause:
        raise StoreError(f"history: {path}: {cause}; check the state folder's owner and free space") from cause
