"""Progress of long commands: a bar on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

# Called with what is being done, in words, and how much of it is done: 0 to 1, or None where nobody knows.
Progress = Callable[[str, float | None], None]


def quiet(_step: str, _part: float | None = None) -> None:
    """Progress that nobody watches."""


@contextmanager
def shown_progress(hidden: bool = False) -> Iterator[Progress]:
    """A progress bar on stderr when that is a terminal; else, or when `hidden`, `quiet`. It is gone after the work."""
    if hidden or not sys.stderr.isatty():
        yield quiet
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, SpinnerColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None)

        def show(step: str, part: float | None = None) -> None:
            bar.update(task, description=escape(step), total=None if part is None else 1.0, completed=part or 0.0)

        yield show
