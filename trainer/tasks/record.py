"""A job as its file keeps it: the table, its states, and one row as a value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.forms import Form

QUEUED, RUNNING = "queued", "running"
COMPLETED, FAILED, CANCELLED, INTERRUPTED = "completed", "failed", "cancelled", "interrupted"
OPEN = (QUEUED, RUNNING)

FORM = Form(
    "jobs",
    """
CREATE TABLE IF NOT EXISTS jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, lane TEXT NOT NULL,
    agent TEXT NOT NULL, subject TEXT NOT NULL, "order" TEXT NOT NULL, by TEXT NOT NULL, state TEXT NOT NULL,
    created REAL NOT NULL, started REAL, ended REAL, updated REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    step TEXT NOT NULL DEFAULT '', share REAL NOT NULL DEFAULT 0, trail TEXT NOT NULL DEFAULT '[]',
    steps TEXT NOT NULL DEFAULT '[]', memory_bytes INTEGER NOT NULL DEFAULT 0, stopping INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '', code TEXT NOT NULL DEFAULT '', result TEXT NOT NULL DEFAULT '{}');
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, lane, number);
""",
    later={"jobs": {"paused": "INTEGER NOT NULL DEFAULT 0"}},
)
JSON = ("order", "trail", "steps", "result")  # columns that hold JSON
_FLAGS = ("stopping", "paused")


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands. Times in seconds since the epoch; `share` of the whole that is done, 0 to 1.

    `trail`: the steps begun so far as [name, when, what came of it]; `steps`: all of them by name, in order. `paused`: a
    roll-out begins no further wave until somebody says so.
    """

    number: int
    key: str
    kind: str
    lane: str
    agent: str
    subject: str
    order: Mapping[str, Any]
    by: str
    state: str
    created: float
    started: float | None
    ended: float | None
    updated: float
    attempts: int
    step: str
    share: float
    trail: Sequence[Sequence[Any]]
    steps: Sequence[str]
    memory_bytes: int
    stopping: bool
    error: str
    code: str
    result: Mapping[str, Any]
    paused: bool = False

    @property
    def is_open(self) -> bool:
        """Does it wait or run?"""
        return self.state in OPEN

    @property
    def exports(self) -> tuple[str, ...]:
        """The exports that its order reads, whichever release wrote the order."""
        named = self.order.get("exports") or [self.order.get("export")]
        return tuple(str(name) for name in named if name)

    @property
    def may_pause(self) -> bool:
        """Is it something that comes in waves, and not over?"""
        return self.is_open and self.kind == "ship" and bool(self.order.get("group"))


COLUMNS = ", ".join(f'"{name}"' for name in Job.__dataclass_fields__)


def job_of(row: Sequence[Any]) -> Job:
    """A job from its row of `COLUMNS`."""
    told = dict(zip(Job.__dataclass_fields__, row, strict=True))
    return Job(**{**told, **{n: json.loads(told[n]) for n in JSON}, **{n: bool(told[n]) for n in _FLAGS}})
