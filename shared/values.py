"""The values that travel between stages; what `replay --json`, the API and the stores show of a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

# One log row, a plain tuple because millions are made: (id, time, host, program, pid, severity, message).
# time: seconds since the epoch, UTC. severity: 0 (emerg) to 7 (debug), -1 unknown. pid: text, "" unknown.
Row = tuple[int, float, str, str, str, int, str]

NO_SEVERITY = -1
SILENT = "silence"  # what found a verdict on a host that said nothing
ALL_HOSTS = "all hosts"  # stands for a host where nobody writes any more; no machine's name has a blank
LOG_SILENT = "log_silent"  # the kind of that
WINDOW_ROWS = 20_000  # of one host's window that are read; a flood's others are counted only


def iso(time_s: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC; whole seconds print without a fraction."""
    moment = datetime.fromtimestamp(time_s, UTC)
    return moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Moved:
    """One feature that moved: its value, the host's normal range, and its part of the score (positive: stranger)."""

    feature: str
    value: float | None
    normal_low: float | None
    normal_high: float | None
    contribution: float


@dataclass(frozen=True, slots=True)
class Line:
    """A log line kept as evidence."""

    time: float
    program: str
    message: str
    telling: bool = False  # of an event that the leading features count


@dataclass(frozen=True, slots=True)
class Verdict:
    """A scored window of one host. A higher score is stranger; `rarity` is the N of "1 in N" normal windows."""

    agent: str
    host: str
    window_start: float
    window_end: float
    role: str
    rows: int
    score: float | None
    rarity: float | None
    is_anomaly: bool
    type: str | None
    severity: str | None
    confidence: float | None
    description: str
    features: Mapping[str, float | None]
    explanation: tuple[Moved, ...]
    model_version: str
    found_by: str = ""  # "model", "rule", "model+rule", "silence" or "" (normal)
    lines: tuple[Line, ...] = field(default=())  # evidence, of anomalies only
    incident: str | None = None
    sampled: bool = False  # a flood passed what is kept of a window: its counts are lower bounds
    nearest: Mapping[str, object] | None = None  # the most similar normal window of training, of anomalies only

    def as_json(self) -> dict[str, object]:
        """What `replay --json` and the API print of a verdict; times as ISO 8601."""
        return {
            "agent": self.agent,
            "host": self.host,
            "window_start": iso(self.window_start),
            "window_end": iso(self.window_end),
            "score": self.score,
            "rarity": self.rarity,
            "is_anomaly": self.is_anomaly,
            "type": self.type,
            "severity": self.severity,
            "confidence": self.confidence,
            "description": self.description,
            "features": dict(self.features),
            "explanation": [
                {
                    "feature": moved.feature,
                    "value": moved.value,
                    "normal_low": moved.normal_low,
                    "normal_high": moved.normal_high,
                    "contribution": moved.contribution,
                }
                for moved in self.explanation
            ],
            "incident": self.incident,
            "role": self.role,
            "rows": self.rows,
            "found_by": self.found_by,
            "model_version": self.model_version,
            "sampled": self.sampled,
            "nearest": self.nearest,
        }
