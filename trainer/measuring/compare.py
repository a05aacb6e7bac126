"""Two models over the same log: where would they have alerted differently?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.model import Model
from shared.values import Verdict, iso
from trainer.fitting.pseudonyms import Pseudonyms
from trainer.helper import done_together
from trainer.measuring.events_found import incidents
from trainer.measuring.seen import Seen, Watcher
from trainer.measuring.stretch import WARM_S
from trainer.watched import Cancelled, Progress, Watched, no_check, no_progress
from trainer.windows.reading import processes_for
from trainer.windows.source import Source

SHOWN = 12


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says of a window: N of "1 in N" (None: it has no verdict), an anomaly or not, and its name."""

    rarity: float | None
    flagged: bool
    type: str | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A window that only one of two models raises."""

    host: str
    start: float
    old: Said
    new: Said


@dataclass(frozen=True)
class Comparison:
    """Two models over one log: windows that both judge alike, alerts that go away, alerts that come."""

    old: str
    new: str
    windows: int
    same: int
    gone: int
    come: int
    incidents_old: int
    incidents_new: int
    differences: tuple[Difference, ...]

    def as_json(self, names: Pseudonyms | None = None) -> dict[str, Any]:
        """For `--json` and the report; with `names` no host is told."""
        return {
            "old": self.old, "new": self.new, "windows": self.windows, "same": self.same, "alerts_gone": self.gone,
            "alerts_new": self.come, "incidents_old": self.incidents_old, "incidents_new": self.incidents_new,
            "differences": [
                {
                    "host": names.host(one.host) if names else one.host, "window_start": iso(one.start),
                    "old": _said(one.old), "new": _said(one.new),
                }
                for one in self.differences
            ],
        }  # fmt: skip


def _said(said: Said) -> dict[str, Any]:
    return {"rarity": said.rarity, "is_anomaly": said.flagged, "type": said.type}


NOTHING = Said(None, False, None)


def compare(
    old: Model,
    new: Model,
    source: Source,
    start: float = -math.inf,
    check: Cancelled = no_check,
    progress: Progress = no_progress,
    span: tuple[float, float] | None = None,
) -> Comparison:
    """Replay a log through both; windows that begin before `start` (s) only fill the view. span: of the log's rows, by
    which progress is told."""
    works = [partial(_said_by, model, source, start, span) for model in (old, new)]
    (before, old_flagged), (after, new_flagged) = done_together(
        works, processes_for(source), "replays the log", check, progress
    )
    both = before.keys() | after.keys()
    differ = []
    for key in both:
        was, now = before.get(key, NOTHING), after.get(key, NOTHING)
        if was.flagged != now.flagged:
            differ.append(Difference(*key, was, now))
    differ.sort(key=lambda one: (-max(one.old.rarity or 0, one.new.rarity or 0), one.start, one.host))
    come = sum(one.new.flagged for one in differ)
    return Comparison(
        old.version, new.version, len(both), len(both) - len(differ), len(differ) - come, come,
        len(incidents(old_flagged)), len(incidents(new_flagged)), tuple(differ[:SHOWN]),
    )  # fmt: skip


def _said_by(
    model: Model, source: Source, start: float, span: tuple[float, float] | None, check: Cancelled, progress: Progress
) -> tuple[Mapping[tuple[str, float], Said], list[Seen]]:
    watcher, said, flagged = Watcher(model), {}, []
    rows = source.between(start - WARM_S, math.inf)
    for verdict in watcher.stream(Watched(progress, check, span).rows(rows)):
        if verdict.window_start >= start:
            said[verdict.host, verdict.window_start] = _of(verdict)
            if verdict.is_anomaly:
                flagged.append(watcher.seen(verdict))
    return said, flagged


def _of(verdict: Verdict) -> Said:
    return Said(verdict.rarity, verdict.is_anomaly, verdict.type)
