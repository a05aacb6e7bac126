"""Two models over the same log: where would they have alerted differently?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.model import Model
from shared.values import Row, Verdict, iso
from trainer.events_found import incidents
from trainer.pseudonyms import Pseudonyms
from trainer.seen import Seen, Watcher

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
    old: Model, new: Model, rows: Callable[[], Iterable[Row]], start: float = float("-inf"),
    check: Callable[[], None] = lambda: None,
) -> Comparison:  # fmt: skip
    """Replay a log through both; windows that begin before `start` (s) only fill the view."""
    check()
    before, old_flagged = _all(old, rows(), start)
    check()
    after, new_flagged = _all(new, rows(), start)
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


def _all(model: Model, rows: Iterable[Row], start: float) -> tuple[Mapping[tuple[str, float], Said], list[Seen]]:
    watcher, said, flagged = Watcher(model), {}, []
    for verdict in watcher.stream(rows):
        if verdict.window_start >= start:
            said[verdict.host, verdict.window_start] = _of(verdict)
            if verdict.is_anomaly:
                flagged.append(watcher.seen(verdict))
    return said, flagged


def _of(verdict: Verdict) -> Said:
    return Said(verdict.rarity, verdict.is_anomaly, verdict.type)
