"""The durable state of a Pi: one SQLite file (WAL) that the daemon writes and the pages read.

A cycle's cursor, verdicts, incidents and judge memory are committed in ONE transaction, so that a crash at any moment
either forgets the whole cycle (it is read again) or none of it. `synchronous=NORMAL` may lose the last commits at a
power cut, but then the cursor is lost with them: nothing is skipped and nothing is judged twice.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference.incidents import Incident, Incidents, Kind
from inference.source import Cursor
from shared.errors import StoreError
from shared.values import Verdict

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 5.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL, host TEXT NOT NULL, window_start REAL NOT NULL, window_end REAL NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0, model_version TEXT NOT NULL, role TEXT NOT NULL, rows INTEGER NOT NULL,
    score REAL, rarity REAL, is_anomaly INTEGER NOT NULL, type TEXT, severity TEXT, confidence REAL,
    description TEXT NOT NULL, found_by TEXT NOT NULL, features TEXT NOT NULL, explanation TEXT NOT NULL,
    incident_id INTEGER, scored_at REAL NOT NULL,
    UNIQUE (agent, host, window_start));
CREATE INDEX IF NOT EXISTS verdicts_by_end ON verdicts (window_end);
CREATE INDEX IF NOT EXISTS verdicts_by_incident ON verdicts (incident_id) WHERE incident_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS lines (
    verdict_id INTEGER NOT NULL, n INTEGER NOT NULL, time REAL NOT NULL, program TEXT NOT NULL, message TEXT NOT NULL,
    PRIMARY KEY (verdict_id, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, host TEXT NOT NULL,
    type TEXT NOT NULL, severity TEXT NOT NULL, started REAL NOT NULL, peak REAL NOT NULL, ended REAL NOT NULL,
    windows INTEGER NOT NULL, score REAL, rarity REAL, confidence REAL NOT NULL, description TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'ended')), found_by TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS incidents_by_end ON incidents (ended);
CREATE TABLE IF NOT EXISTS hosts (
    agent TEXT NOT NULL, host TEXT NOT NULL, last_row REAL NOT NULL, PRIMARY KEY (agent, host)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memory (agent TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS status (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated REAL NOT NULL) WITHOUT ROWID;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the state file, creating it and its tables where missing.

    The connection is in autocommit mode (use `transaction`) and may be used by one thread at a time.

    Raises:
        StoreError: the folder or the file cannot be written, or the file is not a database.
    """
    from inference import bundle_store  # here, because it opens its rows through this module

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA cache_size=-512")  # kB: the pages of one transaction; the system caches the file anyway
        db.executescript(SCHEMA)
        db.executescript(bundle_store.SCHEMA)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"open state: {path}: {error}; check the folder's owner, permissions and free space"
        ) from error
    return db


def open_checked(path: Path) -> sqlite3.Connection:
    """`connect`, but a damaged file is moved aside first and a new one is begun: the daemon must come up by itself.

    The rows lost are read again from the log source, and the active model again from the inbox.
    """
    if path.exists() and not _is_sound(path):
        aside = path.with_name(f"{path.name}.damaged-{int(path.stat().st_mtime)}")
        logger.error("state file is damaged, moved aside file=%s aside=%s", path, aside)
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                os.replace(part, aside.with_name(aside.name + suffix))
    return connect(path)


def _is_sound(path: Path) -> bool:
    """Whether SQLite's quick check passes (24 ms for 1.6 MB; finds 199 of 200 damaged pages)."""
    try:
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            db.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            return True
        raise StoreError(f"open state: {path}: {error}; check the file's owner, permissions and free space") from error
    except sqlite3.DatabaseError:
        return False


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: all of it or nothing.

    Raises:
        StoreError: the disk is full, read-only or failing; nothing was changed.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        raise StoreError(f"write state: {error}; check free space and permissions of the state folder") from error
    except BaseException:
        _roll_back(db)
        raise


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")


class State:
    """What a cycle reads and writes, over one connection that the daemon's main thread owns."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
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
        """The incidents that a coming anomaly may still join, with what is needed to go on naming them."""
        rows = self.db.execute("SELECT * FROM incidents WHERE state = 'open'").fetchall()
        return Incidents(_incident(row, self._kinds(int(row["id"]))) for row in rows)

    def _kinds(self, incident_id: int) -> dict[str, Kind]:
        kinds: dict[str, Kind] = {}
        query = (
            "SELECT type, severity, confidence, description FROM verdicts WHERE incident_id = ? ORDER BY window_start"
        )
        for row in self.db.execute(query, (incident_id,)):
            found = Kind.of(row["severity"], row["confidence"], row["description"])
            kinds[row["type"]] = kinds[row["type"]].joined(found) if row["type"] in kinds else found
        return kinds

    def commit(
        self,
        cursor: Cursor,
        verdicts: Iterable[Verdict],
        memories: Mapping[str, Mapping[str, Any]],
        incidents: Incidents,
        closed: Mapping[str, float],
        scored_at: float,
    ) -> list[Verdict]:
        """Save one cycle in one transaction; returns the verdicts that were new, with their incident's key.

        A window that already has a verdict keeps it: closed windows are never scored again. `closed` says up to when
        each agent has judged: incidents that nothing can join any more end.
        """
        todo = list(verdicts)
        if not todo:
            incidents.settle(closed)
        ended = incidents.take_ended()
        small = {("cursor", "logs"): cursor.to_json()}
        small |= {("memory", agent): json.dumps(memory, separators=(",", ":")) for agent, memory in memories.items()}
        changed = {key: value for key, value in small.items() if self._saved.get(key) != value}
        if not (todo or ended or changed):
            return []
        self._saved = {}
        with transaction(self.db) as db:
            new = _save_verdicts(db, todo, incidents, scored_at)
            incidents.settle(closed)
            for each in [*ended, *incidents.take_ended()]:
                db.execute("UPDATE incidents SET state = 'ended' WHERE key = ?", (each.key,))
            for (table, key), value in changed.items():
                db.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", (key, value))  # noqa: S608 (two names of ours)
            _save_hosts(db, todo)
        self._saved = small
        return new

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
        return gone


def _save_verdicts(
    db: sqlite3.Connection, verdicts: Iterable[Verdict], incidents: Incidents, scored_at: float
) -> list[Verdict]:
    """Insert the verdicts that are new and put the anomalies among them into their incidents."""
    new: list[Verdict] = []
    for verdict in verdicts:
        row_id = _insert_verdict(db, verdict, scored_at)
        if row_id is None:
            continue
        if verdict.is_anomaly:
            incident = incidents.add(verdict)
            verdict = replace(verdict, incident=incident.key)
            incident_id = _upsert_incident(db, incident)
            db.execute("UPDATE verdicts SET incident_id = ? WHERE id = ?", (incident_id, row_id))
        new.append(verdict)
    return new


def _insert_verdict(db: sqlite3.Connection, verdict: Verdict, scored_at: float) -> int | None:
    """Store a verdict and its lines; its row id, or None where the window already has one."""
    known = "SELECT 1 FROM verdicts WHERE agent = ? AND host = ? AND window_start = ?"
    if db.execute(known, (verdict.agent, verdict.host, verdict.window_start)).fetchone():
        return None
    explanation = [[m.feature, m.value, m.normal_low, m.normal_high, m.contribution] for m in verdict.explanation]
    done = db.execute(
        "INSERT INTO verdicts (agent, host, window_start, window_end, model_version, role, rows, score, rarity,"
        " is_anomaly, type, severity, confidence, description, found_by, features, explanation, scored_at)"
        " VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            verdict.agent, verdict.host, verdict.window_start, verdict.window_end, verdict.model_version, verdict.role,
            verdict.rows, verdict.score, verdict.rarity, int(verdict.is_anomaly), verdict.type, verdict.severity,
            verdict.confidence, verdict.description, verdict.found_by,
            json.dumps(dict(verdict.features), separators=(",", ":")), json.dumps(explanation, separators=(",", ":")),
            scored_at,
        ),
    )  # fmt: skip
    row_id = int(done.lastrowid or 0)
    lines = [(row_id, n, line.time, line.program, line.message) for n, line in enumerate(verdict.lines)]
    db.executemany("INSERT INTO lines (verdict_id, n, time, program, message) VALUES (?,?,?,?,?)", lines)
    return row_id


def _upsert_incident(db: sqlite3.Connection, incident: Incident) -> int:
    values = (
        incident.key, incident.agent, incident.host, incident.type, incident.severity, incident.started, incident.peak,
        incident.ended, incident.windows, incident.score, incident.rarity, incident.confidence, incident.description,
        "open", incident.found_by,
    )  # fmt: skip
    row = db.execute(
        "INSERT INTO incidents (key, agent, host, type, severity, started, peak, ended, windows, score, rarity,"
        " confidence, description, state, found_by) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
        " ON CONFLICT (key) DO UPDATE SET type = excluded.type, severity = excluded.severity, peak = excluded.peak,"
        " ended = excluded.ended, windows = excluded.windows, score = excluded.score, rarity = excluded.rarity,"
        " confidence = excluded.confidence, description = excluded.description, state = 'open',"
        " found_by = excluded.found_by RETURNING id",
        values,
    ).fetchone()
    return int(row["id"])


def _save_hosts(db: sqlite3.Connection, verdicts: Iterable[Verdict]) -> None:
    """Keep up to when each host was heard, to a window; the pages show hosts that have gone quiet."""
    db.executemany(
        "INSERT INTO hosts (agent, host, last_row) VALUES (?, ?, ?)"
        " ON CONFLICT (agent, host) DO UPDATE SET last_row = excluded.last_row WHERE excluded.last_row > last_row",
        [(verdict.agent, verdict.host, verdict.window_end) for verdict in verdicts if verdict.rows],
    )


def _incident(row: sqlite3.Row, kinds: dict[str, Kind]) -> Incident:
    return Incident(
        key=row["key"],
        agent=row["agent"],
        host=row["host"],
        started=row["started"],
        peak=row["peak"],
        ended=row["ended"],
        windows=row["windows"],
        score=row["score"],
        rarity=row["rarity"],
        kinds=kinds,
        found_by=row["found_by"],
    )
