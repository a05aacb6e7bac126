"""Jobs and their queue, in one SQLite file: whoever asks, works or watches may be another process, or start again.

A job is `queued`, then `running`, then one of `completed`, `failed`, `cancelled`, `interrupted`. Only the worker moves a
job on from `queued`; pages and API add jobs and ask for a stop.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared.errors import StoreError
from shared.forms import bring_forward
from trainer.tasks import orders
from trainer.tasks.orders import Order, RollbackOrder
from trainer.tasks.record import (
    CANCELLED,
    COLUMNS,
    COMPLETED,
    FAILED,
    FORM,
    INTERRUPTED,
    JSON,
    OPEN,
    QUEUED,
    RUNNING,
    Job,
    job_of,
)

__all__ = [
    "CANCELLED",
    "COMPLETED",
    "FAILED",
    "INTERRUPTED",
    "OPEN",
    "QUEUED",
    "RUNNING",
    "Job",
    "JobStore",
    "QueueFullError",
]

FILE = "jobs.sqlite"
LOGS = "jobs"
MAX_QUEUED = 20
MAX_ATTEMPTS = 2  # a job that takes the machine down with it is not tried for ever
CUT_SHORT = "the service was stopped while this job ran"


class QueueFullError(StoreError):
    """As many jobs wait as may: try again when one is done."""


class JobStore:
    """The jobs of one state folder. Every method is one transaction; any number of processes may call them."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir

    def submit(self, order: Order, by: str, now: float) -> Job:
        """Add a job to the queue; the same order that waits already is not added twice, and answered with that job.

        Nor is going back twice at once: the second would go forward again.

        Raises:
            QueueFullError: too many wait. StoreError: the state folder cannot be written.
        """
        kind, text = orders.kind_of(order), json.dumps(orders.as_json(order), sort_keys=True)
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            same = db.execute(
                'SELECT number FROM jobs WHERE kind = ? AND "order" = ? AND (state = ? OR state = ? AND ? AND NOT stopping)',
                (kind, text, QUEUED, RUNNING, isinstance(order, RollbackOrder)),
            ).fetchone()
            if same:
                return self._one(db, int(same[0]))
            (waiting,) = db.execute("SELECT count(*) FROM jobs WHERE state = ?", (QUEUED,)).fetchone()
            if waiting >= MAX_QUEUED:
                raise QueueFullError(f"jobs: {waiting} wait already, the most there may be; try again when one is done")
            return self._one(db, _add(db, order, by, QUEUED, now))

    def add_ended(self, order: Order, by: str, state: str, began: float, ended: float, said: Mapping[str, Any]) -> Job:
        """Keep what somebody did without the queue, with all that is said of it."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            number = _add(db, order, by, state, began)
            _set(db, number, {**said, "started": began, "ended": ended, "updated": ended})
            return self._one(db, number)

    def find(self, reference: str) -> Job | None:
        """The job of this number or key."""
        with self._open() as db:
            number = int(reference) if reference.isascii() and reference.isdigit() and len(reference) < 16 else -1
            rows = self._rows(db, "WHERE number = ? OR key = ?", (number, reference))
        return rows[0] if rows else None

    def listed(self, *, kinds: Sequence[str] = (), states: Sequence[str] = (), limit: int = 50) -> list[Job]:
        """The newest first, of these kinds and states where given."""
        where, values = [], []
        for column, wanted in (("kind", kinds), ("state", states)):
            if wanted:
                where.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += list(wanted)
        clause = f"WHERE {' AND '.join(where)}" if where else ""
        with self._open() as db:
            return self._rows(db, f"{clause} ORDER BY number DESC LIMIT ?", (*values, limit))

    def position(self, job: Job) -> int:
        """How many jobs of its lane are before it."""
        with self._open() as db:
            query = "SELECT count(*) FROM jobs WHERE lane = ? AND state IN (?, ?) AND number < ?"
            return int(db.execute(query, (job.lane, *OPEN, job.number)).fetchone()[0])

    def stop(self, job: Job, now: float) -> Job | None:
        """Ask for a stop: one that waits is cancelled at once, one that runs soon. None: it had ended already."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            if db.execute(
                "UPDATE jobs SET state = ?, ended = ?, updated = ? WHERE number = ? AND state = ?",
                (CANCELLED, now, now, job.number, QUEUED),
            ).rowcount:
                return self._one(db, job.number)
            asked = db.execute("UPDATE jobs SET stopping = 1 WHERE number = ? AND state = ?", (job.number, RUNNING))
            return self._one(db, job.number) if asked.rowcount else None

    def pause(self, job: Job, paused: bool, now: float) -> Job | None:
        """Let a roll-out begin no further wave, or go on. None: it comes in no waves, or is over."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            known = self._one(db, job.number)
            if not known.may_pause:
                return None
            db.execute("UPDATE jobs SET paused = ?, updated = ? WHERE number = ?", (int(paused), now, job.number))
            return self._one(db, job.number)

    def claim(self, lane: str, now: float) -> Job | None:
        """Take the next of a lane; the worker's alone."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute(
                "SELECT number FROM jobs WHERE state = ? AND lane = ? ORDER BY number LIMIT 1", (QUEUED, lane)
            ).fetchone()
            if row is None:
                return None
            db.execute(
                "UPDATE jobs SET state = ?, started = ?, updated = ?, attempts = attempts + 1, step = '', share = 0,"
                " trail = '[]', stopping = 0 WHERE number = ?",
                (RUNNING, now, now, row[0]),
            )
            return self._one(db, int(row[0]))

    def tell(self, number: int, now: float, **said: Any) -> bool:
        """Note what a running job says of itself; True: somebody asked it to stop."""
        with self._open() as db:
            _set(db, number, {**said, "updated": now})
            row = db.execute("SELECT stopping FROM jobs WHERE number = ?", (number,)).fetchone()
        return bool(row and row[0])

    def end(self, number: int, state: str, now: float, **said: Any) -> None:
        """A job has ended."""
        self.tell(number, now, state=state, ended=now, **said)

    def give_back(self, job: Job, now: float) -> None:
        """The worker stops while this job runs: it waits again where it may, and this time did not count."""
        again = job.kind in orders.REPEATED
        state, error = (QUEUED, "") if again else (INTERRUPTED, CUT_SHORT)
        tries = job.attempts - 1 if again else job.attempts
        self.tell(job.number, now, state=state, attempts=tries, error=error, ended=None if again else now)

    def recover(self, now: float) -> list[Job]:
        """Called by a new worker: what ran when the last one ended waits again, at most once and only if it may."""
        with self._open() as db:
            db.execute("BEGIN IMMEDIATE")
            left = self._rows(db, "WHERE state = ?", (RUNNING,))
            for job in left:
                again = job.kind in orders.REPEATED and job.attempts < MAX_ATTEMPTS and not job.stopping
                state = QUEUED if again else CANCELLED if job.stopping else INTERRUPTED
                error = "" if again or job.stopping else CUT_SHORT
                db.execute(
                    "UPDATE jobs SET state = ?, ended = ?, updated = ?, error = ? WHERE number = ?",
                    (state, None if again else now, now, error, job.number),
                )
        return left

    def forget(self, before: float) -> int:
        """Remove ended jobs and their logs from before a moment; gives how many."""
        with self._open() as db:
            rows = self._rows(db, "WHERE ended < ? AND state NOT IN (?, ?)", (before, *OPEN))
            db.executemany("DELETE FROM jobs WHERE number = ?", [(job.number,) for job in rows])
        for job in rows:
            self.log_of(job).unlink(missing_ok=True)
        return len(rows)

    def counts(self) -> dict[tuple[str, str], tuple[int, float]]:
        """(kind, state) → how many there are, and how long they ran together (s)."""
        query = "SELECT kind, state, count(*), coalesce(sum(ended - started), 0) FROM jobs GROUP BY kind, state"
        with self._open() as db:
            return {(kind, state): (int(count), float(seconds)) for kind, state, count, seconds in db.execute(query)}

    def log_of(self, job: Job) -> Path:
        """The file that holds what a job logged."""
        return self.state_dir / LOGS / f"{job.number}.log"

    def _one(self, db: sqlite3.Connection, number: int) -> Job:
        return self._rows(db, "WHERE number = ?", (number,))[0]

    def _rows(self, db: sqlite3.Connection, clause: str, values: Sequence[Any]) -> list[Job]:
        query = f"SELECT {COLUMNS} FROM jobs {clause}"  # noqa: S608 (our own column names)
        return [job_of(row) for row in db.execute(query, tuple(values))]

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        path = self.state_dir / FILE
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            with contextlib.closing(sqlite3.connect(path, timeout=10.0, isolation_level=None)) as db:
                db.execute("PRAGMA synchronous = NORMAL")
                bring_forward(db, FORM)
                yield db
                if db.in_transaction:
                    db.execute("COMMIT")
        except (OSError, sqlite3.Error) as cause:
            raise StoreError(f"jobs: {path}: {cause}; check the state folder's owner and free space") from cause


def _add(db: sqlite3.Connection, order: Order, by: str, state: str, now: float) -> int:
    kind, text = orders.kind_of(order), json.dumps(orders.as_json(order), sort_keys=True)
    row = (uuid.uuid4().hex, kind, orders.lane_of(kind), getattr(order, "agent", None) or "", orders.subject_of(order))
    made = db.execute(
        'INSERT INTO jobs (key, kind, lane, agent, subject, "order", by, state, created, updated)'
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*row, text, by, state, now, now),
    )
    return int(made.lastrowid or 0)


def _set(db: sqlite3.Connection, number: int, said: Mapping[str, Any]) -> None:
    columns = ", ".join(f"{name} = ?" for name in said)
    values = [json.dumps(value, default=str) if name in JSON else value for name, value in said.items()]
    db.execute(f"UPDATE jobs SET {columns} WHERE number = ?", (*values, number))  # noqa: S608 (our own column names)
