"""A challenger against the active version, over the windows that both judged: what each would have alerted."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from inference import switches
from inference.incidents import MERGE_GAP_S

SHOWN = 50


@dataclass(frozen=True, slots=True)
class Different:
    """A window that would have ended differently. `active`, `challenger`: rarity, N of "1 in N"; `mark`: what was said."""

    host: str
    window_start: float
    active: float | None
    active_alerts: bool
    active_type: str | None
    challenger: float | None
    challenger_alerts: bool
    challenger_type: str | None
    incident_id: int | None
    mark: str | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both versions over the same windows."""

    agent: str
    active: str
    challenger: str
    since: float
    error: str
    windows: int
    both: int
    only_active: int
    only_challenger: int
    active_incidents: int
    challenger_incidents: int
    different: tuple[Different, ...]

    @property
    def agree(self) -> int:
        """Windows that ended the same way."""
        return self.windows - self.only_active - self.only_challenger

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return {**asdict(self), "agree": self.agree}


def compare(db: sqlite3.Connection, agent: str, active: str, now: float) -> Comparison | None:
    """The challenger of an agent against its active version; None where nothing is judged beside it."""
    challenger = switches.challengers(db).get(agent)
    if challenger is None:
        return None
    joined = (  # CROSS JOIN: from the challenger's few windows, never from all that are kept
        " FROM challenger_verdicts c CROSS JOIN verdicts v ON v.agent = c.agent AND v.host = c.host"
        " AND v.window_start = c.window_start WHERE c.agent = ? AND c.version = ? AND v.model_version = ?"
    )
    given = (agent, challenger.version, active)
    counts = db.execute(
        "SELECT count(*), sum(v.is_anomaly AND c.is_anomaly), sum(v.is_anomaly AND NOT c.is_anomaly),"
        f" sum(c.is_anomaly AND NOT v.is_anomaly){joined}",
        given,
    ).fetchone()
    windows, both, only_active, only_challenger = (int(count or 0) for count in counts)
    columns = "c.host, c.window_start, v.rarity, v.is_anomaly, v.type, c.rarity, c.is_anomaly, c.type, v.incident_id"
    mark = "(SELECT m.mark FROM marks m WHERE m.incident_id = v.incident_id AND m.expires > ? LIMIT 1)"
    newest = "AND v.is_anomaly <> c.is_anomaly ORDER BY c.window_start DESC, c.host LIMIT ?"
    rows = db.execute(f"SELECT {columns}, {mark}{joined} {newest}", (now, *given, SHOWN))
    different = tuple(
        Different(row[0], row[1], row[2], bool(row[3]), row[4], row[5], bool(row[6]), row[7], row[8], row[9])
        for row in rows
    )
    return Comparison(
        agent, active, challenger.version, challenger.since, challenger.error, windows, both, only_active, only_challenger,
        _incidents(db, f"SELECT v.host, v.window_start, v.window_end{joined} AND v.is_anomaly", given),
        _incidents(db, f"SELECT c.host, c.window_start, c.window_end{joined} AND c.is_anomaly", given),
        different,
    )  # fmt: skip


def _incidents(db: sqlite3.Connection, query: str, given: tuple[str, ...]) -> int:
    """How many incidents anomalies make: those of one host that lie at most half an hour apart are one."""
    count, last = 0, ("", 0.0)
    for host, start, end in db.execute(f"{query} ORDER BY 1, 2", given):
        if host != last[0] or start - last[1] > MERGE_GAP_S:
            count += 1
        last = (host, max(end, last[1]) if host == last[0] else end)
    return count
