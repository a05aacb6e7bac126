"""`pipit-inference incidents`: what was found, why, and what a person says of it."""

from __future__ import annotations

import getpass
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from inference import budgets, marks, mutes, state
from inference import state_read as read
from inference.incident_export import csv_text, detail_values, incident_values
from inference.report import detail_text, incidents_text, marks_text, mutes_text, read_incidents
from shared.clean import clean
from shared.errors import RequestError

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
NOTE = click.option("--note", default="", help="Why, for the others.")
MOST = 100_000


@click.group(invoke_without_command=True)
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
    if callable(context.obj):  # the settings are read only where they are needed
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
    with _reading(settings) as db:
        detail = read.incident(db, number)
        if detail is None:
            raise RequestError(f"show incident {number}: there is none of that number", missing=True)
        mark = marks.of_incident(db, number, time.time())
    values = detail_values(detail, asdict(mark) if mark else None)
    click.echo(json.dumps(values) if as_json else detail_text(values))


@incidents.command()
@click.argument("number", metavar="ID", type=int)
@click.argument("what", metavar="false|confirmed", type=click.Choice(marks.MARKS))
@click.option("--by", help="Who says so; else the user's name here.")
@NOTE
@click.option("--days", type=click.FloatRange(1, 3650), help="How long it counts; else INFERENCE_MARK_DAYS.")
@AS_JSON
@click.pass_obj
def mark(settings: Any, number: int, what: str, by: str | None, note: str, days: float | None, as_json: bool) -> None:
    """Say that an incident was a false alarm, or that it was real; the next training learns from it."""
    with _writing(settings) as db:
        made = marks.mark(db, number, what, by=by or _me(), now=time.time(), note=note, days=days or settings.mark_days)
    click.echo(json.dumps(asdict(made)) if as_json else marks_text([made]))


@incidents.command()
@click.argument("number", metavar="ID", type=int)
@click.pass_obj
def unmark(settings: Any, number: int) -> None:
    """Take an incident's mark away."""
    with _writing(settings) as db:
        gone = marks.unmark(db, number)
    if not gone:
        raise RequestError(f"unmark {number}: that incident is not marked; see `incidents marks`", missing=True)
    click.echo(f"incident {number} is no longer marked")


@incidents.command("marks")
@click.option("--all", "expired", is_flag=True, help="Also those that count no more.")
@AS_JSON
@click.pass_obj
def marks_(settings: Any, expired: bool, as_json: bool) -> None:
    """The marks that count, the newest first."""
    with _reading(settings) as db:
        found = marks.all_marks(db, time.time(), expired=expired)
    click.echo(json.dumps([asdict(each) for each in found]) if as_json else marks_text(found))


@incidents.command()
@click.argument("kind")
@click.option("--host", help="At this host only; else everywhere.")
@click.option("--for", "span", default="7d", show_default=True, help="How long: 30m, 12h, 7d.")
@click.option("--agent", default="wifi", show_default=True, help="Whose incidents.")
@click.option("--by", help="Who wants it; else the user's name here.")
@NOTE
@AS_JSON
@click.pass_obj
def mute(
    settings: Any, kind: str, host: str | None, span: str, agent: str, by: str | None, note: str, as_json: bool
) -> None:
    """Hear nothing of a KIND of incident for a time: it is kept and shown, but nobody is notified."""
    with _writing(settings) as db:
        made = mutes.mute(db, agent, kind, host, by=by or _me(), now=time.time(), seconds=mutes.span_s(span), note=note)
    click.echo(json.dumps(asdict(made)) if as_json else mutes_text([made]))


@incidents.command()
@click.argument("number", metavar="ID", type=int)
@click.pass_obj
def unmute(settings: Any, number: int) -> None:
    """End a mute (its number is in `incidents mutes`)."""
    with _writing(settings) as db:
        ended = mutes.unmute(db, number, time.time())
    if not ended:
        raise RequestError(f"unmute {number}: no such mute is in force; see `incidents mutes`", missing=True)
    click.echo(f"mute {number} has ended")


@incidents.command("mutes")
@click.option("--all", "expired", is_flag=True, help="Also those that are over.")
@AS_JSON
@click.pass_obj
def mutes_(settings: Any, expired: bool, as_json: bool) -> None:
    """What is muted."""
    with _reading(settings) as db:
        found = mutes.mutes(db, time.time(), expired=expired)
    click.echo(json.dumps([asdict(each) for each in found]) if as_json else mutes_text(found))


@incidents.command()
@click.argument("per_week", required=False)
@click.option("--agent", default="wifi", show_default=True, help="Whose incidents.")
@click.option("--by", help="Who wants it; else the user's name here.")
@AS_JSON
@click.pass_obj
def budget(settings: Any, per_week: str | None, agent: str, by: str | None, as_json: bool) -> None:
    """At most PER_WEEK incidents a week and host that the model may raise; `model`: as it was trained."""
    if per_week == "model":
        with _writing(settings) as db:
            budgets.clear_budget(db, agent)
    elif per_week is not None:
        with _writing(settings) as db:
            budgets.set_budget(db, agent, _number(per_week), by=by or _me(), now=time.time())
    with _reading(settings) as db:
        found = budgets.budgets(db).get(agent)
    if as_json:
        click.echo(json.dumps(asdict(found) if found else {"agent": agent, "per_week": None}))
    else:
        words = f"at most {found.per_week:g} incidents a week and host (set by {clean(found.by)})" if found else (
            "as the model was trained"
        )  # fmt: skip
        click.echo(f"{clean(agent, 60)}: {words}")


@incidents.command()
@click.option(
    "--format", "form", type=click.Choice(["csv", "json"]), default="csv", show_default=True, help="Of what is written."
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File; else stdout.")
@click.option("--since", default=0.0, help="Only those that ended at or after this moment (s since the epoch).")
@click.pass_obj
def export(settings: Any, form: str, output: Path | None, since: float) -> None:
    """All incidents with their marks, as CSV or JSON."""
    with _reading(settings) as db:
        rows = read.incidents(db, since=since, limit=MOST)
    _write(csv_text(rows) if form == "csv" else json.dumps([incident_values(row) for row in rows]) + "\n", output)


def _labels(settings: Any) -> list[dict[str, str]]:
    with _reading(settings) as db:
        return marks.labels(marks.all_marks(db, time.time(), limit=MOST))


def _write(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    beside = output.with_name(f".{output.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.replace(output)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no number of incidents a week") from None


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


@contextmanager
def _reading(settings: Any) -> Iterator[sqlite3.Connection]:
    db = read.connect_read(settings.state_file)
    try:
        yield db
    finally:
        db.close()


@contextmanager
def _writing(settings: Any) -> Iterator[sqlite3.Connection]:
    read.connect_read(settings.state_file).close()  # a typing error in --state-dir must not make a folder
    db = state.connect(settings.state_file)
    try:
        yield db
    finally:
        db.close()
