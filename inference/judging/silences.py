"""Silences that rows disprove which came late: the host had spoken, only its lines were under way."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping

from shared.values import ALL_HOSTS, SILENT

LONGEST_S = 86_400.0  # after a day a host is gone, and silent no more

# (agent, host) → times of rows of windows that were judged again
Heard = Mapping[tuple[str, str], Iterable[float]]


def take_back(db: sqlite3.Connection, heard: Heard) -> set[int]:
    """Delete the silences that were none after all; gives the incidents that they were in. sqlite3.Error passes through."""
    touched: set[int] = set()
    for (agent, host), moments in _with_all_hosts(heard).items():
        times = sorted(moments)
        rows = db.execute(
            "SELECT id, window_end, incident_id, explanation FROM verdicts WHERE agent = ? AND host = ? AND found_by = ?"
            " AND window_end > ? AND window_end <= ?",
            (agent, host, SILENT, times[0], times[-1] + LONGEST_S),
        ).fetchall()
        wrong = [row for row in rows if _quiet_s(row["window_end"], times) <= _limit_s(row["explanation"])]
        db.executemany("DELETE FROM verdicts WHERE id = ?", [(row["id"],) for row in wrong])
        touched |= {int(row["incident_id"]) for row in wrong if row["incident_id"] is not None}
    return touched


def _with_all_hosts(heard: Heard) -> dict[tuple[str, str], list[float]]:
    """The times of each host, and those of anybody: one late row of any host says that not all were silent."""
    found: dict[tuple[str, str], list[float]] = {}
    for (agent, host), moments in heard.items():
        times = found[agent, host] = list(moments)
        found.setdefault((agent, ALL_HOSTS), []).extend(times)
    return found


def _quiet_s(end: float, times: list[float]) -> float:
    """How long a host had been quiet at `end`, by the rows that are known of now."""
    return end - max(time for time in times if time < end)


def _limit_s(explanation: str) -> float:
    """How long it may be: the upper end of the one feature's normal range."""
    return float(json.loads(explanation)[0][3])
