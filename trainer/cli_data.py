"""Commands about exports: fetch one, look whether it is fit, see its events and its features."""

from __future__ import annotations

import csv
import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from shared.agent import BUILTIN, AgentSpec, load_agents
from shared.clean import clean, clean_csv
from shared.errors import ConfigError, ExportError
from shared.frame import BadRow, open_export, parse_time
from shared.values import Row, iso
from trainer.config import Settings
from trainer.doubts import doubts
from trainer.progress import shown_progress

if TYPE_CHECKING:
    from trainer.validate import ValidationReport

logger = logging.getLogger(__name__)
SHOWN = 8  # of a long list
EXPORT_FILE = click.Path(path_type=Path, dir_okay=False)


def find_agent(settings: Settings, name: str) -> AgentSpec:
    """An agent by its name, built in or from the configured folder.

    Raises:
        ConfigError: there is none of that name.
    """
    folders = [BUILTIN] if settings.agents_dir is None else [BUILTIN, settings.agents_dir]
    agents = load_agents(folders)
    if name not in agents:
        own = "your own lie in the folder that TRAINING_AGENTS_DIR names"
        raise ConfigError(f"--agent {name!r}: no such agent; there are {', '.join(sorted(agents))} ({own})")
    for doubt in doubts(agents[name]):
        logger.warning("agent file of %s: %s", name, doubt)
    return agents[name]


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


def moment(option: str, text: str | None) -> float | None:
    """The time that an option names, in seconds since the epoch.

    Raises:
        ConfigError: it is no time.
    """
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise ConfigError(
            f"{option} {text!r}: {error}; write a date like 2026-03-01 or 2026-03-01T12:00:00Z"
        ) from error


@click.command()
@click.option("--dsn", help="postgresql://user@host/database; else TRAINING_DATABASE_URL. A read-only login is enough.")
@click.option("--output-file", type=EXPORT_FILE, required=True, help="File to write; gzip when its name ends in .gz.")
@click.option(
    "--start-date", help="First moment (ISO 8601, UTC unless it has a zone); default: 30 days before the end."
)
@click.option("--end-date", help="First moment that is left out; default: now.")
@click.option("--programs", help="Programs to keep, separated by commas; default: all.")
@click.option(
    "--format", "form", type=click.Choice(["csv", "json", "jsonl"]), help="Default: by the file's name, else csv."
)
@click.option("--table", default="log_entries", show_default=True, help="Table or view, perhaps with its schema.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
@click.pass_obj
def export(
    settings: Settings,
    dsn: str | None,
    output_file: Path,
    start_date: str | None,
    end_date: str | None,
    programs: str | None,
    form: str | None,
    table: str,
    as_json: bool,
) -> None:
    """Write log rows of a PostgreSQL table to a file, for `validate` and `train`."""
    from trainer.export import export as carry

    source = dsn or settings.database_url
    if source is None:
        raise ConfigError("export: no database is named; give --dsn, or set TRAINING_DATABASE_URL")
    wanted = tuple(name.strip() for name in (programs or "").split(",") if name.strip())
    start, end = moment("--start-date", start_date), moment("--end-date", end_date)
    with shown_progress() as progress:
        report = carry(source, output_file, start, end, wanted, form, table, progress=progress)
    if as_json:
        click.echo(json.dumps(report.as_json()))
    else:
        click.echo(f"{report.rows:,} rows of {iso(report.start)} to {iso(report.end)}: {clean(str(output_file))}")


@click.command()
@click.argument("file", metavar="EXPORT", type=EXPORT_FILE)
@click.option("--agent", default="wifi", show_default=True, help="Whose events and programs count.")
@click.option("--json", "as_json", is_flag=True, help="The whole report as one JSON object.")
@click.pass_obj
def validate(settings: Settings, file: Path, agent: str, as_json: bool) -> None:
    """Is EXPORT fit to train on? Errors end with exit code 1; warnings do not."""
    from trainer.validate import validate as examine

    with shown_progress() as progress:
        report = examine(file, find_agent(settings, agent), progress=progress)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        _tell(report)
    if report.errors:
        more = f" (and {len(report.errors) - 1} more)" if len(report.errors) > 1 else ""
        raise ExportError(f"validate {file}: not fit to train on: {report.errors[0]}{more}")


def _tell(report: ValidationReport) -> None:
    """A validation as a person reads it: the verdict, what speaks against it, what is in the file."""
    click.echo(clean(f"{report.path}: {'not fit to train on' if report.errors else 'fit to train on'}"))
    for kind, texts in (("error", report.errors), ("warning", report.warnings)):
        for text in texts:
            click.echo(f"{kind + ':':<10}{clean(text)}")
    click.echo(f"rows      {report.valid_rows:,} good, {report.bad_rows:,} bad")
    for bad in report.bad_examples[:SHOWN]:
        click.echo(f"          line {bad.line}: {clean(f'{bad.reason} {bad.detail}'.strip(), 200)}")
    if report.start is not None and report.end is not None:
        click.echo(f"time      {iso(int(report.start))} to {iso(int(report.end))}, {report.days:.1f} days")
    click.echo(f"programs  {report.agent_share:.1%} of the rows are {report.agent}'s: {_counts(report.programs)}")
    click.echo(f"hosts     {report.host_count:,}: {_counts(report.hosts)}")
    click.echo(f"events    {_counts(report.events)}")
    click.echo(f"unknown   {report.unknown_share:.1%} of the agent's rows fit no pattern")
    for shape, number in list(report.unknown_shapes.items())[:SHOWN]:
        click.echo(f"          {number:,} × {clean(shape, 200)}")


def _counts(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{clean(name, 60)} {number:,}" for name, number in list(counts.items())[:SHOWN])
    return shown + (f", and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


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
        for number, row in enumerate(open_export(file).rows(bad), 1):
            parsed = parser.parse(row[3], row[5], row[6])
            if as_json:
                write(json.dumps(_event(row, parsed)) + "\n")
            else:
                counts[parsed.event] += 1
            if number % 50_000 == 0:
                progress(f"{number:,} rows", None)
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
        for window in windows(open_export(file).rows(bad), extractor):
            values = ("" if math.isnan(value) else f"{value:.10g}" for value in window.short)
            table.writerow([clean_csv(window.host), iso(window.start), window.role, *values])
            written += 1
            if written % 1000 == 0:
                progress(f"{written:,} windows", None)
    bad.warn()
    if extractor.late:
        logger.warning("rows out of order, after their window had closed count=%d", extractor.late)
    if as_json:
        told = {"path": str(output), "agent": agent, "windows": written, "features": list(extractor.table.names)}
        click.echo(json.dumps({**told, "bad_rows": bad.count, "late_rows": extractor.late}))
    else:
        click.echo(f"{written:,} windows, {len(extractor.table.names)} features: {clean(str(output))}", err=True)


def _event(row: Row, parsed: Any) -> dict[str, object]:
    # syslog's "last message repeated" stands for the line before it; by itself it is of no weight
    found: dict[str, object] = {"id": row[0], "event": "other" if parsed.again else parsed.event}
    found.update((name, value) for name, value in parsed.fields.items() if name not in found)
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
