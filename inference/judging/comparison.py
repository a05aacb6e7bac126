"""A challenger against the active version, over the windows that both judged: what each would have alerted."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from inference.incidents import MERGE_GAP_S
from inference.said import switches

SHOWN = 50
MOST = 20_000  # windows that are compared: 0.1 s of a page


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
    """The challenger of an agent against its active version; None where nothing is judged beside it.

    Over its newest windows, `MOST` at most: older ones say less, and a page has no seconds to count them.
    """
    challenger = switches.challengers(db).get(agent)
    if challenger is None:
        return None
    cut = _cut(db, agent, challenger.version)
    joined = (  # CROSS JOIN: from the challenger's few windows, never from all that are kept
        " FROM challenger_verdicts c CROSS JOIN verdicts v ON v.agent = c.agent AND v.host = c.host"
        " AND v.window_start = c.window_start"
        " WHERE c.agent = ? AND c.version = ? AND c.window_end > ? AND v.model_version = ?"
    )
    given = (agent, challenger.version, cut, active)
    windows = int(db.execute(f"SELECT count(*){joined}", given).fetchone()[0])
    columns = (
        "c.host, c.window_start, v.rarity, v.is_anomaly, v.type, c.rarity, c.is_anomaly, c.type, v.incident_id,"
        " v.window_end"
    )
    mark = "(SELECT m.mark FROM marks m WHERE m.incident_id = v.incident_id AND m.expires > ? LIMIT 1)"
    alerts = db.execute(
        f"SELECT {columns}, {mark}{joined} AND (v.is_anomaly OR c.is_anomaly) ORDER BY c.host, c.window_start",
        (now, *given),
    ).fetchall()
    both = sum(bool(row[3] and row[6]) for row in alerts)
    by_active, by_challenger = [row for row in alerts if row[3]], [row for row in alerts if row[6]]
    differing = sorted((row for row in alerts if row[3] != row[6]), key=lambda row: (-row[1], row[0]))
    different = tuple(
        Different(row[0], row[1], row[2], bool(row[3]), row[4], row[5], bool(row[6]), row[7], row[8], row[10])
        for row in differing[:SHOWN]
    )
    return Comparison(
        agent, active, challenger.version, max(challenger.since, cut), challenger.error, windows, both,
        len(by_active) - both, len(by_challenger) - both, _incidents(by_active), _incidents(by_challenger), different,
    )  # fmt: skip


def _cut(db: sqlite3.Connection, agent: str, version: str) -> float:
    """Windows that end here (s) or earlier are left out."""
    query = "SELECT window_end FROM challenger_verdicts WHERE agent = ? AND version = ? ORDER BY window_end DESC LIMIT 1 OFFSET ?"
    row = db.execute(query, (agent, version, MOST)).fetchone()
    return float(row[0]) if row else 0.0


def _incidents(alerts: Sequence[Sequence[Any]]) -> int:
    """How many incidents anomalies make: those of one host that lie at most half an hour apart are one."""
    count, last = 0, ("", 0.0)
    for row in alerts:
        host, start, end = row[0], row[1], row[9]
        if host != last[0] or start - last[1] > MERGE_GAP_S:
            count += 1
        last = (host, max(end, last[1]) if host == last[0] else end)
    return count
