"""Rows that do not belong to an open window: late ones, and those of a clock that runs ahead.

Their windows are noted and judged again from the source, once for all rows that come within a moment. Rows older than a
day are counted only: whoever wants them judged replays an export.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.values import Row

LATE_AT_MOST_S = 86_400.0
EARLY_S = 86_400.0  # rows further ahead of the source's clock wait in the source, not in memory
MOST_NOTED = 2_000  # between two commits, per agent
MOST_REOPENED = 10_000  # that wait in the state file


@dataclass(frozen=True, slots=True)
class Reopen:
    """A host's window to be judged again at `due` (the source's clock), because of so many rows."""

    agent: str
    host: str
    window_start: float
    rows: int
    due: float


@dataclass
class Notes:
    """The windows of one agent that rows came for out of time, since the last `take`."""

    agent: str
    window_s: float
    grace_s: float
    late: int = 0
    early: int = 0
    _windows: dict[tuple[str, float], tuple[int, float]] = field(default_factory=dict)

    def note_late(self, row: Row, now: float) -> None:
        """A row of a window that was judged before."""
        self.late += 1
        if row[1] >= now - LATE_AT_MOST_S:
            self._note(row, now + self.grace_s)

    def note_early(self, row: Row) -> None:
        """A row from the future: its window is judged when its time has come."""
        self.early += 1
        self._note(row, (row[1] // self.window_s + 1) * self.window_s + self.grace_s)

    def _note(self, row: Row, due: float) -> None:
        key = (row[2], row[1] // self.window_s * self.window_s)
        rows, known_due = self._windows.get(key, (0, due))
        if rows or len(self._windows) < MOST_NOTED:
            self._windows[key] = (rows + 1, known_due)

    def take(self) -> list[Reopen]:
        """The windows noted since the last call."""
        noted, self._windows = self._windows, {}
        return [Reopen(self.agent, host, start, rows, due) for (host, start), (rows, due) in noted.items()]

    def take_counts(self) -> tuple[int, int]:
        """(late, early) rows since the last call."""
        counts, self.late, self.early = (self.late, self.early), 0, 0
        return counts
