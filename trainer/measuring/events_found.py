"""The event level: which episodes a model found, how soon, by which name, and how often it cried wolf."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from shared.values import Moved, Verdict
from trainer.labels import Episode
from trainer.measuring.seen import Seen

MERGE_S = 1800.0  # anomalies of one host closer than this are one incident
GRACE_S = 1800.0  # what an episode leaves in the trailing view is no false alarm
WEEK_S = 7 * 86_400.0
LINES_KEPT = 3
MOVED_KEPT = 3


@dataclass(frozen=True)
class Outcome:
    """An episode or an injected fault and what became of it. `visible` as in the labels; delay in seconds.

    `named`: one of the names that it was given is right; None where any name would be.
    """

    type: str
    title: str
    host: str
    role: str
    start: float
    end: float
    found: bool
    visible: bool | str = True
    delay_s: float | None = None
    said: tuple[str, ...] = ()
    named: bool | None = None
    found_by: str = ""
    score: float | None = None
    rarity: float | None = None
    moved: tuple[Moved, ...] = ()
    lines: tuple[str, ...] = ()


@dataclass(frozen=True)
class EventScore:
    """Counts over all outcomes. Rates are per host-week."""

    visible: int
    found: int
    invisible: int
    silences: int
    silences_found: int
    nameable: int
    named: int
    median_delay_s: float | None
    false_incidents: int
    host_weeks: float

    @property
    def recall(self) -> float | None:
        """Share of the visible episodes that were found; silences are episodes that show, too."""
        total = self.visible + self.silences
        return (self.found + self.silences_found) / total if total else None

    @property
    def false_rate(self) -> float | None:
        """False incidents per host-week."""
        return self.false_incidents / self.host_weeks if self.host_weeks > 0 else None

    def as_json(self) -> dict[str, Any]:
        """Counts and rates."""
        return {
            "visible": self.visible, "found": self.found, "leaves_no_line": self.invisible, "silences": self.silences,
            "silences_found": self.silences_found, "recall": _rounded(self.recall), "nameable": self.nameable,
            "named_right": self.named, "median_delay_s": _rounded(self.median_delay_s, 1),
            "false_incidents": self.false_incidents, "host_weeks": round(self.host_weeks, 3),
            "false_incidents_per_host_week": _rounded(self.false_rate),
        }  # fmt: skip


def touches(episode: Episode, host: str, start: float, end: float) -> bool:
    """Does an episode's own time overlap a window of a host that it touched?"""
    return host in episode.hosts and start <= episode.end and end > episode.start


def best_of(verdicts: Iterable[Verdict]) -> Verdict | None:
    """The anomalous verdict that tells most: the highest score."""
    anomalies = [verdict for verdict in verdicts if verdict.is_anomaly]
    return max(anomalies, key=lambda verdict: verdict.score or 0.0, default=None)


def outcome_of(
    kind: str, title: str, host: str, role: str, start: float, end: float, verdicts: Sequence[Verdict],
    right: Sequence[str] | None, visible: bool | str = True,
) -> Outcome:  # fmt: skip
    """What became of one episode; `verdicts` are those of its windows. `right`: names that fit, None: any."""
    best = best_of(verdicts)
    if best is None:
        near = max(verdicts, key=lambda verdict: verdict.score or 0.0, default=None)
        score, rarity = (None, None) if near is None else (near.score, near.rarity)
        return Outcome(kind, title, host, role, start, end, False, visible, score=score, rarity=rarity)
    anomalies = [verdict for verdict in verdicts if verdict.is_anomaly]
    said = tuple(sorted({str(verdict.type) for verdict in anomalies}))
    return Outcome(
        kind, title, host, best.role, start, end, True, visible,
        delay_s=max(0.0, min(verdict.window_end for verdict in anomalies) - start),
        said=said,
        named=None if right is None else bool(set(right) & set(said)),
        found_by=best.found_by, score=best.score, rarity=best.rarity, moved=best.explanation[:MOVED_KEPT],
        lines=tuple(line.message for line in best.lines[-LINES_KEPT:]),
    )  # fmt: skip


def weeks_of(seen: Sequence[Seen]) -> float:
    """Host-weeks of a log: every host that was judged counts for the whole time."""
    if not seen:
        return 0.0
    return len({one.host for one in seen}) * (max(one.end for one in seen) - min(one.start for one in seen)) / WEEK_S


def incidents(flagged: Iterable[Seen]) -> list[list[Seen]]:
    """Anomalous windows merged by host, gaps of `MERGE_S` and less closed."""
    found: list[list[Seen]] = []
    last_end = 0.0
    for seen in sorted(flagged, key=lambda one: (one.host, one.start)):
        if found and found[-1][-1].host == seen.host and seen.start - last_end <= MERGE_S:
            found[-1].append(seen)
            last_end = max(last_end, seen.end)
        else:
            found.append([seen])
            last_end = seen.end
    return found


def false_incidents(flagged: Iterable[Seen], episodes: Sequence[Episode] = ()) -> list[list[Seen]]:
    """Incidents none of whose windows lies in an episode that touched the host, or soon after it."""

    def explained(seen: Seen) -> bool:
        return any(seen.host in e.hosts and seen.start <= e.end + GRACE_S and seen.end >= e.start for e in episodes)

    return [incident for incident in incidents(flagged) if not any(explained(seen) for seen in incident)]


def event_score(outcomes: Sequence[Outcome], false: int, host_weeks: float) -> EventScore:
    """Sum the outcomes up."""
    lines = [one for one in outcomes if one.visible is True]
    silences = [one for one in outcomes if one.visible == "silence"]
    shown = [one for one in (*lines, *silences) if one.found]
    nameable = [one for one in shown if one.named is not None]
    delays = [one.delay_s for one in shown if one.delay_s is not None]
    return EventScore(
        len(lines), sum(one.found for one in lines), len(outcomes) - len(lines) - len(silences), len(silences),
        sum(one.found for one in silences), len(nameable), sum(bool(one.named) for one in nameable),
        statistics.median(delays) if delays else None, false, host_weeks,
    )  # fmt: skip


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else round(value, digits)
