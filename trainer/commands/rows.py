"""`pipit-trainer events | features`: what the rows of a log say, one by one and window by window."""

from __future__ import annotations

import csv
import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from shared.clean import clean, clean_csv
from shared.errors import ExportError
from shared.frame import BadRow, Export, open_export
from shared.values import Row, iso
from trainer.config import Settings
from trainer.given import find_agent
from trainer.progress import shown_progress

logger = logging.getLogger(__name__)
EXPORT_FILE = click.Path(path_type=Path, dir_okay=False)


class BadRows:
    """Counts rows that could not be read, and remembers the first."""

    def __init__(self) -> None:
        self.count = 0
        self.first: BadRow | None = None

    def __call__(self, bad: BadRow) -> None:
        self.count += 1
        self.first = self.first or bad

    def warn(self) -> None:
        """Say once how many there were."""
        if self.first is not None:
            first = f"line {self.first.line}: {self.first.reason} {self.first.detail}"
            logger.warning("rows passed over count=%d first=%s", self.count, clean(first.strip()))


@click.command()
@click.argument("file", metavar="EXPORT", type=EXPORT_FILE)
@click.option("--agent", default="wifi", show_default=True, help="Whose patterns are used.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object a row: id, event and the fields that were found."
)
@click.pass_obj
def events(settings: Settings, file: Path, agent: str, as_json: bool) -> None:
    """What each line of EXPORT says. Without --json: how often each event occurs."""
    from shared.events import EventParser

    parser = EventParser(find_agent(settings, agent))
    bad = BadRows()
    counts: Counter[str] = Counter()
    write = sys.stdout.write
    with shown_progress(hidden=as_json and sys.stdout.isatty()) as progress:
        export = open_export(file)
        for number, row in enumerate(export.rows(bad), 1):
            parsed = parser.parse(row[3], row[5], row[6])
            if as_json:
                write(json.dumps(_event(row, parsed)) + "\n")
            else:
                counts[parsed.event] += 1
            if number % 50_000 == 0:
                progress(f"{number:,} rows", share_read(export))
    bad.warn()
    total = sum(counts.values())
    for event, number in counts.most_common():
        click.echo(f"{number:>9,}  {number / total:>6.1%}  {event}")


@click.command()
@click.argument("file", metavar="EXPORT", type=EXPORT_FILE)
@click.option("--agent", default="wifi", show_default=True, help="Whose features are worked out.")
@click.option(
    "--output", type=EXPORT_FILE, required=True, help="CSV file to write: host, window_start, role, features."
)
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.pass_obj
def features(settings: Settings, file: Path, agent: str, output: Path, as_json: bool) -> None:
    """The features of every window of EXPORT, one row each; an empty cell is a value that the host cannot have."""
    from shared.features import FeatureExtractor, windows

    extractor = FeatureExtractor(find_agent(settings, agent))
    bad = BadRows()
    written = 0
    with shown_progress() as progress, _beside(output) as stream:
        table = csv.writer(stream)
        table.writerow(["host", "window_start", "role", *extractor.table.names])
        export = open_export(file)
        for window in windows(export.rows(bad), extractor):
            values = ("" if math.isnan(value) else f"{value:.10g}" for value in window.short)
            table.writerow([clean_csv(window.host), iso(window.start), window.role, *values])
            written += 1
            if written % 1000 == 0:
                progress(f"{written:,} windows", share_read(export))
    bad.warn()
    if extractor.late:
        logger.warning("rows out of order, after their window had closed count=%d", extractor.late)
    if as_json:
        told = {"path": str(output), "agent": agent, "windows": written, "features": list(extractor.table.names)}
        click.echo(json.dumps({**told, "bad_rows": bad.count, "late_rows": extractor.late}))
    else:
        click.echo(f"{written:,} windows, {len(extractor.table.names)} features: {clean(str(output))}")


def share_read(export: Export) -> float:
    """How much of an export's file has been read, 0 to 1."""
    return min(1.0, export.read_bytes / max(1, export.path.stat().st_size))


def _event(row: Row, parsed: Any) -> dict[str, object]:
    # syslog's "last message repeated" stands for the line before it; by itself it is of no weight
    found: dict[str, object] = {"id": row[0], "event": "other" if parsed.again else parsed.event}
    found.update((name, value) for name, value in parsed.fields.items() if value and name not in found)
    return found


@contextmanager
def _beside(output: Path) -> Iterator[IO[str]]:
    """Write beside the file and rename: what was there stays until the new one is whole."""
    beside = output.with_name(output.name + ".part")
    try:
        with beside.open("w", encoding="utf-8", errors="replace", newline="") as stream:
            yield stream
        beside.replace(output)
    except OSError as error:
        raise ExportError(f"write {output}: {error.strerror or error}; choose another --output") from error
    finally:
        beside.unlink(missing_ok=True)
