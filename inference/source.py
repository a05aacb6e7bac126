"""Where log rows come from, and how far they have been read.

Ids are handed out before transactions commit, so rows become visible out of order: a plain `id > last` lost 17 % of
the rows of eight writers. The cursor therefore remembers every id below its head that it has not seen, as ranges, and
asks for those again until they appear or are too old to be a running transaction.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared.values import Row

GAP_EXPIRY_S = 900.0
MAX_GAPS = 10_000
BATCH_ROWS = 2_000
MESSAGE_CHARS = 4_096
# Times outside are a broken clock or a broken writer: the row is set aside and counted, never judged.
EARLIEST_S, LATEST_S = 0.0, 4_102_444_800.0  # 1970-01-01 to 2100-01-01


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids low..high (both included) that were not visible when the cursor passed them."""

    low: int
    high: int
    opened: float  # the source's clock


@dataclass(frozen=True, slots=True)
class Cursor:
    """Rows with `first < id <= last` and in no gap have been read; `expired` counts the ranges given up so far.

    `moved` is the source's clock when `last` last grew; `mark` is (id, time) of the newest wanted row among those.
    """

    first: int
    last: int
    gaps: tuple[Gap, ...] = ()
    expired: int = 0
    moved: float = field(default=0.0, compare=False)
    mark: tuple[int, float] | None = field(default=None, compare=False)

    def advanced(self, found: Iterable[int], tail: Sequence[int], now: float) -> Cursor:
        """The cursor after reading `found` (ids that lay in gaps) and `tail` (ids above `last`, ascending).

        `now` is the source's clock: gaps older than 15 minutes are given up, and the oldest where there are too many.
        """
        gaps = _without(self.gaps, sorted(found))
        last = self.last
        for row_id in tail:
            if row_id > last + 1:
                gaps.append(Gap(last + 1, row_id - 1, now))
            last = row_id
        # A gap "from the future" means that the source's clock was set back: it must not stay for ever.
        kept = [gap for gap in gaps if abs(now - gap.opened) <= GAP_EXPIRY_S]
        if len(kept) > MAX_GAPS:
            kept = sorted(sorted(kept, key=lambda gap: gap.opened)[-MAX_GAPS:], key=lambda gap: gap.low)
        moved = now if last > self.last else self.moved
        return Cursor(self.first, last, tuple(kept), self.expired + len(gaps) - len(kept), moved, self.mark)

    def marked(self, rows: Sequence[Row]) -> Cursor:
        """The cursor with the last of these rows, which it stands behind, for its mark."""
        return replace(self, mark=(rows[-1][0], rows[-1][1])) if rows else self

    def was_restarted(self, head: Head) -> bool:
        """Whether the table was emptied and counts its ids anew: its newest row has a used id and was written since.

        Deleting the newest rows alone leaves older ones at the head, so that is told apart.
        """
        return 0 < head.max_id < self.last and head.time is not None and 0 < self.moved < head.time

    def has_read(self, row_id: int) -> bool:
        """Whether this id has been read (and will not come again from `fetch`)."""
        if not self.first < row_id <= self.last:
            return False
        place = bisect_right(self.gaps, row_id, key=lambda gap: gap.low) - 1
        return place < 0 or row_id > self.gaps[place].high

    def to_json(self) -> str:
        """For the state file."""
        gaps = [[gap.low, gap.high, gap.opened] for gap in self.gaps]
        value = {"first": self.first, "last": self.last, "expired": self.expired, "moved": self.moved, "gaps": gaps}
        return json.dumps({**value, "mark": self.mark})

    @staticmethod
    def from_json(text: str) -> Cursor:
        """Read back what `to_json` wrote."""
        value = json.loads(text)
        gaps = tuple(Gap(int(low), int(high), float(opened)) for low, high, opened in value["gaps"])
        moved, mark = float(value.get("moved", 0.0)), value.get("mark")
        read = None if mark is None else (int(mark[0]), float(mark[1]))
        return Cursor(int(value["first"]), int(value["last"]), gaps, int(value["expired"]), moved, read)


def _without(gaps: Sequence[Gap], found: Sequence[int]) -> list[Gap]:
    """The gaps less the ids found in them; both ascending."""
    left: list[Gap] = []
    at = 0
    for gap in gaps:
        low = gap.low
        while at < len(found) and found[at] <= gap.high:
            if found[at] > low:
                left.append(Gap(low, found[at] - 1, gap.opened))
            low = max(low, found[at] + 1)
            at += 1
        if low <= gap.high:
            left.append(Gap(low, gap.high, gap.opened) if low != gap.low else gap)
    return left


@dataclass(frozen=True, slots=True)
class Head:
    """The highest id visible now (0: no row), the source's own clock, and that row's time where it is a usable one."""

    max_id: int
    now: float
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of the wanted programs in order of id, and the cursor behind them.

    `seen` counts all rows passed, wanted or not; `bad` those set aside (no usable time); `drained` says that everything
    that the last `head()` saw has been read.
    """

    rows: list[Row]
    cursor: Cursor
    drained: bool
    seen: int
    bad: int


class LogSource(Protocol):
    """A table of log rows with ascending ids. All methods may be repeated; none of them writes or sleeps.

    Every method raises SourceError where the source does not answer in time or the table is not usable, and may be
    called again after that: the next call connects anew.
    """

    def head(self) -> Head:
        """The table's head and the source's clock; an empty table has max_id 0."""

    def fetch(self, cursor: Cursor, programs: Sequence[str], limit: int = BATCH_ROWS) -> Batch:
        """The next rows behind the cursor, and those that appeared in its gaps; at most `limit` of each."""

    def span(self, start: float, end: float, programs: Sequence[str]) -> Iterator[Row]:
        """Rows with start <= time < end of these programs in order of (time, id), in bounded memory."""

    def first_id_since(self, start: float) -> int | None:
        """The lowest id of the rows with time >= start, or None where there is none."""

    def newest_time(self) -> float | None:
        """The newest usable time in the table, or None where it is empty."""

    def time_of(self, row_id: int) -> float | None:
        """The usable time of one row, or None where it is not there."""

    def warnings(self) -> list[str]:
        """What makes this table slow or odd (no index on id, no index on timestamp, a view), with the cure."""

    def close(self) -> None:
        """Let go of the connection; closing twice is fine."""


def start_cursor(source: LogSource, start: str, parse_date: ParseTime) -> Cursor:
    """Where to begin without a cursor: `24h` (any number of h or d), `all`, `now` or a date.

    Rows before that are neither read nor missed.
    """
    head = source.head()
    if start == "all":
        return Cursor(0, 0)
    if start == "now":
        return Cursor(head.max_id, head.max_id, moved=head.now)
    since = head.now - _span_s(start) if start[-1:] in "hd" and start[:-1].isdigit() else parse_date(start)
    first = source.first_id_since(since)
    before = head.max_id if first is None else first - 1
    return Cursor(before, before, moved=head.now)


def _span_s(text: str) -> float:
    return int(text[:-1]) * {"h": 3600.0, "d": 86400.0}[text[-1]]


class ParseTime(Protocol):
    """Turns a date or timestamp into seconds since the epoch; raises ValueError."""

    def __call__(self, text: str) -> float: ...
