"""History: what was trained, shipped, rolled back and refused, by day; as CSV; and its cleaning up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import groupby

from flask import Flask, Response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.clean import clean_csv
from shared.frame import parse_time
from shared.values import iso
from shared.web import words
from trainer.shipping import history
from trainer.web.history_entries import Entry, entries
from trainer.web.room import Room, this_room

KINDS = ("Trained", "Evaluated", "Shipped", "Rolled back", "Refused")
SHOWN = 100
LEAST_DAYS = 7


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/history", "history", page)
    app.add_url_rule("/history.csv", "history_csv", as_csv)
    app.add_url_rule("/history/clean-up", "history_clean_up", clean_up, methods=["POST"])


def page() -> ResponseReturnValue:
    """What happened, newest first, a day at a time."""
    room = this_room()
    now, found, number = room.now(), _asked(room), max(1, request.args.get("page", 1, type=int))
    shown = found[(number - 1) * SHOWN : number * SHOWN]
    filters = {name: value for name in ("what", "target", "since") if (value := request.args.get(name))}
    return render_template(
        "history.html", at="History", days=[(_day(rows[0].at, now), rows) for _, rows in _by_day(shown)], kinds=KINDS,
        targets=sorted({*room.targets(), *filter(None, [filters.get("target")])}), asked=filters, page=number,
        more=len(found) > number * SHOWN, headline=_headline(found, bool(filters)), least_days=LEAST_DAYS,
    )  # fmt: skip


def as_csv() -> ResponseReturnValue:
    """The same rows as a table for other programs."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["time", "what", "about", "details", "seconds", "result", "by"])
    for one in _asked(this_room()):
        took = "" if one.took is None else f"{one.took:.1f}"
        cells = (one.kind, one.about, one.details, took, one.state[0], one.by)
        table.writerow([iso(int(one.at)), *(clean_csv(cell) for cell in cells)])
    answer = Response(text.getvalue(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = 'attachment; filename="pipit-history.csv"'
    return answer


def clean_up() -> ResponseReturnValue:
    """Forget what is older than so many days. The newest transfer to each Pi says what runs there, and stays."""
    room, text = this_room(), request.form.get("days", "")
    days = int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
    if days < LEAST_DAYS:
        session["notice"] = f"Nothing was removed: say how many days to keep, at least {LEAST_DAYS}."
        return redirect(url_for("history"), 303)
    before = room.now() - days * words.DAY_S
    gone = history.forget(room.state_dir, before) + room.jobs.forget(before)
    session["notice"] = (
        f"{words.sentence(words.counted(gone, 'entry', 'entries'))} older than {words.figure(days, 'day')} removed."
    )
    return redirect(url_for("history"), 303)


def _asked(room: Room) -> list[Entry]:
    """What the filter in the address asks for."""
    what, target, since = (request.args.get(name, "") for name in ("what", "target", "since"))
    try:
        start = parse_time(since) if since else 0.0
    except ValueError:
        start = 0.0
    return [one for one in entries(room) if what in ("", one.kind) and target in ("", one.target) and one.at >= start]


def _by_day(rows: Iterable[Entry]) -> list[tuple[str, Sequence[Entry]]]:
    return [(day, list(group)) for day, group in groupby(rows, key=lambda one: words.date_of(one.at))]


def _day(at: float, now: float) -> str:
    day = words.day(at)
    if words.date_of(at) == words.date_of(now):
        return f"Today, {day}"
    return day if now - at < 180 * words.DAY_S else f"{day} {words.date_of(at)[:4]}"


def _headline(found: Sequence[Entry], is_filtered: bool) -> str:
    if not found:
        return "Nothing fits this choice." if is_filtered else "Nothing has happened yet."
    bad = sum(one.state[1] == "high" for one in found)
    first = f"{words.sentence(words.counted(len(found), 'thing'))} happened"
    if not bad:
        return f"{first}, and all went well."
    if bad == len(found):
        return f"{first}, and {'it' if bad == 1 else 'all of them'} went wrong."
    return f"{first}; {words.counted(bad, '', '').strip()} of them went wrong."
