"""The exports of one network as one stream of rows, whatever their order and number."""

from __future__ import annotations

import hashlib
import heapq
import logging
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import TrainingError
from shared.frame import BadRow, Export, open_export
from shared.values import Row
from trainer.fitting.facts import SourceFile

logger = logging.getLogger(__name__)

TIME = operator.itemgetter(1)
T = TypeVar("T")


def go_on() -> None:
    """Nobody ends it."""


class Source:
    """The exports as one stream of rows in time order, read anew at each call."""

    CHECK_EVERY = 20_000
    DISORDER_S = 30.0  # rows may be so much older than one before them; in exports with more they are sorted

    def __init__(
        self, paths: Sequence[Path], start: float | None, end: float | None, check: Callable[[], None] = go_on
    ) -> None:
        if not paths:
            raise TrainingError("train: no export was named; give the file that `pipit-trainer export` wrote")
        self.paths = list(paths)
        self.start, self.end = -math.inf if start is None else start, math.inf if end is None else end
        self._check = check
        self._exports: list[Export] = []  # opened once: they remember where in the file which time is
        self.counts: dict[Path, tuple[int, int]] = {}
        self.sorted = False  # whether rows had to be put in order, which `rows(counting=True)` finds out

    def __getstate__(self) -> dict[str, Any]:
        """For another process: without whom to ask whether to go on."""
        return {**self.__dict__, "_check": go_on}

    def rows(self, counting: bool = False, told: Callable[[float], None] = lambda share: None) -> Iterator[Row]:
        """All rows; rows that cannot be read are counted and passed over. told: gets the share read, 0 to 1."""
        if counting:
            return self._within(self._watch_order(self._merged(-math.inf, True)), self.start, self.end, told=told)
        return self.between(-math.inf, math.inf)

    def ordered(self, work: Callable[[Iterable[Row]], T], told: Callable[[float], None] = lambda share: None) -> T:
        """What `work` makes of all rows in the order of time: done again where they turn out not to be in it."""
        found = work(self.rows(counting=True, told=told))
        return work(self.rows()) if self.sorted else found

    def span(self, told: Callable[[float], None] = lambda share: None) -> tuple[float, float] | None:
        """Times of the first and the last row; None where there is none. It knows their order after that."""
        found: tuple[float, float] | None = None
        for _, time, *_ in self.rows(counting=True, told=told):
            found = (time, time) if found is None else (min(found[0], time), max(found[1], time))
        return found

    def between(self, start: float, end: float) -> Iterator[Row]:
        """The rows from `start` (s) up to, not including, `end`."""
        start, end = max(start, self.start), min(end, self.end)
        if self.sorted:
            return self._within(sorted(self._merged(-math.inf), key=TIME), start, end)
        return self._within(self._merged(start), start, end, beyond=end + self.DISORDER_S)

    def _within(
        self,
        rows: Iterable[Row],
        start: float,
        end: float,
        beyond: float = math.inf,
        told: Callable[[float], None] = lambda share: None,
    ) -> Iterator[Row]:
        """Rows of [start, end); nothing is read on after one at or past `beyond`."""
        due = 0
        for number, row in enumerate(rows):
            if start <= row[1] < end:
                yield row
            elif row[1] >= beyond:
                return
            if number == due:
                due += self.CHECK_EVERY
                self._check()
                told(self._share_read())

    def _share_read(self) -> float:
        size = sum(path.stat().st_size for path in self.paths)
        return min(1.0, sum(export.read_bytes for export in self._exports) / max(1, size))

    def _merged(self, since: float, counting: bool = False) -> Iterable[Row]:
        self._exports = self._exports or [open_export(path) for path in self.paths]
        streams = [self._rows_of(export, since, counting) for export in self._exports]
        return streams[0] if len(streams) == 1 else heapq.merge(*streams, key=TIME)

    def _watch_order(self, rows: Iterable[Row]) -> Iterator[Row]:
        newest, behind = -math.inf, 0
        for row in rows:
            if row[1] > newest:
                newest = row[1]
            elif row[1] < newest - self.DISORDER_S:
                behind += 1
            yield row
        if behind:
            logger.warning("an export is not in the order of time, so it is sorted in memory rows_behind=%d", behind)
            self.sorted = True

    def _rows_of(self, export: Export, since: float, counting: bool) -> Iterator[Row]:
        bad = 0

        def on_bad(_row: BadRow) -> None:
            nonlocal bad
            bad += 1

        if not counting:
            yield from export.rows(on_bad, since)
            return
        good = 0
        for row in export.rows(on_bad):
            good += 1
            yield row
        self.counts[export.path] = (good, bad)

    def files(self) -> tuple[SourceFile, ...]:
        """Name, hash, size and row counts of each export."""
        return tuple(
            SourceFile(path.name, _sha256(path), path.stat().st_size, *self.counts.get(path, (0, 0)))
            for path in self.paths
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
