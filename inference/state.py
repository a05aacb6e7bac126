"""The durable state of a Pi: one SQLite file (WAL) that the daemon writes and the pages read.

A cycle's cursor, verdicts, incidents and judge memory are committed in ONE transaction, so that a crash at any moment
either forgets the whole cycle (it is read again) or none of it. `synchronous=NORMAL` may lose the last commits at a
power cut, but then the cursor is lost with them: nothing is skipped and nothing is judged twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inference.incidents import Incident, Incidents
from inference.judging.reopen import MOST_REOPENED, Reopen
from inference.judging.silences import Heard, take_back
from inference.keeping.file import check_form, connect, open_checked, transaction
from inference.keeping.writing import mend, open_incidents, revise_verdicts, save_hosts, save_verdicts
from inference.source import Cursor
from shared.values import Verdict

__all__ = ["NOTHING_HEARD", "State", "Tell", "check_form", "connect", "open_checked", "transaction"]

NOTHING_HEARD: Heard = {}
Tell = Callable[[sqlite3.Connection, Mapping[str, Incident], Iterable[Verdict], float], None]


def _tell_nobody(
    db: sqlite3.Connection, incidents: Mapping[str, Incident], verdicts: Iterable[Verdict], now: float
) -> None:
    """Where no notifications are configured."""


class State:
    """What a cycle reads and writes, over one connection that the daemon's main thread owns.

    `tell` hears, inside the transaction, of the incidents that changed and of the verdicts behind them.
    """

    def __init__(self, db: sqlite3.Connection, tell: Tell = _tell_nobody) -> None:
        self.db, self._tell = db, tell
        self._saved: dict[tuple[str, str], str] = {}  # what the small tables hold: an idle cycle then writes nothing

    def cursor(self, name: str = "logs") -> Cursor | None:
        """Where reading stands, or None before the first cycle."""
        row = self.db.execute("SELECT value FROM cursor WHERE name = ?", (name,)).fetchone()
        return None if row is None else Cursor.from_json(row["value"])

    def memory(self, agent: str) -> dict[str, Any] | None:
        """The judge's memory as last committed, or None."""
        row = self.db.execute("SELECT value FROM memory WHERE agent = ?", (agent,)).fetchone()
        return None if row is None else dict(json.loads(row["value"]))

    def open_incidents(self) -> Incidents:
        """The incidents that a coming anomaly may still join."""
        return Incidents(open_incidents(self.db))

    def commit(
        self,
        cursor: Cursor,
        verdicts: Iterable[Verdict],
        memories: Mapping[str, Mapping[str, Any]],
        incidents: Incidents,
        closed: Mapping[str, float],
        scored_at: float,
        reopened: Iterable[Reopen] = (),
    ) -> list[Verdict]:
        """Save one cycle in one transaction; returns the verdicts that were new, with their incident's key.

        A window that already has a verdict keeps it: `revise` alone changes one. `closed` says up to when each agent has
        judged: incidents that nothing can join any more end. `reopened` windows wait until they are due.
        """
        todo, again = list(verdicts), list(reopened)
        if not todo:
            incidents.settle(closed)
        ended = incidents.take_ended()
        small = {("cursor", "logs"): cursor.to_json()}
        small |= {("memory", agent): json.dumps(memory, separators=(",", ":")) for agent, memory in memories.items()}
        changed = {key: value for key, value in small.items() if self._saved.get(key) != value}
        if not (todo or ended or changed or again):
            return []
        self._saved = {}
        with transaction(self.db) as db:
            new, grown = save_verdicts(db, todo, incidents, scored_at)
            incidents.settle(closed)
            for each in [*ended, *incidents.take_ended()]:
                db.execute("UPDATE incidents SET state = 'ended' WHERE key = ?", (each.key,))
            for (table, key), value in changed.items():
                db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, value))  # noqa: S608 (two names of ours)
            save_hosts(db, todo)
            _note_reopened(db, again)
            self._tell(db, grown, new, scored_at)
        self._saved = small
        return new

    def due_again(self, now: float, limit: int) -> list[Reopen]:
        """Windows that are to be judged again now, the oldest first."""
        query = (
            "SELECT agent, host, window_start, rows, due FROM reopen WHERE due <= ? ORDER BY window_start, host LIMIT ?"
        )
        return [Reopen(*row) for row in self.db.execute(query, (now, limit))]

    def version_of(self, agent: str, host: str, start: float) -> str | None:
        """The version that a window's verdict is of, None where it has no verdict."""
        query = "SELECT model_version FROM verdicts WHERE agent = ? AND host = ? AND window_start = ?"
        row = self.db.execute(query, (agent, host, start)).fetchone()
        return None if row is None else str(row[0])

    def has_judged(self, agent: str, start: float) -> bool:
        """Whether the agent had judged by then: before its first model, windows are nobody's."""
        query = "SELECT 1 FROM verdicts WHERE agent = ? AND window_start <= ? LIMIT 1"
        return self.db.execute(query, (agent, start)).fetchone() is not None

    def rows_of(self, agent: str, host: str, first: float, last: float) -> dict[float, int]:
        """How many rows each judged window of a host had, by its start in first..last."""
        query = "SELECT window_start, rows FROM verdicts WHERE agent = ? AND host = ? AND window_start BETWEEN ? AND ?"
        return {row[0]: row[1] for row in self.db.execute(query, (agent, host, first, last))}

    def revise(
        self, verdicts: Iterable[Verdict], done: Iterable[Reopen], scored_at: float, heard: Heard = NOTHING_HEARD
    ) -> list[Verdict]:
        """Put these verdicts in the place of older ones and forget what was to be done; gives those that changed.

        `heard` says when hosts spoke, by what is known now: silences that it disproves are taken back.
        """
        with transaction(self.db) as db:
            revised, changed = revise_verdicts(db, verdicts, scored_at)
            changed |= mend(db, take_back(db, heard))
            keys = [(each.agent, each.host, each.window_start) for each in done]
            db.executemany("DELETE FROM reopen WHERE agent = ? AND host = ? AND window_start = ?", keys)
            save_hosts(db, revised)
            self._tell(db, changed, revised, scored_at)
        return revised

    def set_status(self, values: Mapping[str, Any], now: float) -> None:
        """Publish facts about the daemon to the pages, as JSON under a key."""
        rows = [(key, json.dumps(value), now) for key, value in values.items()]
        with transaction(self.db) as db:
            db.executemany("INSERT OR REPLACE INTO status (key, value, updated) VALUES (?, ?, ?)", rows)

    def prune(self, before: float, anomalies_before: float) -> int:
        """Delete normal verdicts that ended before `before`, and incidents with theirs before `anomalies_before`."""
        with transaction(self.db) as db:
            gone = db.execute("DELETE FROM verdicts WHERE is_anomaly = 0 AND window_end < ?", (before,)).rowcount
            old = "SELECT id FROM verdicts WHERE is_anomaly = 1 AND window_end < ?"
            db.execute(f"DELETE FROM lines WHERE verdict_id IN ({old})", (anomalies_before,))  # noqa: S608 (ours)
            gone += db.execute("DELETE FROM verdicts WHERE window_end < ?", (anomalies_before,)).rowcount
            db.execute("DELETE FROM incidents WHERE state = 'ended' AND ended < ?", (anomalies_before,))
            db.execute("DELETE FROM hosts WHERE last_row < ?", (anomalies_before,))
        return gone


def _note_reopened(db: sqlite3.Connection, reopened: Iterable[Reopen]) -> None:
    """Remember windows to be judged again; a window that waits already keeps its moment."""
    db.executemany(
        "INSERT INTO reopen SELECT ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM reopen) < ?"
        " ON CONFLICT (agent, host, window_start) DO UPDATE SET rows = rows + excluded.rows",
        [(each.agent, each.host, each.window_start, each.rows, each.due, MOST_REOPENED) for each in reopened],
    )
