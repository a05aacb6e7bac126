"""History: what was trained, shipped, rolled back and refused, by day; as CSV; and its cleaning up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from flask import Flask, Response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.clean import clean_csv
from shared.frame import parse_time
from shared.values import iso
from shared.web import words
from trainer import history
from trainer.history import Transfer
from trainer.jobs import Job
from trainer.orders import LANES
from trainer.web import job_words, transfer_words
from trainer.web.room import Room, this_room

KINDS = ("Trained", "Evaluated", "Shipped", "Rolled back", "Refused")
SHOWN = 100
MOST = 10_000
LEAST_DAYS = 7
BAD = frozenset({"refused", "returned", "failed"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `link`: a job's number."""

    at: float
    kind: str
    about: str
    details: str
    took: float
    state: tuple[str, str, str]
    by: str
    target: str = ""
    link: int | None = None


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/history", "history", page)
    app.add_url_rule("/history.csv", "history_csv", as_csv)
    app.add_url_rule("/history/clean-up", "history_clean_up", clean_up, methods=["POST"])


def page() -> ResponseReturnValue:
    """What happened, newest first, a day at a time."""
    room = this_room()
    now, found = room.now(), _asked(room)
    days = [(words.day(rows[0].at), rows) for _, rows in _by_day(found[:SHOWN])]
    today = words.day(now)
    return render_template(
        "history.html", at="History", days=[(f"Today, {day}" if day == today else day, rows) for day, rows in days],
        count=len(found), shown=min(SHOWN, len(found)), kinds=KINDS, targets=sorted(room.targets()), asked=request.args,
        headline=_headline(found), least_days=LEAST_DAYS,
    )  # fmt: skip


def as_csv() -> ResponseReturnValue:
    """The same rows as a table for other programs."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["time", "what", "about", "details", "seconds", "result", "by"])
    for one in _asked(this_room()):
        cells = (one.kind, one.about, one.details, f"{one.took:.1f}", one.state[0], one.by)
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
    return [one for one in _entries(room) if what in ("", one.kind) and target in ("", one.target) and one.at >= start]


def _entries(room: Room) -> list[Entry]:
    jobs = room.jobs.listed(kinds=LANES["work"], limit=MOST)
    found = [*map(_of_transfer, room.transfers(limit=MOST)), *(_of_job(job, room.now()) for job in jobs)]
    return sorted(found, key=lambda one: -one.at)


def _of_job(job: Job, now: float) -> Entry:
    kind = "Evaluated" if job.kind == "evaluate" else "Trained"
    about = f"{job.agent} {job.result.get('version', '')}".strip()
    details = job.error or f"from {job.subject}"
    at = job.started or job.created
    return Entry(
        at, kind, about, details, job_words.took(job, now), job_words.state_words(job), job.by, link=job.number
    )


def _of_transfer(one: Transfer) -> Entry:
    kind = "Rolled back" if one.what == history.ROLLBACK else "Shipped"
    kind = "Refused" if one.state in BAD else kind
    beside = ", beside what serves" if one.what == history.CHALLENGE else ""
    details = f"to {one.target}{beside}" + (f": {one.reason}" if one.reason else "")
    state = transfer_words.transfer_words(one.state, one.code)
    return Entry(one.at, kind, f"{one.agent} {one.version}", details, one.seconds, state, one.target, one.target)


def _by_day(entries: Iterable[Entry]) -> list[tuple[str, Sequence[Entry]]]:
    return [(day, list(rows)) for day, rows in groupby(entries, key=lambda one: words.date_of(one.at))]


def _headline(found: Sequence[Entry]) -> str:
    if not found:
        return "Nothing has happened yet that this asks for."
    bad = sum(one.state[1] == "high" for one in found)
    first = f"{words.sentence(words.counted(len(found), 'thing'))} happened"
    if not bad:
        return f"{first}, and all went well."
    if bad == len(found):
        return f"{first}, and {'it' if bad == 1 else 'all of them'} went wrong."
    return f"{first}; {words.counted(bad, '', '').strip()} of them went wrong."
