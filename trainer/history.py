"""The trainer's record of transfers: who got what, when, and what became of it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import astuple, dataclass
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
    serves); `state`: sent, loaded, good, challenger, refused, returned, failed, skipped or unknown."""

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


def record(state_dir: Path, transfer: Transfer) -> None:
    """Add one.

    Raises:
        StoreError: the state folder cannot be written.
    """
    marks = ", ".join("?" * len(Transfer.__dataclass_fields__))
    with _open(state_dir) as db:
        db.execute(f"INSERT INTO transfers ({_columns()}) VALUES ({marks})", astuple(transfer))  # noqa: S608 (our own column names)


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
    query = f"SELECT {_columns()} FROM transfers WHERE at >= ?{conditions} ORDER BY id DESC LIMIT ?"  # noqa: S608 (our own column names)
    with _open(state_dir) as db:
        return [Transfer(*row) for row in db.execute(query, (since, *given.values(), limit))]


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
    return ", ".join(Transfer.__dataclass_fields__)


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
