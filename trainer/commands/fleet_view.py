"""A roll-out as a person watches it: one live line per Pi on a terminal, one line per change in a pipe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import click

from shared.clean import clean

WAITING, SENDING, SENT = "waits", "shipping", "sent, no word yet"
STYLES = {
    "good": "green",
    "loaded": "cyan",
    "failed": "bold red",
    "offline": "yellow",
    "skipped": "dim",
    WAITING: "dim",
}


class FleetView:
    """What each target does now. Called from the threads that ship; use it as a context manager."""

    def __init__(self, title: str, names: Sequence[str], size_bytes: int, live: bool | None = None) -> None:
        self.title, self.size_bytes = title, size_bytes
        self.states = dict.fromkeys(names, WAITING)
        self.notes = dict.fromkeys(names, "")
        self.bytes = dict.fromkeys(names, 0)
        self._is_live = sys.stderr.isatty() if live is None else live
        self._lock = threading.Lock()
        self._screen: Any = None

    def __enter__(self) -> FleetView:
        if self._is_live:
            from rich.console import Console
            from rich.live import Live

            self._screen = Live(
                get_renderable=self.table, console=Console(stderr=True), refresh_per_second=8, transient=False
            )
            self._screen.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the lines as they stand; what is said afterwards is lines of text again."""
        if self._screen is not None:
            self._screen.__exit__(None, None, None)
            self._screen = None

    def say(self, name: str, state: str, note: str = "") -> None:
        """A target is in another state."""
        with self._lock:
            if self.states.get(name) == state and not note:
                return
            self.states[name] = state
            if note:
                self.notes[name] = note
            if state == SENDING:
                self.bytes[name] = 0
            if self._screen is None:
                why = self.notes[name]
                click.echo(clean(f"{name}: {state}" + (f" ({why})" if why else "")), err=True)

    def explain(self, name: str, why: str) -> None:
        """Why the next state of a target will be what it is."""
        with self._lock:
            self.notes[name] = why

    def sent(self, name: str, count: int) -> None:
        """So many bytes more have gone to a target."""
        with self._lock:
            self.bytes[name] += count
            done = self.bytes[name] >= self.size_bytes
        if done:
            self.say(name, SENT)

    def table(self) -> Any:
        """The lines as they stand."""
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        table.title, table.title_justify = self.title, "left"
        with self._lock:
            for name, state in self.states.items():
                share = min(1.0, self.bytes[name] / self.size_bytes) if self.size_bytes else 1.0
                bar = f"{share:4.0%}" if state == SENDING else ""
                note = Text(clean(self.notes[name], 200), no_wrap=True, overflow="ellipsis")
                table.add_row(Text(clean(name, 24)), Text(state, style=STYLES.get(state, "")), bar, note)
        return table
