"""`pipit-inference incidents`: what was found, why, and what a person says of it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from inference.commands import said as cli_said
from inference.commands.report import detail_text, incidents_text, read_incidents
from inference.commands.state import AS_JSON, reading
from inference.keeping import reading as read
from inference.keeping.incident_export import csv_text, detail_values, incident_values
from inference.said import marks
from shared.command import Group, asks_for_help
from shared.errors import RequestError

MOST = 100_000


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@click.option("--marks", "as_labels", is_flag=True, help="Instead: the marks, as labels for `pipit-trainer train`.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File for --marks; else stdout.")
@click.pass_context
def incidents(
    context: click.Context, as_json: bool, limit: int, open_only: bool, as_labels: bool, output: Path | None
) -> None:
    """What was found, the newest first; with a command: look closer, mark, mute, export."""
    if callable(context.obj) and not asks_for_help(context):  # the settings are read only where they are needed
        context.obj = context.obj()
    if context.invoked_subcommand is not None:
        return
    if as_labels:
        _write(json.dumps(_labels(context.obj), indent=1) + "\n", output)
    else:
        found = read_incidents(context.obj, limit, "open" if open_only else None)
        click.echo(json.dumps(found) if as_json else incidents_text(found))


@incidents.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="The newest so many.")
@click.option("--open", "open_only", is_flag=True, help="Only those that are not over.")
@AS_JSON
@click.pass_obj
def list_(settings: Any, limit: int, open_only: bool, as_json: bool) -> None:
    """The incidents, the newest first."""
    found = read_incidents(settings, limit, "open" if open_only else None)
    click.echo(json.dumps(found) if as_json else incidents_text(found))


@incidents.command()
@click.argument("number", metavar="ID", type=int)
@AS_JSON
@click.pass_obj
def show(settings: Any, number: int, as_json: bool) -> None:
    """One incident with its evidence: what moved, the log lines, the nearest normal window."""
    with reading(settings) as db:
        detail = read.incident(db, number)
        if detail is None:
            raise RequestError(f"show incident {number}: there is none of that number", missing=True)
        mark = marks.of_incident(db, number, time.time())
    values = detail_values(detail, asdict(mark) if mark else None)
    click.echo(json.dumps(values) if as_json else detail_text(values))


@incidents.command()
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True, help="Of what is written."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File; else stdout.")
@click.option("--since", default=0.0, help="Only those that ended at or after this moment (s since the epoch).")
@click.pass_obj
def export(settings: Any, form: str, output: Path | None, since: float) -> None:
    """All incidents with their marks, as CSV or JSON."""
    with reading(settings) as db:
        rows = read.incidents(db, since=since, limit=MOST)
    _write(csv_text(rows) if form == "csv" else json.dumps([incident_values(row) for row in rows]) + "\n", output)


def _labels(settings: Any) -> list[dict[str, str]]:
    with reading(settings) as db:
        return marks.labels(marks.all_marks(db, time.time(), limit=MOST))


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    beside = output.with_name(f".{output.name}.new")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(output)
    except OSError as cause:
        raise RequestError(f"write {output}: {cause.strerror or cause}; choose another --output") from cause


for _command in cli_said.COMMANDS:
    incidents.add_command(_command)
