"""The exports of one network as one stream of rows, whatever their order and number."""

from __future__ import annotations

import hashlib
import heapq
import logging
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from shared.errors import TrainingError
from shared.frame import BadRow, open_export
from shared.values import Row
from trainer.facts import SourceFile

logger = logging.getLogger(__name__)


class Source:
    """The exports as one stream of rows in time order, read anew at each call."""

    CHECK_EVERY = 50_000

    def __init__(
        self, paths: Sequence[Path], start: float | None, end: float | None, check: Callable[[], None] = lambda: None
    ) -> None:
        if not paths:
            raise TrainingError("train: no export was named; give the file that `pipit-trainer export` wrote")
        self.paths, self.start, self.end = list(paths), start, end
        self._check = check
        self.counts: dict[Path, tuple[int, int]] = {}
        self._sort = False

    def rows(self, counting: bool = False) -> Iterator[Row]:
        """All rows; rows that cannot be read are counted and passed over."""
        streams = [self._rows_of(path, counting) for path in self.paths]
        rows: Iterable[Row] = streams[0] if len(streams) == 1 else heapq.merge(*streams, key=operator.itemgetter(1))
        if counting:
            rows = self._watch_order(rows)
        elif self._sort:
            rows = sorted(rows, key=operator.itemgetter(1))
        for number, row in enumerate(rows):
            if (self.start is None or row[1] >= self.start) and (self.end is None or row[1] < self.end):
                yield row
            if number % self.CHECK_EVERY == 0:
                self._check()

    def between(self, start: float, end: float) -> Iterator[Row]:
        """The rows from `start` (s) up to, not including, `end`."""
        return (row for row in self.rows() if start <= row[1] < end)

    def _watch_order(self, rows: Iterable[Row]) -> Iterator[Row]:
        newest, behind = float("-inf"), 0
        for row in rows:
            if row[1] < newest - 30:
                behind += 1
            elif row[1] > newest:
                newest = row[1]
            yield row
        if behind:
            logger.warning("an export is not in the order of time, so it is sorted in memory rows_behind=%d", behind)
            self._sort = True

    def _rows_of(self, path: Path, counting: bool) -> Iterator[Row]:
        good = bad = 0

        def on_bad(_row: BadRow) -> None:
            nonlocal bad
            bad += 1

        for row in open_export(path).rows(on_bad):
            good += 1
            yield row
        if counting:
            self.counts[path] = (good, bad)

    def files(self) -> tuple[SourceFile, ...]:
        """Name, hash, size and row counts of each export."""
        return tuple(
            SourceFile(path.name, _sha256(path), path.stat().st_size, *self.counts.get(path, (0, 0)))
            for path in self.paths
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
