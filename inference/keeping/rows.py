"""What is read of the state file, as frozen values. Times are seconds since the epoch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.values import Verdict


@dataclass(frozen=True, slots=True)
class Status:
    """What the daemon last said about itself; `updated` 0 means that it never ran on this state file."""

    updated: float
    state: str  # "running", "waiting for a model", "waiting for the database", "stopped", "never ran"
    pid: int | None
    started: float | None
    last_run: float | None
    last_error: str | None
    source: str  # the source without its password
    source_error: str | None
    lag_s: float | None
    rows: int  # read since the daemon started
    late_rows: int
    gaps_expired: int
    warnings: tuple[str, ...]
    cycle: Mapping[str, Any]  # the last CycleReport: rows, windows, anomalies, seconds, cpu_seconds, lag_s, drained…


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident as the lists show it."""

    id: int
    key: str
    agent: str
    host: str
    type: str
    severity: str
    started: float
    peak: float
    ended: float
    windows: int
    score: float | None
    rarity: float | None
    confidence: float
    description: str
    state: str  # "open" or "ended"
    found_by: str
    mark: str | None = None  # "false" or "confirmed", while the mark counts
    muted: bool = False  # nobody wants to hear of this kind at this host


@dataclass(frozen=True, slots=True)
class IncidentDetail:
    """An incident with its anomalous windows (each with its evidence lines), oldest first."""

    incident: IncidentRow
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """One window on a host's timeline."""

    window_start: float
    window_end: float
    rarity: float | None
    is_anomaly: bool


@dataclass(frozen=True, slots=True)
class DayCell:
    """One span of a host's day: how many windows, rows and anomalies, and the rarest."""

    host: str
    start: float
    windows: int
    rows: int
    rarity: float | None
    anomalies: int


@dataclass(frozen=True, slots=True)
class Slot:
    """One span over all hosts: the rarest window (infinity: beyond training), and anomalies."""

    start: float
    rarity: float | None
    anomalies: int


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host and when it was last heard."""

    agent: str
    host: str
    last_row: float
    anomalies: int


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model that is serving or was probed here, as the reconciler keeps it."""

    agent: str
    version: str
    state: str
    serial: int | None
    active: bool
    previous: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts over a span of time."""

    windows: int
    anomalies: int
    hosts: int
    rows: int
