"""Rows that are watched while they stream by, and who is told and asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from shared.values import Row

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
    """Tells progress and asks whether to go on while rows stream by.

    span: from when to when the rows go (s), by which their time says how much is done.
    """

    def __init__(self, progress: Progress, check: Cancelled, span: tuple[float, float] | None = None) -> None:
        self._progress, self._check, self._span = progress, check, span

    def rows(self, rows: Iterable[Row]) -> Iterable[Row]:
        for number, row in enumerate(rows, 1):
            if number % CHECK_EVERY == 0:
                self._check()
                self._tell(row[1])
            yield row

    def _tell(self, time: float) -> None:
        if self._span is not None:
            start, end = self._span
            self._progress(min(0.99, max(0.0, (time - start) / max(1.0, end - start))))
