"""Rows to windows: the one FeatureExtractor of both services, for a file and for a stream.

Each host's rows fall into tumbling panes of `window_s` seconds, aligned to the epoch. When a pane closes it becomes a
`Window`: its features over the pane itself (short view) and over the trailing `long_windows` panes (long view). Only
open panes and the last half hour of summaries are in memory, however long the export.

    panes   host ▸ span ▸ {message: count}        add(row): about 1 µs
    window  short view + long view ▸ two vectors  close(until)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.addresses import folded
from shared.agent import UNKNOWN, AgentSpec
from shared.events import EventParser
from shared.feature_table import FeatureTable
from shared.panes import FREE_ORDERED, MAX_CELLS, MAX_FIELD, MAX_SAMPLES, MAX_TEXT, ROOMY, Cell, Pane, Room, Trail, View
from shared.reference import NOTHING_KNOWN, Knowing
from shared.values import Row

CACHE_SIZE = 20_000  # different messages whose parse is remembered
SKIP, AGAIN = -2, -1  # slots of rows that are not counted, and of "last message repeated"
NOISE = "noise"  # the kind of lines that mean nothing
MAX_REPEAT = 10_000  # "repeated N times" is believed up to here


class Window(NamedTuple):
    """One host's rows of one span [start, end) as numbers. `short` and `long` follow `FeatureTable.names`."""

    host: str
    start: float
    end: float
    role: str
    rows: int
    short: Sequence[float]
    long: Sequence[float]
    panes: int  # how many panes the long view could look at
    sampled: bool
    samples: Sequence[tuple[float, Cell, str]]  # (time, parsed, message): the first of each different message
    first: float  # time of the first and the last row
    last: float
    present: Mapping[str, float]  # device -> when it was last seen to be there, -inf where it was seen to leave


class _Host:
    """The open panes of one host, and the closed ones that the trailing view still needs."""

    __slots__ = ("current", "last_cell", "open", "trail")

    def __init__(self, by: Iterable[str]) -> None:
        self.open: dict[int, Pane] = {}
        self.current: Pane | None = None  # the open pane of the last row
        self.trail = Trail(by)
        self.last_cell: Cell | None = None


@dataclass(frozen=True)
class Compiled:
    """An agent's features and patterns, compiled once for any number of extractors of one thread."""

    table: FeatureTable
    parser: EventParser

    @classmethod
    def of(cls, spec: AgentSpec) -> Compiled:
        """Takes some 50 ms."""
        return cls(FeatureTable(spec), EventParser(spec, cache_size=0))  # extractors remember what was parsed


class FeatureExtractor:
    """Rows in, closed windows out, in one pass.

    Args:
        spec: the agent whose events and features are used.
        known: what training knows (addresses, networks, usual counts); without it nothing counts as unseen.
        cache_size: different messages whose parse is remembered; 20,000 of them take 16 MB.
        compiled: the agent's, where it has been compiled before.

    `add` takes rows in any order; a row of a pane that is already closed is counted in `late` and changes nothing.
    """

    def __init__(
        self,
        spec: AgentSpec,
        known: Knowing = NOTHING_KNOWN,
        cache_size: int = CACHE_SIZE,
        compiled: Compiled | None = None,
    ) -> None:
        self.spec, self.known = spec, known
        self._cache_size = cache_size
        compiled = compiled or Compiled.of(spec)
        self.table, self.parser = compiled.table, compiled.parser
        self.late = 0
        self.closed_until = -math.inf
        self._span = spec.window_s
        self._hosts: dict[str, _Host] = {}
        self._rooms: dict[int, Room] = {}  # of the open panes, by span
        self._cells: dict[tuple[str, int, str], Cell] = {}
        self._bare: dict[tuple[int, str, int], Cell] = {}
        self._role_of = {program: index for index, role in enumerate(spec.roles) for program in role.programs}
        self._zone = ZoneInfo(spec.timezone)
        self._watch = self.table.watch()
        self._watch_role = spec.silence.role if spec.silence else None

    def add(self, row: Row) -> Cell:
        """Fold one row into its pane; gives its message as it was read."""
        _, time, name, program, _, severity, message = row
        key = (program, severity, message)
        read = cell = self._cells.get(key) or self._parse(key)
        if cell.slot == SKIP:
            return read
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = _Host(self.table.long_by)
        weight = cell.repeat
        if cell.again:
            if host.last_cell is None:
                return read
            weight, cell = cell.again, host.last_cell
        host.last_cell = cell
        pane = host.current
        if pane is None or not pane.start <= time < pane.end:
            pane = self._pane(host, time)
            if pane is None:
                return read
        gap = time - pane.last
        if gap > pane.gap:
            pane.gap = gap
        pane.last = time
        cells = pane.cells
        count = cells.get(cell)
        if count is None:
            room, seen = pane.room, len(cells)
            if (room.cells < ROOMY and seen < MAX_CELLS) or seen < room.most_cells():
                room.cells += 1
                if seen < MAX_SAMPLES:
                    pane.samples.append((time, cell, message[:MAX_TEXT]))
                else:
                    pane.sample_more(time, cell, message)
            else:
                if seen >= MAX_SAMPLES:
                    pane.sample_more(time, cell, message)
                cell = self._without_fields(pane, cell)
                count = cells.get(cell)
        cells[cell] = weight if count is None else count + weight
        if cell.ordered:
            if len(pane.ordered) < FREE_ORDERED:  # the call is for crowds alone: this is every row's way
                pane.ordered.append((time, cell))
            else:
                pane.put_in_order(time, cell)
        return read

    def _pane(self, host: _Host, time: float) -> Pane | None:
        """The open pane of a moment, made when it is the first; None where it has been closed."""
        index = int(time // self._span)
        pane = host.open.get(index)
        if pane is None:
            if (index + 1) * self._span <= self.closed_until:
                self.late += 1
                return None
            room = self._rooms.get(index) or self._rooms.setdefault(index, Room())
            pane = host.open[index] = Pane(index * self._span, (index + 1) * self._span, time, room)
        host.current = pane
        return pane

    def _parse(self, key: tuple[str, int, str]) -> Cell:
        program, severity, message = key
        parsed = self.parser.parse(program, severity, message)
        fields = folded(parsed.fields)
        if len(message) > MAX_FIELD:
            fields = {name: value[:MAX_FIELD] for name, value in fields.items()}
        if parsed.again:
            slot = AGAIN
        elif (
            self._role_of and program not in self._role_of and (parsed.event == UNKNOWN or fields.get("kind") == NOISE)
        ):
            slot = SKIP  # what the kernel says of other things is no line of the agent's
        else:
            slot = self.table.lexicon.slot(parsed.event, fields.get("kind", ""))
        cell = Cell(
            slot,
            parsed.event,
            self.table.lexicon.bits.get(parsed.event, 0),
            fields,
            self._role_of.get(program, len(self.table.roles)),
            program,
            severity,
            parsed.event in self.table.ordered,
            self.table.keys_of(fields, slot),
            min(parsed.repeat, MAX_REPEAT),
            min(parsed.again, MAX_REPEAT),
        )
        if len(message) <= MAX_TEXT:  # longer ones hardly repeat, and would fill the memory
            if len(self._cells) >= self._cache_size:
                self._cells.clear()
            self._cells[key] = cell
        return cell

    def _without_fields(self, pane: Pane, cell: Cell) -> Cell:
        """A stand-in that counts for its event only: the pane has seen too many different messages."""
        pane.sampled = True
        key = (cell.slot, cell.program, cell.severity)
        bare = self._bare.get(key)
        if bare is None:
            bare = self._bare[key] = Cell(
                cell.slot, cell.event, cell.mask, {}, cell.role, cell.program, cell.severity, cell.ordered,
                (),
            )  # fmt: skip
        return bare

    def close(self, until: float) -> list[Window]:
        """Close every pane whose end is ≤ `until` (s), in the order of (start, host)."""
        due = sorted(
            (index, name)
            for name, host in self._hosts.items()
            for index in host.open
            if (index + 1) * self._span <= until
        )
        self.closed_until = max(self.closed_until, until)
        self._rooms = {index: room for index, room in self._rooms.items() if (index + 1) * self._span > until}
        return [self._close(name, index) for index, name in due]

    def _close(self, name: str, index: int) -> Window:
        host = self._hosts[name]
        pane = host.open.pop(index)
        if host.current is pane:
            host.current = None
        pane.seal(self.table.by, len(self.table.roles) + 1)
        pane.mask |= self.table.role_bits(pane.roles)
        start = (index + 1 - self.spec.long_windows) * self._span
        host.trail.push(pane, start)
        pane.values = self.table.short(View(pane, pane.start, name, self.known, self._zone))
        long = self.table.long(View(host.trail, start, name, self.known, self._zone))
        panes = host.trail.panes
        role = self._role(panes)
        mask = pane.mask
        for past in panes:
            mask |= past.mask
        present = self._presence(pane) if self._watch is not None and role == self._watch_role else {}
        samples, pane.ordered, pane.samples = pane.samples, [], []
        return Window(
            name,
            pane.start,
            pane.end,
            role,
            pane.rows,
            self.table.of_role(pane.values, role, pane.mask),
            self.table.of_role(long, role, mask),
            len(panes),
            pane.sampled,
            samples,
            pane.first,
            pane.last,
            present,
        )

    def _presence(self, pane: Pane) -> dict[str, float]:
        """Who was seen to be there, or to leave, by the events of the agent's `silence` section."""
        if self._watch is None:
            return {}
        key, joined, left = self._watch
        found: dict[str, float] = {}
        for time, cell in pane.ordered:
            who = cell.fields.get(key)
            if who is None:
                continue
            if cell.slot in joined:
                found[who] = time
            elif cell.slot in left:
                found[who] = -math.inf
        return found

    def _role(self, panes: list[Pane]) -> str:
        """The role that wrote most of the half hour's rows; the first of the agent's roles wins a tie."""
        if len(self.table.roles) == 1:
            return self.table.roles[0]
        totals = [sum([pane.roles[i] for pane in panes]) for i in range(len(self.table.roles))]
        return self.table.roles[totals.index(max(totals))]

    def open_since(self) -> float:
        """Start of the oldest open pane, or +inf."""
        return min((index * self._span for host in self._hosts.values() for index in host.open), default=math.inf)

    def forget(self, before: float) -> None:
        """Drop hosts that have had no pane since `before` (s): their trailing view is empty by now."""
        gone = [
            n for n, h in self._hosts.items() if not h.open and (not h.trail.panes or h.trail.panes[-1].end <= before)
        ]
        for name in gone:
            del self._hosts[name]


def windows(rows: Iterable[Row], extractor: FeatureExtractor) -> Iterator[Window]:
    """All windows of a file's rows, closed on event time once the grace has passed, the last ones at the end."""
    span, grace = extractor.spec.window_s, extractor.spec.grace_s
    due = -math.inf
    add = extractor.add
    for row in rows:
        if row[1] >= due:
            if due > -math.inf:
                yield from extractor.close((row[1] - grace) // span * span)
            due = ((row[1] - grace) // span + 1) * span + grace
        add(row)
    yield from extractor.close(math.inf)
