"""The verdicts of a log beside the truth: which windows belong to which known episode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.model import Model
from shared.values import Row, Verdict
from trainer.labels import Episode
from trainer.measuring.events_found import GRACE_S, Outcome, false_incidents, outcome_of, touches
from trainer.measuring.seen import Seen, Watcher

LABELS, INJECTED = "labels", "injected faults"  # the two methods
NONE, IGNORED = -1, -2  # groups of windows: no fault; too near to one to say


@dataclass
class Judged:
    """Windows of one log with their truth.

    groups: number of the outcome whose target each window is of, NONE, or IGNORED: what an episode leaves behind, and
    windows of other hosts that it touched, where an alarm is right and its absence no miss. touching: number of the outcome
    that touched the window in any way, or NONE. episodes: known ones whose alarms are no false ones.
    """

    method: str
    seen: list[Seen]
    groups: list[int]
    touching: list[int]
    outcomes: list[Outcome]
    episodes: Sequence[Episode] = ()

    def false(self, flagged: Callable[[Seen], bool]) -> list[list[Seen]]:
        """False incidents if windows were flagged so; windows that faults were laid into do not count."""
        injected = self.method == INJECTED
        noisy = [
            one
            for one, group in zip(self.seen, self.groups, strict=True)
            if not (injected and group >= 0) and flagged(one)
        ]
        return false_incidents(noisy, self.episodes)


class Against:
    """Compares verdicts with known episodes, log after log."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = episodes
        self.seen: list[Seen] = []
        self.groups: list[int] = []
        self.touching: list[int] = []
        self._touched: dict[int, list[Verdict]] = {}
        self._by_host: dict[str, list[int]] = {}
        for number, episode in enumerate(episodes):
            for host in episode.hosts:
                self._by_host.setdefault(host, []).append(number)

    def take(self, watcher: Watcher, rows: Iterable[Row], start: float = -math.inf, end: float = math.inf) -> None:
        """Judge a log's rows; windows that begin before `start` or at `end` (s) and later only fill the view."""
        for verdict in watcher.stream(rows):
            if start <= verdict.window_start < end:
                one = watcher.seen(verdict)
                self.seen.append(one)
                group, touching = self._place(one, verdict)
                self.groups.append(group)
                self.touching.append(touching)

    def _place(self, one: Seen, verdict: Verdict) -> tuple[int, int]:
        group = touching = NONE
        for number in self._by_host.get(one.host, ()):
            episode = self.episodes[number]
            # a window may begin up to its own length after the end: the last lines are judged there
            if one.start <= episode.end + (one.end - one.start) and one.end >= episode.start:
                self._keep(number, verdict)
            shown = touches(episode, one.host, one.start, one.end) and episode.visible is not False
            touching = number if shown else touching
            if shown and one.host == episode.host:
                group = number
            elif one.start <= episode.end + GRACE_S and one.end >= episode.start and group == NONE:
                group = IGNORED
        return group, touching

    def _keep(self, number: int, verdict: Verdict) -> None:
        """Anomalies of an episode; of one without any, the strangest window."""
        known = self._touched.setdefault(number, [])
        if verdict.is_anomaly or not known:
            known.append(verdict)
        elif len(known) == 1 and not known[0].is_anomaly and (verdict.score or 0.0) > (known[0].score or 0.0):
            known[0] = verdict

    def merge(self, later: Against) -> None:
        """Add what was taken in from a later part of the log."""
        self.seen += later.seen
        self.groups += later.groups
        self.touching += later.touching
        for number, verdicts in later._touched.items():
            for verdict in verdicts:
                self._keep(number, verdict)

    def judged(self, model: Model) -> Judged:
        """All that was taken in."""
        outcomes = [
            outcome_of(
                episode.type, _title(model, episode.type), episode.host, "", episode.start, episode.end,
                self._touched.get(number, ()), (episode.type,), episode.visible,
            )
            for number, episode in enumerate(self.episodes)
        ]  # fmt: skip
        return Judged(LABELS, self.seen, self.groups, self.touching, outcomes, self.episodes)


def _title(model: Model, kind: str) -> str:
    rules = {rule.names: rule.title for rule in reversed(model.spec.rules)}
    silence = model.spec.silence
    if silence is not None:
        rules.setdefault(silence.type, "Host falls silent")
    return rules.get(kind, kind.replace("_", " ").capitalize())
