"""What the pages, the API and `status` read of the state file: plain queries, frozen values, no writing.

Every function takes a connection from `connect_read` (or `state.connect`). Times are seconds since the epoch.
"""

# ruff: noqa: S608 (every name in a statement is this module's own; values are parameters)

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.keeping.rows import (
    HostRow,
    IncidentDetail,
    IncidentRow,
    ModelRow,
    Status,
    Totals,
)  # fmt: skip
from inference.said.mutes import MUTED
from shared.errors import StoreError
from shared.values import Line, Moved, Verdict

__all__ = [
    "HostRow", "IncidentDetail", "IncidentRow", "ModelRow", "Status", "Totals", "connect_read", "count_incidents", "hosts",
    "incident", "incidents", "lines", "models", "newest_end", "status", "totals", "verdicts",
]  # fmt: skip


# The parameter is the time at which marks must count.
INCIDENTS = (
    f"SELECT i.*, {MUTED} AS muted, (SELECT m.mark FROM marks m WHERE m.incident_id = i.id AND m.expires > ?"
    " ORDER BY m.id DESC LIMIT 1) AS mark FROM incidents i"
)


def connect_read(path: Path) -> sqlite3.Connection:
    """Open the state file for reading only.

    Raises:
        StoreError: there is no such file yet (the daemon has never run) or it cannot be read.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("SELECT 1 FROM verdicts LIMIT 1")
    except sqlite3.Error as error:
        cure = (
            "look at its permissions and at the disk's free space"
            if path.exists()
            else "start `pipit-inference run` once, it creates the file"
        )
        raise StoreError(f"read state: {path}: {error}; {cure}") from error
    return db


def status(db: sqlite3.Connection) -> Status:
    """What the daemon last wrote about itself."""
    rows = db.execute("SELECT key, value, updated FROM status").fetchall()
    value: dict[str, Any] = {row["key"]: json.loads(row["value"]) for row in rows}
    return Status(
        updated=max((row["updated"] for row in rows), default=0.0),
        state=value.get("state", "never ran"),
        pid=value.get("pid"),
        started=value.get("started"),
        last_run=value.get("last_run"),
        last_error=value.get("last_error"),
        source=value.get("source", ""),
        source_error=value.get("source_error"),
        lag_s=value.get("lag_s"),
        rows=value.get("rows", 0),
        late_rows=value.get("late_rows", 0),
        gaps_expired=value.get("gaps_expired", 0),
        warnings=tuple(value.get("warnings", ())),
        cycle=value.get("cycle", {}),
    )


def incidents(
    db: sqlite3.Connection,
    *,
    since: float = 0.0,
    agent: str | None = None,
    host: str | None = None,
    type: str | None = None,  # noqa: A002 (the word of the column and of the API)
    severity: str | None = None,
    state: str | None = None,
    marked: str | None = None,
    muted: bool | None = None,
    now: float | None = None,
    limit: int = 100,
    offset: int = 0,
) -> list[IncidentRow]:
    """Incidents that ended at or after `since`, the newest first.

    `marked`: "false", "confirmed" or "none"; `muted`: only those, or only the others. Marks are those that count `now`.
    """
    where, values = _where(agent=agent, host=host, type=type, severity=severity, state=state)
    query = (
        f"SELECT * FROM ({INCIDENTS}) WHERE ended >= ?{where}{_marked(marked)}{_muted(muted)}"
        " ORDER BY started DESC, id DESC LIMIT ? OFFSET ?"
    )
    moment = time.time() if now is None else now
    return [_incident(row) for row in db.execute(query, (moment, since, *values, limit, offset))]


def count_incidents(
    db: sqlite3.Connection,
    *,
    since: float = 0.0,
    host: str | None = None,
    type: str | None = None,  # noqa: A002 (the word of the column and of the API)
    severity: str | None = None,
    state: str | None = None,
    marked: str | None = None,
    muted: bool | None = None,
    now: float | None = None,
) -> int:
    """How many incidents ended at or after `since`; the filters are those of `incidents`."""
    where, values = _where(host=host, type=type, severity=severity, state=state)
    if marked is not None:  # only then is it worth looking at what was said of each
        moment = time.time() if now is None else now
        query = f"SELECT count(*) FROM ({INCIDENTS}) WHERE ended >= ?{where}{_marked(marked)}{_muted(muted)}"
        return int(db.execute(query, (moment, since, *values)).fetchone()[0])
    muting = "" if muted is None else f" AND {'' if muted else 'NOT '}{MUTED}"
    query = f"SELECT count(*) FROM incidents i WHERE ended >= ?{where}{muting}"
    return int(db.execute(query, (since, *values)).fetchone()[0])


def incident(db: sqlite3.Connection, incident_id: int, now: float | None = None) -> IncidentDetail | None:
    """One incident with its verdicts and lines, or None where there is none of that number."""
    moment = time.time() if now is None else now
    row = db.execute(f"{INCIDENTS} WHERE i.id = ?", (moment, incident_id)).fetchone()
    if row is None:
        return None
    return IncidentDetail(_incident(row), tuple(verdicts(db, incident_id=incident_id, with_lines=True, limit=10_000)))


def verdicts(
    db: sqlite3.Connection,
    *,
    incident_id: int | None = None,
    agent: str | None = None,
    host: str | None = None,
    start: float = 0.0,
    end: float = 1e18,
    anomalies_only: bool = False,
    with_lines: bool = False,
    limit: int = 1_000,
) -> list[Verdict]:
    """Verdicts with start <= window_start < end, in order of (window_end, host)."""
    where, values = _where(incident_id=incident_id, agent=agent, host=host)
    query = (
        "SELECT *, (SELECT key FROM incidents i WHERE i.id = v.incident_id) AS incident FROM verdicts v"
        f" WHERE window_start >= ? AND window_start < ?{where}{' AND is_anomaly = 1' if anomalies_only else ''}"
        " ORDER BY window_end, host, agent LIMIT ?"
    )
    rows = db.execute(query, (start, end, *values, limit)).fetchall()
    return [_verdict(row, lines(db, row["id"]) if with_lines else ()) for row in rows]


def lines(db: sqlite3.Connection, verdict_id: int) -> tuple[Line, ...]:
    """The evidence of one verdict."""
    query = "SELECT time, program, message, telling FROM lines WHERE verdict_id = ? ORDER BY n"
    found = db.execute(query, (verdict_id,))
    return tuple(Line(row["time"], row["program"], row["message"], bool(row["telling"])) for row in found)


def hosts(db: sqlite3.Connection, *, since: float = 0.0) -> list[HostRow]:
    """Every host ever heard, with its anomalies since `since`, in order of name."""
    query = (
        "SELECT agent, host, last_row, (SELECT count(*) FROM verdicts v WHERE v.agent = h.agent AND v.host = h.host"
        " AND v.is_anomaly = 1 AND v.window_start >= ?) AS anomalies FROM hosts h ORDER BY host, agent"
    )
    return [HostRow(*row) for row in db.execute(query, (since,))]


def totals(db: sqlite3.Connection, *, since: float = 0.0) -> Totals:
    """Counts over the windows that ended after `since`."""
    query = "SELECT count(*), sum(is_anomaly), count(DISTINCT host), sum(rows) FROM verdicts WHERE window_end > ?"
    return Totals(*(int(value or 0) for value in db.execute(query, (since,)).fetchone()))


def newest_end(db: sqlite3.Connection) -> float | None:
    """End of the newest judged window: "now" of the data, which may be older than the clock's."""
    value = db.execute("SELECT max(window_end) FROM verdicts").fetchone()[0]
    return None if value is None else float(value)


def models(db: sqlite3.Connection) -> list[ModelRow]:
    """Every bundle known here, by agent, the newest first."""
    query = (
        "SELECT b.agent, b.version, b.state, b.serial, a.version IS NOT NULL AS active,"
        " p.version IS NOT NULL AS previous FROM bundles b"
        " LEFT JOIN active a ON a.agent = b.agent AND a.version = b.version"
        " LEFT JOIN active p ON p.agent = b.agent AND p.previous = b.version"
        " ORDER BY b.agent, b.serial DESC, b.version DESC"
    )
    return [
        ModelRow(row["agent"], row["version"], row["state"], row["serial"], bool(row["active"]), bool(row["previous"]))
        for row in db.execute(query)
    ]


def _where(**filters: Any) -> tuple[str, list[Any]]:
    """` AND name = ?` for every filter that is set; the names are this module's, never a user's."""
    given: Sequence[tuple[str, Any]] = [(name, value) for name, value in filters.items() if value is not None]
    return "".join(f" AND {name} = ?" for name, _ in given), [value for _, value in given]


def _marked(marked: str | None) -> str:
    return {"false": " AND mark = 'false'", "confirmed": " AND mark = 'confirmed'", "none": " AND mark IS NULL"}.get(
        marked or "", ""
    )


def _muted(muted: bool | None) -> str:
    return "" if muted is None else f" AND muted = {int(muted)}"


def _incident(row: sqlite3.Row) -> IncidentRow:
    return IncidentRow(**{**{name: row[name] for name in IncidentRow.__slots__}, "muted": bool(row["muted"])})


def _verdict(row: sqlite3.Row, found: tuple[Line, ...]) -> Verdict:
    return Verdict(
        agent=row["agent"], host=row["host"], window_start=row["window_start"], window_end=row["window_end"],
        role=row["role"], rows=row["rows"], score=row["score"], rarity=row["rarity"],
        is_anomaly=bool(row["is_anomaly"]), type=row["type"], severity=row["severity"], confidence=row["confidence"],
        description=row["description"], features=json.loads(row["features"]),
        explanation=tuple(Moved(*moved) for moved in json.loads(row["explanation"])),
        model_version=row["model_version"], found_by=row["found_by"], lines=found, incident=row["incident"],
        sampled=bool(row["sampled"]), nearest=json.loads(row["nearest"]) if row["nearest"] else None,
    )  # fmt: skip
