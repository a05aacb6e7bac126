"""Whether the log as a whole still comes. When everybody is quiet at once, people are told of the log and not of each host.

A host is silent while others talk. While nobody talks at all, its silence says nothing about it: the log may no longer
arrive. So nobody is told of a host that falls overdue then before somebody else has spoken again; where most of a host's
quiet time nobody spoke, one verdict on all hosts stands in the place of theirs. When the log is back, every host's quiet
time counts from there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from shared.agent import HeartbeatSpec
from shared.clean import clean
from shared.features import Window
from shared.silence import Silence
from shared.values import ALL_HOSTS, LOG_SILENT

PAUSE_S = 3600.0  # after so long without a line of anybody, hosts that talk now and then begin anew too
MOST_NAMED = 3
RANKS = ("info", "warning", "critical")


class Pulse:
    """Remembers when anybody spoke last. Fed with all windows of one span after the other."""

    def __init__(self) -> None:
        self.since = -math.inf  # when the log was back after it had been told of as away
        self.woke = -math.inf  # when somebody spoke after a pause of `PAUSE_S`
        self._talk = -math.inf  # time of the last row of anybody
        self._away = False  # it is told of as away
        self._only: str | None = None  # the one host that ever spoke
        self._company = False  # several did

    def hear(self, spoke: Sequence[Window]) -> None:
        """Take in the windows of one span."""
        if not spoke:
            return
        start = min(window.start for window in spoke)
        if self._away:
            self.since, self._away = start, False
        if start - self._talk > PAUSE_S:
            self.woke = start
        self._talk = max(self._talk, *(window.last for window in spoke))
        for window in spoke:
            self._company = self._company or self._only not in (None, window.host)
            self._only = window.host

    def hear_late(self, time: float) -> None:
        """Somebody had spoken at `time` (s), though the row came late."""
        self._talk = max(self._talk, time)

    def told(self, overdue: Sequence[Silence], spoke: bool, end: float) -> list[Silence]:
        """What to tell at the end (s) of a span of hosts that are overdue: of each, of all as one, or nothing yet."""
        if spoke or not self._company or not overdue:
            return list(overdue)
        pause = end - self._talk
        found, hit = list[Silence](), list[Silence]()
        for one in overdue:
            if min(one.quiet_s, end - self.since) - pause > one.limit_s:
                found.append(one)  # it was, while others talked yet
            elif pause > one.quiet_s / 2:
                hit.append(one)
        if hit:
            self._away = True
            found.append(self._as_one(hit, pause))
        return found

    def _as_one(self, overdue: Sequence[Silence], pause_s: float) -> Silence:
        moment = datetime.fromtimestamp(self._talk, UTC)
        words = (
            f"{ALL_HOSTS} have been silent since {moment:%Y-%m-%d %H:%M} UTC"
            f" ({_names(overdue)} never that quiet in training)"
        )
        worst = min((one.spec for one in overdue), key=lambda spec: -RANKS.index(spec.severity))
        words = words.replace("{", "{{").replace("}", "}}")
        spec = HeartbeatSpec(worst.role, "", LOG_SILENT, worst.severity, worst.confidence, words, (), PAUSE_S, 0.0, 1.0)
        return Silence(ALL_HOSTS, pause_s, min(one.limit_s for one in overdue), spec)

    def memory(self) -> dict[str, Any]:
        """What must survive a restart, for JSON."""
        times = {"since": self.since, "woke": self.woke, "talk": self._talk}
        kept = {name: None if time == -math.inf else time for name, time in times.items()}
        return {**kept, "away": self._away, "only": self._only, "company": self._company}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave."""
        times = (memory.get(name) for name in ("since", "woke", "talk"))
        self.since, self.woke, self._talk = (-math.inf if time is None else float(time) for time in times)
        self._away, self._only = bool(memory.get("away")), memory.get("only")
        self._company = bool(memory.get("company"))


def _names(overdue: Sequence[Silence]) -> str:
    """Who they are, with the verb: "ap1, ap2, ap3 and 4 others were"."""
    names = [clean(one.host, 100) for one in overdue[:MOST_NAMED]]
    more = len(overdue) - len(names)
    if more:
        return f"{', '.join(names)} and {more} other{'s' if more > 1 else ''} were"
    return f"{names[0]} was" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} were"
