"""`pipit-inference incidents mark …`: what a person says of incidents: marks, mutes, the alert budget."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any

import click

from inference.commands.report import marks_text, mutes_text
from inference.commands.state import AGENT, AS_JSON, NOTE, me, reading, tell, writing
from inference.said import budgets, marks, mutes
from shared.clean import clean
from shared.errors import RequestError


@click.command()
@click.argument("number", metavar="ID", type=int)
@click.argument("what", metavar="false|confirmed", type=click.Choice(marks.MARKS))
@click.option("--by", help="Who says so; else the user's name here.")
@NOTE
@click.option("--days", type=click.FloatRange(1, 3650), help="How long it counts; else INFERENCE_MARK_DAYS.")
@AS_JSON
@click.pass_obj
def mark(settings: Any, number: int, what: str, by: str | None, note: str, days: float | None, as_json: bool) -> None:
    """Say that an incident was a false alarm, or that it was real; the next training learns from it."""
    with writing(settings) as db:
        made = marks.mark(db, number, what, by=by or me(), now=time.time(), note=note, days=days or settings.mark_days)
    tell(made, as_json, marks_text)


@click.command()
@click.argument("number", metavar="ID", type=int)
@click.pass_obj
def unmark(settings: Any, number: int) -> None:
    """Take an incident's mark away."""
    with writing(settings) as db:
        gone = marks.unmark(db, number)
    if not gone:
        raise RequestError(f"unmark {number}: that incident is not marked; see `incidents marks`", missing=True)
    click.echo(f"incident {number} is no longer marked")


@click.command("marks")
@click.option("--all", "expired", is_flag=True, help="Also those that count no more.")
@AS_JSON
@click.pass_obj
def marks_(settings: Any, expired: bool, as_json: bool) -> None:
    """The marks that count, the newest first."""
    with reading(settings) as db:
        found = marks.all_marks(db, time.time(), expired=expired)
    tell(found, as_json, marks_text)


@click.command()
@click.argument("kind")
@click.option("--host", help="At this host only; else everywhere.")
@click.option("--for", "span", default="7d", show_default=True, help="How long: 30m, 12h, 7d.")
@AGENT
@click.option("--by", help="Who wants it; else the user's name here.")
@NOTE
@AS_JSON
@click.pass_obj
def mute(
    settings: Any, kind: str, host: str | None, span: str, agent: str, by: str | None, note: str, as_json: bool
) -> None:
    """Hear nothing of a KIND of incident for a time: it is kept and shown, but nobody is notified."""
    with writing(settings) as db:
        made = mutes.mute(db, agent, kind, host, by=by or me(), now=time.time(), seconds=mutes.span_s(span), note=note)
    tell(made, as_json, mutes_text)


@click.command()
@click.argument("number", metavar="ID", type=int)
@click.pass_obj
def unmute(settings: Any, number: int) -> None:
    """End a mute (its number is in `incidents mutes`)."""
    with writing(settings) as db:
        ended = mutes.unmute(db, number, time.time())
    if not ended:
        raise RequestError(f"unmute {number}: no such mute is in force; see `incidents mutes`", missing=True)
    click.echo(f"mute {number} has ended")


@click.command("mutes")
@click.option("--all", "expired", is_flag=True, help="Also those that are over.")
@AS_JSON
@click.pass_obj
def mutes_(settings: Any, expired: bool, as_json: bool) -> None:
    """What is muted."""
    with reading(settings) as db:
        found = mutes.mutes(db, time.time(), expired=expired)
    tell(found, as_json, mutes_text)


@click.command()
@click.argument("per_week", required=False)
@AGENT
@click.option("--by", help="Who wants it; else the user's name here.")
@AS_JSON
@click.pass_obj
def budget(settings: Any, per_week: str | None, agent: str, by: str | None, as_json: bool) -> None:
    """At most PER_WEEK incidents a week and host that the model may raise; `model`: as it was trained."""
    if per_week == "model":
        with writing(settings) as db:
            budgets.clear_budget(db, agent)
    elif per_week is not None:
        with writing(settings) as db:
            budgets.set_budget(db, agent, _number(per_week), by=by or me(), now=time.time())
    with reading(settings) as db:
        found = budgets.budgets(db).get(agent)
    if as_json:
        click.echo(json.dumps(asdict(found) if found else {"agent": agent, "per_week": None}))
    else:
        words = f"at most {found.per_week:g} incidents a week and host (set by {clean(found.by)})" if found else (
            "as the model was trained"
        )  # fmt: skip
        click.echo(f"{clean(agent, 60)}: {words}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise click.UsageError(f"{text!r} is no number of incidents a week") from None


COMMANDS = (mark, unmark, marks_, mute, unmute, mutes_, budget)
