"""What one host said in one span, counted: the value that features are computed from.

A row is folded into its pane as a count of its `Cell` (the parsed message, shared by all equal messages), so a pane's
size follows the number of *different* messages, and rows of events whose order matters are kept with their time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_CELLS = 5_000  # different messages remembered per pane; beyond it a message counts for its event only
MAX_ORDERED = 20_000  # timed rows remembered per pane; a flood past it is long an anomaly
# All hosts together, of one span: so many different messages, and every pane remembers fewer of its own from then on.
CROWDED = ((8_000, MAX_CELLS), (16_000, 200), (32_000, 40))
FEWEST_CELLS = 8
ROOMY = CROWDED[0][0]
FREE_ORDERED, MOST_ORDERED = 500, 100_000  # timed rows of a pane that are not counted; those of all hosts that are
MAX_TEXT = 1_000  # characters of a message that are kept as evidence
MAX_FIELD = 200  # characters of a field: no address, network or user has more
MAX_SAMPLES = 40  # the first different messages; after them only
MAX_OF_A_KIND = 4  # of each event, so that what comes late in a busy window is among the evidence too
MOST_SAMPLES = 120

Counts = dict[int, int]  # slot of (event, kind) -> rows
THERE = -1  # the slot that every key of a table has: in how many panes it occurred
Keys = tuple[tuple[int, str, bool], ...]  # (place of the table, key, whether the message's event is counted per key)


class Room:
    """What the panes of one span have taken of the memory that all hosts share."""

    __slots__ = ("cells", "ordered")

    def __init__(self) -> None:
        self.cells = self.ordered = 0

    def most_cells(self) -> int:
        """How many different messages a pane may remember now."""
        taken = self.cells
        for limit, most in CROWDED:
            if taken < limit:
                return most
        return FEWEST_CELLS


class Cell:
    """A parsed message. Equal messages share one cell, so it is compared and hashed by identity."""

    __slots__ = ("again", "event", "fields", "keys", "mask", "ordered", "program", "repeat", "role", "severity", "slot")

    def __init__(
        self,
        slot: int,
        event: str,
        mask: int,
        fields: Mapping[str, str],
        role: int,
        program: str,
        severity: int,
        ordered: bool,
        keys: Keys,
        repeat: int = 1,
        again: int = 0,
    ) -> None:
        self.slot, self.event, self.mask, self.fields = slot, event, mask, fields
        self.role, self.program, self.severity, self.ordered = role, program, severity, ordered
        self.keys = keys
        self.repeat, self.again = repeat, again


class Pane:
    """One host's rows of one span [start, end), counted. Times in seconds since the epoch."""

    __slots__ = (
        "cells",
        "end",
        "first",
        "gap",
        "kinds",
        "last",
        "mask",
        "memo",
        "ordered",
        "roles",
        "room",
        "rows",
        "sampled",
        "samples",
        "slots",
        "start",
        "tables",
        "values",
    )

    def __init__(self, start: float, end: float, first: float, room: Room) -> None:
        self.room = room
        self.start, self.end = start, end
        self.rows = 0
        self.first = self.last = first
        self.gap = 0.0  # longest pause between two rows, s
        self.cells: dict[Cell, int] = {}
        self.ordered: list[tuple[float, Cell]] = []
        self.samples: list[tuple[float, Cell, str]] = []  # the first of each different message
        self.kinds: Counts = {}  # slot -> samples of it, once there are `MAX_SAMPLES`
        self.sampled = (
            False  # a cap was reached: counts of events stay exact, distinct and ordered ones are lower bounds
        )
        self.slots: Counts = {}
        self.tables: dict[str, dict[str, Counts]] = {}
        self.roles: list[int] = []
        self.mask = 0
        self.memo: dict[object, Any] = {}
        self.values: list[float] = []

    def sample_more(self, time: float, cell: Cell, message: str) -> None:
        """Keep a message as evidence though the pane has its first `MAX_SAMPLES`: some of each event, while there is room."""
        slot, kinds = cell.slot, self.kinds
        if not kinds:
            for _, sampled, _ in self.samples:
                kinds[sampled.slot] = kinds.get(sampled.slot, 0) + 1
        count = kinds.get(slot, 0)
        if count < MAX_OF_A_KIND and len(self.samples) < MOST_SAMPLES and self.room.cells < CROWDED[1][0]:
            kinds[slot] = count + 1
            self.samples.append((time, cell, message[:MAX_TEXT]))

    def put_in_order(self, time: float, cell: Cell) -> None:
        """Keep a row with its time, while there is room."""
        kept, room = len(self.ordered), self.room
        if kept >= FREE_ORDERED:
            if kept >= MAX_ORDERED or room.ordered >= MOST_ORDERED:
                self.sampled = True
                return
            room.ordered += 1
        self.ordered.append((time, cell))

    def seal(self, by: Iterable[str], n_roles: int) -> None:
        """Sum the cells up by event and by key field; called once, when no more rows can come."""
        slots = self.slots
        roles = self.roles = [0] * n_roles
        tables = self.tables = {field: {} for field in by}
        in_order = list(tables.values())
        mask = 0
        for cell, count in self.cells.items():
            slot = cell.slot
            slots[slot] = slots.get(slot, 0) + count
            roles[cell.role] += count
            mask |= cell.mask
            for place, key, counted in cell.keys:
                table = in_order[place]
                counts = table.get(key)
                if counts is None:
                    table[key] = {THERE: 1, slot: count} if counted else {THERE: 1}
                elif counted:
                    counts[slot] = counts.get(slot, 0) + count
        self.mask = mask
        self.rows = sum(slots.values())


class Trail:
    """The newest closed panes of a host, and their counts summed: kept up by adding the new and taking off the old."""

    __slots__ = ("panes", "slots", "tables")

    def __init__(self, by: Iterable[str]) -> None:
        self.panes: list[Pane] = []
        self.slots: Counts = {}
        self.tables: dict[str, dict[str, Counts]] = {field: {} for field in by}

    def push(self, pane: Pane, since: float) -> None:
        """Take in a newer pane; those that start before `since` (s) fall off."""
        old = [past for past in self.panes if past.start < since]
        for past in old:
            _take_off(self.slots, past.slots)
            for field, table in self.tables.items():
                for key, counts in past.tables[field].items():
                    have = table[key]
                    _take_off(have, counts)
                    if not have:
                        del table[key]
        self.panes = [*self.panes[len(old) :], pane]
        _add(self.slots, pane.slots)
        for field, table in self.tables.items():
            for key, counts in pane.tables[field].items():
                if key in table:
                    _add(table[key], counts)
                else:
                    table[key] = counts.copy()


def _add(total: Counts, counts: Counts) -> None:
    for slot, count in counts.items():
        total[slot] = total.get(slot, 0) + count


def _take_off(total: Counts, counts: Counts) -> None:
    for slot, count in counts.items():
        left = total[slot] - count
        if left:
            total[slot] = left
        else:
            del total[slot]


class View:
    """One or several panes of a host looked at as one: the newest pane, or all of the last half hour."""

    __slots__ = ("end", "host", "known", "last", "panes", "peaks", "rows", "slots", "start", "tables", "zone")

    def __init__(self, of: Pane | Trail, start: float, host: str, known: Any, zone: Any) -> None:
        self.panes = of.panes if isinstance(of, Trail) else [of]
        self.slots = of.slots  # rows per slot
        self.tables = of.tables  # key field -> its values -> rows per slot
        self.last = self.panes[-1]
        self.start, self.end = start, self.last.end
        self.host, self.known, self.zone = host, known, zone
        self.rows = sum([pane.rows for pane in self.panes])
        self.peaks: dict[Any, list[int]] = {}  # what formulas share: largest counts per device
