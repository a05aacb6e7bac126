"""Rows in, verdicts out: the one path that the daemon, `replay` and the golden check share.

add(row) ▸ panes          close(until) ▸ windows ▸ score ▸ classify ▸ explain ▸ Verdict; silences as well
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.causes import Causes
from shared.classify import Classifier
from shared.crowd import Crowd
from shared.features import Window
from shared.heartbeat import Heartbeats
from shared.model import Model
from shared.pulse import Pulse
from shared.reference import SilenceLimits
from shared.silence import SilenceWatch
from shared.values import WINDOW_ROWS, Row, Verdict

REMEMBERED = 4_000  # different messages: 3 MB


class Judge:
    """One agent's model turned on a stream of rows.

    Args:
        model: what a bundle holds.
        budget: incidents per host-week that the threshold is set for; None takes the bundle's own threshold.

    The caller says with `close(until)` that no row older than `until` is to be expected; what arrives all the same is
    counted in `late`. After a restart the caller restores the memory and re-reads rows from `warm_since` on with `warm`.
    """

    def __init__(self, model: Model, budget: float | None = None) -> None:
        self.model = model
        self._extractor = model.extractor(REMEMBERED)
        self._classifier = Classifier(model, budget, self._extractor.table.events_of())
        self._programs = frozenset(model.spec.programs)
        self._watch = SilenceWatch(model.spec.silence) if model.spec.silence else None
        self._hearts = Heartbeats(model.spec.heartbeats) if model.spec.heartbeats else None
        self._pulse = Pulse()
        self._crowd = Crowd(self._knows, model.spec.long_windows)
        self._causes = Causes(model.spec)
        self._span = model.spec.window_s
        self._limits: dict[str, SilenceLimits] = {}  # of every host that has spoken and that training knew
        self._rows: dict[tuple[str, float], int] = {}  # of each host's open windows
        self._ticked = -math.inf  # windows that end here or earlier have been looked at for silences

    @property
    def late(self) -> int:
        """Rows that came after their window was closed."""
        return self._extractor.late

    def set_budget(self, budget: float | None) -> None:
        """From now on judge for so many incidents per host-week; None: as the bundle says."""
        self._classifier.set_budget(budget)

    def take_passed_over(self) -> int:
        """Rows since the last call of hosts that were not let in: unknown to training, among too many others."""
        count, self._crowd.passed_over = self._crowd.passed_over, 0
        return count

    @property
    def closed_until(self) -> float:
        """Windows that end at this time (s) or earlier are judged; -inf before the first close."""
        return self._ticked

    def open_since(self) -> float:
        """Start of the oldest open window, +inf where none is open."""
        return self._extractor.open_since()

    def warm_since(self) -> float:
        """From when on rows must be re-read after a restart so that the next windows see their whole half hour."""
        return self._ticked - self.model.spec.long_windows * self._span

    def add(self, row: Row) -> None:
        """Take in a row; rows of programs that the agent does not watch are ignored.

        Of one host's window the first `WINDOW_ROWS` are read, the others of a flood counted: it must not eat the machine.
        For the same reason not every host is let in that training did not know (`Crowd`).
        """
        if row[3] in self._programs:
            place = row[2], row[1] // self._span
            rows = self._rows.get(place, 0)
            if not rows and not self._crowd.admits(row[2], int(place[1])):
                return
            self._rows[place] = rows + 1
            if rows < WINDOW_ROWS:
                self._extractor.add(row)

    warm = add  # rows of windows that were judged before fill the trailing view; `resume` closes them unheard

    def hear_late(self, row: Row) -> None:
        """A row came of a window that is judged: its host was less silent than it seemed."""
        if row[3] in self._programs:
            for watch in (self._watch, self._hearts):
                if watch is not None:
                    watch.hear_late(row[2], row[1])
            self._pulse.hear_late(row[1])

    def resume(self) -> None:
        """After `restore` and `warm`: close again, without verdicts, what was judged before the restart."""
        if self._ticked > -math.inf:
            self._extractor.close(self._ticked)

    def close(self, until: float) -> list[Verdict]:
        """Verdicts of all windows that end at `until` (s) or earlier, silences included, by (window start, host)."""
        windows = self._with_floods(self._extractor.close(until))
        last = (
            until // self._span * self._span
            if math.isfinite(until)
            else max((w.end for w in windows), default=-math.inf)
        )
        verdicts: list[Verdict] = []
        for end, group in self._by_end(windows, last):
            found = [*self._classifier.judge(group), *self._silences(group, end)]
            verdicts += self._causes.apply(found, end)
        verdicts.sort(key=lambda verdict: (verdict.window_start, verdict.host))
        if last > self._ticked:
            self._ticked = last
            self._extractor.forget(last - self.model.spec.long_windows * self._span)
            self._rows = {place: rows for place, rows in self._rows.items() if place[1] * self._span >= last}
        return verdicts

    def _with_floods(self, windows: list[Window]) -> list[Window]:
        """The windows with all their rows, marked where rows were passed over."""
        found = []
        for window in windows:
            over = self._rows.get((window.host, window.start // self._span), 0) - WINDOW_ROWS
            found.append(window._replace(rows=window.rows + over, sampled=True) if over > 0 else window)
        return found

    def _by_end(self, windows: Iterable[Window], last: float) -> Iterator[tuple[float, list[Window]]]:
        """The windows grouped by their end, spans without any window included once silences can be told."""
        groups: dict[float, list[Window]] = {}
        for window in windows:
            groups.setdefault(window.end, []).append(window)
        if (self._watch or self._hearts) and math.isfinite(last):
            first = self._ticked + self._span if math.isfinite(self._ticked) else min(groups, default=last)
            spans = min(int((last - first) / self._span) + 1, 10_000)  # a jump of the clock is no month of silences
            for k in range(spans):
                groups.setdefault(first + k * self._span, [])
        return iter(sorted(groups.items()))

    def _silences(self, spoke: list[Window], end: float) -> list[Verdict]:
        """Verdicts on hosts that should have spoken; an access point that was, is not told of as anything else too."""
        if self._watch is None and self._hearts is None:
            return []
        for window in spoke:
            if window.host not in self._limits:
                limit = self._limit_of(window.host)
                if limit is None:
                    continue  # nobody knows how quiet it may be
                self._limits[window.host] = limit
            if self._watch is not None:
                self._watch.see(window)
        self._pulse.hear(spoke)
        names, since = {window.host for window in spoke}, self._pulse.since
        silent = self._watch.silent(names, end, self._limits, since) if self._watch else []
        if self._hearts is not None:
            self._hearts.hear(spoke, self._limits)
            known = names | {one.host for one in silent}
            silent += self._hearts.silent(known, end, self._limits, max(since, self._pulse.woke))
        told = self._pulse.told(silent, bool(spoke), end)
        return [self._classifier.silence(one, end - self._span, end) for one in told]

    def _knows(self, host: str) -> bool:
        """Whether training knew the host."""
        name = self.model.host_hash(host)
        return name in self.model.reference.silence or any(name in scale.rows for scale in self.model.scales.values())

    def _limit_of(self, host: str) -> SilenceLimits | None:
        return self.model.reference.silence.get(self.model.host_hash(host))

    def memory(self) -> dict[str, Any]:
        """What must survive a restart, for JSON."""
        return {
            "closed_until": self._ticked if math.isfinite(self._ticked) else None,
            "silence": self._watch.memory() if self._watch else {},
            "heartbeats": self._hearts.memory() if self._hearts else {},
            "pulse": self._pulse.memory(),
            "causes": self._causes.memory(),
        }

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave; then `warm` the rows since `warm_since` and `resume`."""
        closed = memory.get("closed_until")
        self._ticked = -math.inf if closed is None else float(closed)
        self._causes.restore(memory.get("causes", []))
        silence, hearts = memory.get("silence", {}), memory.get("heartbeats", {})
        self._pulse.restore(memory.get("pulse", {}))
        if self._watch:
            self._watch.restore(silence)
        if self._hearts:
            self._hearts.restore(hearts)
        hosts = {**silence.get("last", {}), **hearts.get("last", {})}
        self._limits = {host: limit for host in hosts if (limit := self._limit_of(host)) is not None}


def replay(rows: Iterable[Row], judge: Judge) -> Iterator[Verdict]:
    """Verdicts of a file's rows, closed on event time once the grace has passed; the last windows at the end."""
    span, grace = judge.model.spec.window_s, judge.model.spec.grace_s
    due = -math.inf
    for row in rows:
        time = row[1]
        if time >= due:
            if due > -math.inf:
                yield from judge.close((time - grace) // span * span)
            due = ((time - grace) // span + 1) * span + grace
        judge.add(row)
    yield from judge.close(math.inf)
