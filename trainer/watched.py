"""Rows that are watched while they stream by: how many, of how many hosts, over what time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.values import Row
from trainer.events_found import WEEK_S

Progress = Callable[[float], None]  # share done
Cancelled = Callable[[], None]  # raises to stop

CHECK_EVERY = 20_000  # rows between two looks at progress and cancellation


def no_check() -> None:
    """Nobody cancels."""


def no_progress(_share: float) -> None:
    """Nobody watches."""


def part(progress: Progress, start: float, stop: float) -> Progress:
    """Progress of one part of the work, which goes from `start` to `stop` of the whole."""
    return lambda share: progress(start + share * (stop - start))


class Watched:
    """Counts rows, hosts and time while they stream by, tells progress and asks whether to go on.

    span: from when to when the rows go (s), by which their time says how much is done.
    """

    def __init__(self, progress: Progress, check: Cancelled, span: tuple[float, float] | None = None) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0
        self.hosts: set[str] = set()
        self._progress, self._check, self._span = progress, check, span

    def rows(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            if self.count == 0:
                self.first = self.last = row[1]
            self.count += 1
            self.last = max(self.last, row[1])
            self.hosts.add(row[2])
            if self.count % CHECK_EVERY == 0:
                self._check()
                self._tell()
            yield row

    def _tell(self) -> None:
        if self._span is not None:
            start, end = self._span
            self._progress(min(0.99, max(0.0, (self.last - start) / max(1.0, end - start))))


def span_weeks(watched: Watched) -> float:
    """Host-weeks of a log: every host counts for the whole time."""
    return len(watched.hosts) * (watched.last - watched.first) / WEEK_S
