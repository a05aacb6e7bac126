"""Anomalies that belong together: what a person is told about.

Anomalies of one host whose windows lie at most `MERGE_GAP_S` apart are one incident. Its name is the kind with the
highest (severity, confidence, count); its key is made of agent, host and first window and never changes. The daemon
and `replay` use the same class, so they name the same incidents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shared.values import Verdict, iso

MERGE_GAP_S = 1800.0
SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of one type of anomaly inside an incident."""

    rank: int  # index into SEVERITIES
    confidence: float
    count: int
    description: str  # of the strangest verdict of the highest severity, the first of equals
    score: float = -1.0  # of that verdict; below every score where there is none

    @staticmethod
    def of(severity: str | None, confidence: float | None, description: str, score: float | None) -> Kind:
        """The kind seen in one verdict."""
        rank = SEVERITIES.index(severity) if severity in SEVERITIES else 0
        return Kind(rank, confidence or 0.0, 1, description, -1.0 if score is None else score)

    def joined(self, other: Kind) -> Kind:
        """Both together."""
        told = other if (other.rank, other.score) > (self.rank, self.score) else self
        confidence = max(self.confidence, other.confidence)
        return Kind(told.rank, confidence, self.count + other.count, told.description, told.score)


@dataclass(frozen=True, slots=True)
class Incident:
    """Anomalies of one host that belong together; times in seconds since the epoch."""

    key: str
    agent: str
    host: str
    started: float
    peak: float  # start of the window with the highest score
    ended: float  # end of the last anomalous window so far
    windows: int
    score: float | None
    rarity: float | None
    kinds: Mapping[str, Kind]
    found_by: str

    @property
    def type(self) -> str:
        """The kind with the highest (severity, confidence, count); the first in the alphabet of equals."""
        return max(sorted(self.kinds), key=lambda name: _weight(self.kinds[name]))

    @property
    def severity(self) -> str:
        """Severity of the naming kind."""
        return SEVERITIES[self.kinds[self.type].rank]

    @property
    def confidence(self) -> float:
        """Confidence of the naming kind, 0 to 1."""
        return self.kinds[self.type].confidence

    @property
    def description(self) -> str:
        """Wording of the naming kind."""
        return self.kinds[self.type].description


def _weight(kind: Kind) -> tuple[int, float, int]:
    return (kind.rank, kind.confidence, kind.count)


class Incidents:
    """The incidents that a coming anomaly may still join, by (agent, host)."""

    def __init__(self, open_incidents: Iterable[Incident] = ()) -> None:
        self._open: dict[tuple[str, str], Incident] = {}
        self._ended: list[Incident] = []
        for incident in open_incidents:
            self._open[incident.agent, incident.host] = incident

    def add(self, verdict: Verdict) -> Incident:
        """Put an anomaly into its host's incident, or begin one; verdicts of a host come in order of time."""
        place = (verdict.agent, verdict.host)
        last = self._open.get(place)
        if last is not None and verdict.window_start - last.ended <= MERGE_GAP_S:
            incident = widen(last, verdict)
        else:
            if last is not None:
                self._ended.append(last)
            incident = begin(verdict)
        self._open[place] = incident
        return incident

    def settle(self, until: Mapping[str, float]) -> None:
        """End the incidents that nothing can join any more: `until` is the time up to which each agent has judged."""
        for place, incident in list(self._open.items()):
            if until.get(incident.agent, 0.0) - incident.ended > MERGE_GAP_S:
                self._ended.append(self._open.pop(place))

    def take_ended(self) -> list[Incident]:
        """The incidents that ended since the last call."""
        ended, self._ended = self._ended, []
        return ended

    def __len__(self) -> int:
        return len(self._open)


def begin(verdict: Verdict) -> Incident:
    """The incident that an anomaly begins."""
    return Incident(
        key=f"{verdict.agent}/{verdict.host}/{iso(verdict.window_start)}",
        agent=verdict.agent,
        host=verdict.host,
        started=verdict.window_start,
        peak=verdict.window_start,
        ended=verdict.window_end,
        windows=1,
        score=verdict.score,
        rarity=verdict.rarity,
        kinds={verdict.type or "unusual": _kind_of(verdict)},
        found_by=verdict.found_by,
    )


def widen(incident: Incident, verdict: Verdict) -> Incident:
    """The incident with one more anomaly in it."""
    name = verdict.type or "unusual"
    seen = _kind_of(verdict)
    kinds = {**incident.kinds, name: incident.kinds[name].joined(seen) if name in incident.kinds else seen}
    higher = (verdict.score if verdict.score is not None else -1.0) > (
        incident.score if incident.score is not None else -1.0
    )
    return replace(
        incident,
        peak=verdict.window_start if higher else incident.peak,
        ended=max(incident.ended, verdict.window_end),
        windows=incident.windows + 1,
        score=verdict.score if higher else incident.score,
        rarity=verdict.rarity if higher else incident.rarity,
        kinds=kinds,
        found_by=_finders(incident.found_by, verdict.found_by),
    )


def _kind_of(verdict: Verdict) -> Kind:
    return Kind.of(verdict.severity, verdict.confidence, verdict.description, verdict.score)


def _finders(one: str, other: str) -> str:
    """Both finders, in a fixed order: "model+rule"."""
    found = set(filter(None, one.split("+") + other.split("+")))
    return "+".join(name for name in ("model", "rule", "silence") if name in found)
