"""How the models and the daemon perform, by the hour: windows, anomalies, time, memory. The daemon writes, pages read.

Counts wait in memory and are written every five minutes: a row a cycle would wear the card out, and a crash may cost
five minutes of statistics. Scores and marks are not kept here; they are where the verdicts and the incidents are.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inference.cycle import CycleReport

SLOT_S = 3600.0
FLUSH_S = 300.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS performance (
    agent TEXT NOT NULL, version TEXT NOT NULL, slot REAL NOT NULL, windows INTEGER NOT NULL, anomalies INTEGER NOT NULL,
    cpu_s REAL NOT NULL, slowest_s REAL NOT NULL, PRIMARY KEY (agent, version, slot)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS machine (
    slot REAL PRIMARY KEY, cycles INTEGER NOT NULL, rows INTEGER NOT NULL, bad INTEGER NOT NULL, late INTEGER NOT NULL,
    seconds REAL NOT NULL, slowest_s REAL NOT NULL, cpu_s REAL NOT NULL, memory_mb REAL NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class ModelHour:
    """One hour of one version. `slowest_s`: CPU time of a window in its slowest cycle."""

    agent: str
    version: str
    slot: float
    windows: int
    anomalies: int
    cpu_s: float
    slowest_s: float


@dataclass(frozen=True, slots=True)
class MachineHour:
    """One hour of the daemon. `seconds` and `cpu_s` are of all its cycles, `memory_mb` the most that was resident."""

    slot: float
    cycles: int
    rows: int
    bad: int
    late: int
    seconds: float
    slowest_s: float
    cpu_s: float
    memory_mb: float


@dataclass
class _Model:
    windows: int = 0
    anomalies: int = 0
    cpu_s: float = 0.0
    slowest_s: float = 0.0


@dataclass
class _Machine:
    cycles: int = 0
    rows: int = 0
    bad: int = 0
    late: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    cpu_s: float = 0.0
    memory_mb: float = 0.0


@dataclass
class Performance:
    """What has not been written yet. One thread."""

    db: sqlite3.Connection
    written: float = 0.0
    _models: dict[tuple[str, str, float], _Model] = field(default_factory=dict)
    _machine: dict[float, _Machine] = field(default_factory=dict)

    def note(self, report: CycleReport, versions: Mapping[str, str], memory_mb: float, now: float) -> None:
        """Count one cycle; `versions` are those that judged, by agent."""
        slot = now // SLOT_S * SLOT_S
        hour = self._machine.setdefault(slot, _Machine())
        hour.cycles += 1
        hour.rows += report.seen
        hour.bad += report.bad
        hour.late += report.late
        hour.seconds += report.seconds
        hour.slowest_s = max(hour.slowest_s, report.seconds)
        hour.cpu_s += report.cpu_seconds
        hour.memory_mb = max(hour.memory_mb, memory_mb)
        for agent, judged in report.agents.items():
            if agent in versions and judged.windows:
                model = self._models.setdefault((agent, versions[agent], slot), _Model())
                model.windows += judged.windows
                model.anomalies += judged.anomalies
                model.cpu_s += judged.cpu_seconds
                model.slowest_s = max(model.slowest_s, judged.cpu_seconds / judged.windows)

    def is_due(self, now: float) -> bool:
        """Whether it is time to write."""
        return bool(self._machine) and not 0 <= now - self.written < FLUSH_S

    def flush(self, now: float) -> None:
        """Write what was counted, within the caller's transaction or its own statement; sqlite3.Error passes through."""
        for (agent, version, slot), model in self._models.items():
            self.db.execute(
                "INSERT INTO performance VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
                " windows = windows + excluded.windows, anomalies = anomalies + excluded.anomalies,"
                " cpu_s = cpu_s + excluded.cpu_s, slowest_s = max(slowest_s, excluded.slowest_s)",
                (agent, version, slot, model.windows, model.anomalies, model.cpu_s, model.slowest_s),
            )
        for slot, hour in self._machine.items():
            self.db.execute(
                "INSERT INTO machine VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET cycles = cycles + excluded.cycles,"
                " rows = rows + excluded.rows, bad = bad + excluded.bad, late = late + excluded.late,"
                " seconds = seconds + excluded.seconds, slowest_s = max(slowest_s, excluded.slowest_s),"
                " cpu_s = cpu_s + excluded.cpu_s, memory_mb = max(memory_mb, excluded.memory_mb)",
                (
                    slot, hour.cycles, hour.rows, hour.bad, hour.late, hour.seconds, hour.slowest_s, hour.cpu_s,
                    hour.memory_mb,
                ),
            )  # fmt: skip
        self._models.clear()
        self._machine.clear()
        self.written = now


def model_hours(
    db: sqlite3.Connection, since: float, *, agent: str | None = None, version: str | None = None
) -> list[ModelHour]:
    """The hours that began at or after `since`, oldest first."""
    rows = db.execute(
        "SELECT agent, version, slot, windows, anomalies, cpu_s, slowest_s FROM performance"
        " WHERE slot >= ? AND ? IN ('', agent) AND ? IN ('', version) ORDER BY slot, agent, version",
        (since, agent or "", version or ""),
    )
    return [ModelHour(*row) for row in rows]


def machine_hours(db: sqlite3.Connection, since: float) -> list[MachineHour]:
    """The hours that began at or after `since`, oldest first."""
    rows = db.execute(
        "SELECT slot, cycles, rows, bad, late, seconds, slowest_s, cpu_s, memory_mb FROM machine"
        " WHERE slot >= ? ORDER BY slot",
        (since,),
    )
    return [MachineHour(*row) for row in rows]


def forget(db: sqlite3.Connection, before: float) -> int:
    """Remove the hours that began before a moment; gives how many."""
    gone = db.execute("DELETE FROM performance WHERE slot < ?", (before,)).rowcount
    return gone + db.execute("DELETE FROM machine WHERE slot < ?", (before,)).rowcount
