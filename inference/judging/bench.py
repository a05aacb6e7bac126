"""One agent's judge with the rows that wait for it: what comes in any order is judged in order of (time, id).

Rows wait in a bounded buffer until the moment they belong to is closed. Those of windows that are judged already, and
those far ahead of the clock, do not wait: their windows are noted to be judged again from the source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Protocol

from inference.judging.reopen import EARLY_S, Notes
from inference.models import Serving
from inference.source import Cursor
from shared.values import Row, Verdict

BUFFER_ROWS = 5_000
FOREVER = float("inf")
by_time = itemgetter(1, 0)


class Judging(Protocol):
    """What is used of shared.judge.Judge; a test's fake has it too."""

    @property
    def closed_until(self) -> float:
        """Windows that end here or earlier are judged; -inf before the first close."""

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave; then `warm` the rows since `warm_since`, then `resume`."""

    def warm_since(self) -> float:
        """From when on rows must be shown again after `restore`."""

    def warm(self, row: Row) -> None:
        """Show a row of a window that was judged before."""

    def resume(self) -> None:
        """End of the warming."""

    def add(self, row: Row) -> None:
        """Take a row of an open window."""

    def close(self, until: float) -> list[Verdict]:
        """Judge every window with end <= until."""

    def memory(self) -> dict[str, Any]:
        """What must survive a restart, for JSON."""

    def hear_late(self, row: Row) -> None:
        """A row came of a window that is judged: its host had spoken then."""

    def take_passed_over(self) -> int:
        """Rows of hosts that were not let in, since the last call."""

    def set_budget(self, budget: float | None) -> None:
        """From now on judge for so many incidents a week and host; None: as the bundle says."""


MakeJudge = Callable[[Serving], Judging]


@dataclass
class Bench:
    """One agent's judge with the rows that wait for it."""

    serving: Serving
    judge: Judging
    waiting: list[Row]
    grace_s: float
    notes: Notes = field(init=False)

    def __post_init__(self) -> None:
        self.notes = Notes(self.serving.agent, float(self.serving.model.spec.window_s), self.grace_s)

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs whose rows it wants."""
        return self.serving.model.spec.programs

    def add(self, rows: Iterable[Row], now: float = FOREVER) -> None:
        """Let rows wait until their windows are closed; `now` is the source's clock."""
        closed, ahead, wait = self.judge.closed_until, now + EARLY_S, self.waiting.append
        for row in rows:
            if row[1] < closed:
                self.notes.note_late(row, now)
                self.judge.hear_late(row)
            elif row[1] >= ahead:
                self.notes.note_early(row)
            else:
                wait(row)
        if len(self.waiting) > BUFFER_ROWS:
            self._make_room()

    def _make_room(self) -> None:
        """Give the older half to the judge at once."""
        self.waiting.sort(key=by_time)
        half = len(self.waiting) // 2
        self._feed(self.waiting[:half])
        del self.waiting[:half]

    def close(self, until: float) -> list[Verdict]:
        """Judge the windows that end at or before `until`."""
        complete = (
            until // self.notes.window_s * self.notes.window_s
        )  # what comes late to an open window is in order yet
        ripe = sorted((row for row in self.waiting if row[1] < complete), key=by_time)
        if ripe:
            self.waiting = [row for row in self.waiting if row[1] >= complete]
            self._feed(ripe)
        return self.judge.close(until)

    def _feed(self, rows: Iterable[Row]) -> None:
        add = self.judge.add
        for row in rows:
            add(row)


def warm(bench: Bench, rows: Iterable[Row], cursor: Cursor) -> int:
    """Show a judge the rows before its open windows, and give it those of the open ones; how many there were.

    Only rows that have been read: `fetch` brings the others, and no row may come twice.
    """
    opened, warming, count = bench.judge.closed_until, True, 0
    for row in rows:
        if not cursor.has_read(row[0]):
            continue
        count += 1
        if warming and row[1] >= opened:
            bench.judge.resume()
            warming = False
        if warming:
            bench.judge.warm(row)
        else:
            bench.add((row,))
    if warming:
        bench.judge.resume()
    return count
