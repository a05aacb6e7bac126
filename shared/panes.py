"""What one host said in one span, counted: the value that features are computed from.

A row is folded into its pane as a count of its `Cell` (the parsed message, shared by all equal messages), so a pane's
size follows the number of *different* messages, and rows of events whose order matters are kept with their time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

MAX_CELLS = 5_000  # different messages remembered per pane; beyond it a message counts for its event only
MAX_ORDERED = 20_000  # timed rows remembered per pane; a flood past it is long an anomaly
MAX_SAMPLES = 40

Counts = dict[int, int]  # slot of (event, kind) -> rows


class Cell:
    """A parsed message. Equal messages share one cell, so it is compared and hashed by identity."""

    __slots__ = ("again", "event", "fields", "mask", "ordered", "program", "repeat", "role", "severity", "slot")

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
        repeat: int = 1,
        again: int = 0,
    ) -> None:
        self.slot, self.event, self.mask, self.fields = slot, event, mask, fields
        self.role, self.program, self.severity, self.ordered = role, program, severity, ordered
        self.repeat, self.again = repeat, again


class Pane:
    """One host's rows of one span [start, end), counted. Times in seconds since the epoch."""

    __slots__ = (
        "cells",
        "end",
        "first",
        "gap",
        "last",
        "mask",
        "memo",
        "ordered",
        "roles",
        "rows",
        "sampled",
        "samples",
        "slots",
        "start",
        "tables",
        "values",
    )

    def __init__(self, start: float, end: float, first: float) -> None:
        self.start, self.end = start, end
        self.rows = 0
        self.first = self.last = first
        self.gap = 0.0  # longest pause between two rows, s
        self.cells: dict[Cell, int] = {}
        self.ordered: list[tuple[float, Cell]] = []
        self.samples: list[tuple[float, Cell, str]] = []  # the first of each different message
        self.sampled = False  # a cap was reached: counts of events stay exact, distinct values are a lower bound
        self.slots: Counts = {}
        self.tables: dict[str, dict[str, Counts]] = {}
        self.roles: list[int] = []
        self.mask = 0
        self.memo: dict[object, Any] = {}
        self.values: list[float] = []

    def seal(self, by: Iterable[str], n_roles: int) -> None:
        """Sum the cells up by event and by key field; called once, when no more rows can come."""
        slots = self.slots
        roles = self.roles = [0] * n_roles
        tables = self.tables = {field: {} for field in by}
        mask = 0
        for cell, count in self.cells.items():
            slot = cell.slot
            slots[slot] = slots.get(slot, 0) + count
            roles[cell.role] += count
            mask |= cell.mask
            fields = cell.fields
            for field, table in tables.items():
                key = fields.get(field)
                if key is not None:
                    counts = table.get(key)
                    if counts is None:
                        table[key] = {slot: count}
                    else:
                        counts[slot] = counts.get(slot, 0) + count
        self.mask = mask


class View:
    """One or several panes of a host looked at as one: the newest pane, or all of the last half hour."""

    __slots__ = ("_slots", "_tables", "end", "host", "known", "last", "panes", "rows", "start", "zone")

    def __init__(self, panes: list[Pane], start: float, host: str, known: Any, zone: Any) -> None:
        self.panes = panes
        self.last = panes[-1]
        self.start, self.end = start, panes[-1].end
        self.host, self.known, self.zone = host, known, zone
        self.rows = sum(pane.rows for pane in panes)
        self._slots: Counts | None = panes[0].slots if len(panes) == 1 else None
        self._tables: dict[str, dict[str, Counts]] = {} if len(panes) > 1 else panes[0].tables

    @property
    def slots(self) -> Counts:
        """Rows per slot over all panes."""
        if self._slots is None:
            total: Counts = {}
            for pane in self.panes:
                for slot, count in pane.slots.items():
                    total[slot] = total.get(slot, 0) + count
            self._slots = total
        return self._slots

    def table(self, by: str) -> dict[str, Counts]:
        """Rows per slot for each value of the key field `by`, over all panes."""
        found = self._tables.get(by)
        if found is None:
            found = self._tables[by] = {}
            for pane in self.panes:
                for key, counts in pane.tables[by].items():
                    have = found.get(key)
                    if have is None:
                        found[key] = dict(counts)
                    else:
                        for slot, count in counts.items():
                            have[slot] = have.get(slot, 0) + count
        return found
