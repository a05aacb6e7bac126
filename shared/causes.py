"""What one host is sure of explains what its neighbours see at the same time.

A false access point shows at the station that was lured; the access point beside it only sees clients come and go, which
by itself looks like forged frames or a weak client. An agent's `explains` section says which kind explains which others.
Where a rule (or a silence) has found the first at one host, anomalies of the others within the trailing half hour keep
their score and evidence and take its name, so that people are told of one thing and not of five.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.agent import AgentSpec
from shared.clean import clean
from shared.values import Verdict

RANKS = {"info": 0, "warning": 1, "critical": 2}
GUESS = "guess"  # in an `explains` list: whatever the model alone has found
DOUBT = 0.9  # two hosts at the same time need not be the same thing
MAX_CAUSES = 200


@dataclass(frozen=True, slots=True)
class Cause:
    """What a host was sure of in a window that ended at `end` (s)."""

    type: str
    host: str
    end: float
    severity: str
    confidence: float
    description: str


class Causes:
    """The newest causes of one agent; fed with the verdicts of one window after the other."""

    def __init__(self, spec: AgentSpec) -> None:
        self._explains = spec.explains
        self._span_s = spec.window_s * spec.long_windows
        self._recent: list[Cause] = []

    def apply(self, verdicts: Sequence[Verdict], end: float) -> list[Verdict]:
        """The verdicts of the windows that end at `end`, those that a neighbour's cause explains under its name."""
        if not self._explains:
            return list(verdicts)
        own = [_cause(verdict) for verdict in verdicts if self._is_sure(verdict)]
        fresh = {(cause.type, cause.host) for cause in own}
        recent = [c for c in self._recent if c.end > end - self._span_s and (c.type, c.host) not in fresh]
        self._recent = [*recent, *own][-MAX_CAUSES:]
        return [self._explained(verdict) for verdict in verdicts]

    def _is_sure(self, verdict: Verdict) -> bool:
        return verdict.is_anomaly and verdict.found_by not in ("", "model") and verdict.type in self._explains

    def _explained(self, verdict: Verdict) -> Verdict:
        if not verdict.is_anomaly:
            return verdict
        said = {verdict.type, GUESS} if verdict.found_by == "model" else {verdict.type}
        causes = [
            cause
            for cause in self._recent
            if cause.host != verdict.host and verdict.type != cause.type and said & set(self._explains[cause.type])
        ]
        if not causes:
            return verdict
        cause = max(causes, key=lambda one: (RANKS[one.severity], one.confidence, one.end, one.host))
        both = 1 - (1 - DOUBT * cause.confidence) * (1 - (verdict.confidence or 0.0))
        words = (
            f"{clean(verdict.host, 100)} is disturbed by what happens at {clean(cause.host, 100)}: {cause.description}"
        )
        return replace(
            verdict, type=cause.type, severity=cause.severity, confidence=round(both, 3), description=words
        )  # fmt: skip

    def memory(self) -> list[list[Any]]:
        """What must survive a restart, for JSON."""
        return [[c.type, c.host, c.end, c.severity, c.confidence, c.description] for c in self._recent]

    def restore(self, memory: Iterable[Sequence[Any]]) -> None:
        """Take up what `memory` gave; kinds that explain nothing under this agent file are dropped."""
        causes = [
            Cause(str(type_), str(host), float(end), str(severity), float(confidence), str(words))
            for type_, host, end, severity, confidence, words in memory
        ]
        self._recent = [cause for cause in causes if cause.type in self._explains and cause.severity in RANKS]


def _cause(verdict: Verdict) -> Cause:
    return Cause(
        str(verdict.type),
        verdict.host,
        verdict.window_end,
        str(verdict.severity),
        verdict.confidence or 0.0,
        verdict.description,
    )


def faults_of(explains: Mapping[str, Sequence[str]], types: Iterable[str]) -> list[str]:
    """Kinds in an agent's `explains` section that none of its rules, hints or silences can say."""
    known = {*types, GUESS}
    return [
        f"explains.{cause}: {name!r} is no kind that this agent can say"
        for cause, names in explains.items()
        for name in (cause, *names)
        if name not in known
    ]
