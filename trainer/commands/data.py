"""`pipit-trainer export | validate`: fetch a log, and look whether it is fit to train on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from shared.clean import clean
from shared.errors import ConfigError, ExportError
from shared.values import iso
from trainer.config import Settings
from trainer.given import find_agent, moment
from trainer.progress import shown_progress

if TYPE_CHECKING:
    from trainer.validate import ValidationReport

SHOWN = 8  # of a long list
EXPORT_FILE = click.Path(path_type=Path, dir_okay=False)


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
@click.option(
    "--table",
    default="log_entries",
    show_default=True,
    help="Table or view, perhaps with its schema; a name with a dot in double quotes.",
)
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
    if not report.rows:
        click.echo("warning: nothing lies in that range; see --start-date, --end-date and --programs", err=True)


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
