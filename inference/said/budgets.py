"""The alert budget: at most how many incidents a week and host the model may raise. Set at any time, without training.

Rules and silences are not counted against it: they say what happened. The daemon takes a change up between two cycles.
"""

from __future__ import annotations

import math
import sqlite3
from dataclasses import dataclass

from inference.keeping.file import transaction
from shared.clean import clean
from shared.errors import RequestError

LEAST, MOST = 0.001, 1_000.0


@dataclass(frozen=True, slots=True)
class Budget:
    """What somebody set for one agent."""

    agent: str
    per_week: float
    by: str
    at: float


def budgets(db: sqlite3.Connection) -> dict[str, Budget]:
    """What is set, by agent; an agent that is missing has its bundle's own budget, or the setting's."""
    rows = db.execute("SELECT agent, per_week, by, at FROM budgets ORDER BY agent")
    return {row["agent"]: Budget(*row) for row in rows}


def set_budget(db: sqlite3.Connection, agent: str, per_week: float, *, by: str, now: float) -> Budget:
    """At most `per_week` incidents a week and host.

    Raises:
        RequestError: it is not between 0.001 and 1000. StoreError: the state file cannot be written.
    """
    if not (math.isfinite(per_week) and LEAST <= per_week <= MOST):
        raise RequestError(f"alert budget: {per_week:g} incidents a week and host; say {LEAST:g} to {MOST:g}")
    with transaction(db):
        db.execute("INSERT OR REPLACE INTO budgets VALUES (?, ?, ?, ?)", (agent, per_week, clean(by, 100), now))
    return Budget(agent, per_week, clean(by, 100), now)


def clear_budget(db: sqlite3.Connection, agent: str) -> bool:
    """Back to the bundle's own; whether one was set."""
    with transaction(db):
        return db.execute("DELETE FROM budgets WHERE agent = ?", (agent,)).rowcount > 0
