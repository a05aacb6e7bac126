"""How verdicts and incidents are written: once when a window closes, and again when late rows reopen it.

Everything here runs inside the caller's transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from inference.incidents import MERGE_GAP_S, SEVERITIES, Incident, Incidents, Kind, begin, widen
from shared.values import Verdict

COLUMNS = (
    *("agent", "host", "window_start", "window_end", "model_version", "role", "rows", "score", "rarity", "is_anomaly"),
    *("type", "severity", "confidence", "description", "found_by", "features", "explanation", "scored_at", "sampled"),
    "nearest",
)
_INSERT = (
    f"INSERT INTO verdicts ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"  # noqa: S608 (ours)
    " ON CONFLICT (agent, host, window_start) DO NOTHING"
)
_UPDATE = f"UPDATE verdicts SET revision = revision + 1, {', '.join(f'{name} = ?' for name in COLUMNS)} WHERE id = ?"  # noqa: S608
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
TAKEN_BACK = " (taken back: rows that came late made it normal)"
PAUSED = " (over: its agent was paused)"


def save_verdicts(
    db: sqlite3.Connection, verdicts: Iterable[Verdict], incidents: Incidents, scored_at: float
) -> tuple[list[Verdict], dict[str, Incident]]:
    """Insert the verdicts that are new and put the anomalies among them into their incidents.

    Gives the new verdicts with their incident's key, and the incidents that changed, by key, as they are now.
    """
    new: list[Verdict] = []
    changed: dict[str, Incident] = {}
    for verdict in verdicts:
        row_id = _insert(db, verdict, scored_at)
        if row_id is None:
            continue
        if verdict.is_anomaly:
            incident = incidents.add(verdict)
            changed[incident.key] = incident
            verdict = replace(verdict, incident=incident.key)
            _attach(db, row_id, _upsert(db, incident))
        new.append(verdict)
    return new, changed


def revise_verdicts(
    db: sqlite3.Connection, verdicts: Iterable[Verdict], scored_at: float
) -> tuple[list[Verdict], dict[str, Incident]]:
    """Put verdicts in the place of those that the same windows had, with revision + 1, and mend their incidents.

    A verdict that says the same as before changes nothing. An incident keeps its key and never loses severity.
    """
    revised: list[Verdict] = []
    touched: set[int] = set()
    for verdict in verdicts:
        old = _row_of(db, verdict)
        if old is not None and _says_the_same(old, verdict):
            continue
        row_id = (
            _replace(db, int(old["id"]), verdict, scored_at) if old is not None else _insert(db, verdict, scored_at)
        )
        incident_id = old["incident_id"] if old is not None else None
        if verdict.is_anomaly and incident_id is None:
            incident_id = _near(db, verdict) or _upsert(db, begin(verdict))
            _attach(db, row_id, incident_id)
        elif not verdict.is_anomaly and incident_id is not None:
            _attach(db, row_id, None)
        if incident_id is not None:
            touched.add(int(incident_id))
        revised.append(verdict)
    return revised, mend(db, touched)


def mend(db: sqlite3.Connection, touched: Iterable[int]) -> dict[str, Incident]:
    """Write these incidents anew from their verdicts; gives those that have any left, by key."""
    mended = filter(None, (_mend(db, incident_id) for incident_id in sorted(touched)))
    return {incident.key: incident for incident in mended}


def open_incidents(db: sqlite3.Connection) -> list[Incident]:
    """The incidents that a coming anomaly may still join, with what is needed to go on naming them."""
    rows = db.execute("SELECT * FROM incidents WHERE state = 'open'").fetchall()
    return [_incident(row, kinds_of(db, row)) for row in rows]


def end_incidents(db: sqlite3.Connection, agent: str, why: str) -> int:
    """End what is open of an agent that nothing is judged for any more; gives how many. sqlite3.Error passes through."""
    query = "UPDATE incidents SET state = 'ended', description = description || ? WHERE agent = ? AND state = 'open'"
    return db.execute(query, (why, agent)).rowcount


def save_hosts(db: sqlite3.Connection, verdicts: Iterable[Verdict]) -> None:
    """Keep up to when each host was heard, to a window; the pages show hosts that have gone quiet."""
    db.executemany(
        "INSERT INTO hosts (agent, host, last_row) VALUES (?, ?, ?)"
        " ON CONFLICT (agent, host) DO UPDATE SET last_row = excluded.last_row WHERE excluded.last_row > last_row",
        [(verdict.agent, verdict.host, verdict.window_end) for verdict in verdicts if verdict.rows],
    )


def kinds_of(db: sqlite3.Connection, incident: sqlite3.Row) -> dict[str, Kind]:
    """The kinds of an incident's verdicts; that which it was named by stays one of them, whatever became of them."""
    rank = SEVERITIES.index(incident["severity"])
    words = incident["description"].removesuffix(TAKEN_BACK).removesuffix(PAUSED)
    kinds = {incident["type"]: Kind(rank, incident["confidence"], 0, words)}
    names = "type, severity, confidence, description, score"
    query = f"SELECT {names} FROM verdicts WHERE incident_id = ? ORDER BY window_start"  # noqa: S608  fixed names
    for row in db.execute(query, (incident["id"],)):
        found = Kind.of(row["severity"], row["confidence"], row["description"], row["score"])
        kinds[row["type"]] = kinds[row["type"]].joined(found) if row["type"] in kinds else found
    return kinds


def _row_of(db: sqlite3.Connection, verdict: Verdict) -> sqlite3.Row | None:
    query = "SELECT * FROM verdicts WHERE agent = ? AND host = ? AND window_start = ?"
    row: sqlite3.Row | None = db.execute(query, (verdict.agent, verdict.host, verdict.window_start)).fetchone()
    return row


def _values(verdict: Verdict, scored_at: float) -> tuple[Any, ...]:
    explanation = [[m.feature, m.value, m.normal_low, m.normal_high, m.contribution] for m in verdict.explanation]
    return (
        verdict.agent, verdict.host, verdict.window_start, verdict.window_end, verdict.model_version, verdict.role,
        verdict.rows, verdict.score, verdict.rarity, int(verdict.is_anomaly), verdict.type, verdict.severity,
        verdict.confidence, verdict.description, verdict.found_by,
        _encode(verdict.features), _encode(explanation) if explanation else "[]",
        scored_at, int(verdict.sampled), _encode(verdict.nearest) if verdict.nearest else None,
    )  # fmt: skip


def _insert(db: sqlite3.Connection, verdict: Verdict, scored_at: float) -> int | None:
    """The new verdict's row id, None where the window has a verdict already."""
    done = db.execute(_INSERT, _values(verdict, scored_at))
    if not done.rowcount:
        return None
    row_id = int(done.lastrowid or 0)
    _keep_lines(db, row_id, verdict)
    return row_id


def _replace(db: sqlite3.Connection, row_id: int, verdict: Verdict, scored_at: float) -> int:
    db.execute(_UPDATE, (*_values(verdict, scored_at), row_id))
    db.execute("DELETE FROM lines WHERE verdict_id = ?", (row_id,))
    _keep_lines(db, row_id, verdict)
    return row_id


def _keep_lines(db: sqlite3.Connection, row_id: int, verdict: Verdict) -> None:
    lines = [
        (row_id, n, line.time, line.program, line.message, int(line.telling)) for n, line in enumerate(verdict.lines)
    ]
    if lines:
        db.executemany("INSERT INTO lines (verdict_id, n, time, program, message, telling) VALUES (?,?,?,?,?,?)", lines)


def _attach(db: sqlite3.Connection, row_id: int | None, incident_id: int | None) -> None:
    db.execute("UPDATE verdicts SET incident_id = ? WHERE id = ?", (incident_id, row_id))


def _says_the_same(old: sqlite3.Row, verdict: Verdict) -> bool:
    names = ("rows", "score", "is_anomaly", "type", "severity", "description")
    return all(old[name] == getattr(verdict, name) for name in names)


def _near(db: sqlite3.Connection, verdict: Verdict) -> int | None:
    """The incident of the same host that an anomaly belongs to, though it comes late."""
    query = (
        "SELECT id FROM incidents WHERE agent = ? AND host = ? AND ended >= ? AND started <= ? ORDER BY started LIMIT 1"
    )
    reach = (verdict.window_start - MERGE_GAP_S, verdict.window_end + MERGE_GAP_S)
    row = db.execute(query, (verdict.agent, verdict.host, *reach)).fetchone()
    return None if row is None else int(row["id"])


def _mend(db: sqlite3.Connection, incident_id: int) -> Incident | None:
    """Write an incident anew from its verdicts; one that has none left says so, and is over.

    The note on why it had ended stays.
    """
    row = db.execute("SELECT * FROM incidents WHERE id = ?", (incident_id,)).fetchone()
    query = "SELECT * FROM verdicts WHERE incident_id = ? ORDER BY window_start"
    windows = [_bare(one) for one in db.execute(query, (incident_id,))]
    if not windows:
        words = row["description"].removesuffix(TAKEN_BACK) + TAKEN_BACK
        db.execute(
            "UPDATE incidents SET state = 'ended', windows = 0, description = ? WHERE id = ?", (words, incident_id)
        )
        return None
    whole = begin(windows[0])
    for verdict in windows[1:]:
        whole = widen(whole, verdict)
    whole = replace(whole, key=row["key"], kinds=kinds_of(db, row))
    number = _upsert(db, whole, row["state"])
    if row["description"].removesuffix(TAKEN_BACK).endswith(PAUSED):
        db.execute("UPDATE incidents SET description = description || ? WHERE id = ?", (PAUSED, number))
    return whole


def _bare(row: sqlite3.Row) -> Verdict:
    """A verdict without its evidence."""
    return Verdict(
        agent=row["agent"], host=row["host"], window_start=row["window_start"], window_end=row["window_end"],
        role=row["role"], rows=row["rows"], score=row["score"], rarity=row["rarity"],
        is_anomaly=bool(row["is_anomaly"]), type=row["type"], severity=row["severity"], confidence=row["confidence"],
        description=row["description"], features={}, explanation=(), model_version=row["model_version"],
        found_by=row["found_by"],
    )  # fmt: skip


def _upsert(db: sqlite3.Connection, incident: Incident, state: str = "open") -> int:
    """Write an incident; its number. Updated first: an insert that becomes an update would use a number up each time."""
    values = {
        "type": incident.type, "severity": incident.severity, "started": incident.started, "peak": incident.peak,
        "ended": incident.ended, "windows": incident.windows, "score": incident.score, "rarity": incident.rarity,
        "confidence": incident.confidence, "description": incident.description, "state": state,
        "found_by": incident.found_by, "key": incident.key, "agent": incident.agent, "host": incident.host,
    }  # fmt: skip
    changing = ", ".join(f"{name} = :{name}" for name in values if name not in ("key", "agent", "host"))
    row = db.execute(f"UPDATE incidents SET {changing} WHERE key = :key RETURNING id", values).fetchone()  # noqa: S608 (our names)
    if row is None:
        names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
        row = db.execute(f"INSERT INTO incidents ({names}) VALUES ({marks}) RETURNING id", values).fetchone()  # noqa: S608
    return int(row[0])


def _incident(row: sqlite3.Row, kinds: dict[str, Kind]) -> Incident:
    return Incident(
        key=row["key"], agent=row["agent"], host=row["host"], started=row["started"], peak=row["peak"],
        ended=row["ended"], windows=row["windows"], score=row["score"], rarity=row["rarity"], kinds=kinds,
        found_by=row["found_by"],
    )  # fmt: skip
