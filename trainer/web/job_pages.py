"""A job's page: how far it is, what it takes, its log, and the button that stops it."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.web import words
from trainer.jobs import Job
from trainer.tasks.orders import LANES
from trainer.web import job_words
from trainer.web.api_training import log_lines
from trainer.web.room import this_room

LIVE_S = 2
EARLIER = 8
LOG_LINES = 14


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/jobs/<int:number>", "job", job)
    app.add_url_rule("/jobs/<int:number>/log", "job_log", job_log)
    app.add_url_rule("/jobs/<int:number>/stop", "job_stop", job_stop, methods=["POST"])
    app.add_url_rule("/jobs/<int:number>/pause", "job_pause", job_pause, methods=["POST"])


def job(number: int) -> ResponseReturnValue:
    """How far a job is."""
    room, found = this_room(), _found(number)
    now = room.now()
    earlier = [one for one in room.jobs.listed(kinds=LANES[found.lane], limit=200) if one.number < found.number]
    limit_s = room.settings.max_training_time
    return render_template(
        "job.html", at="Fleet" if found.lane == "ship" else "Train", live=LIVE_S if found.is_open else None, job=found,
        headline=job_words.headline(found, room.jobs.position(found), now), state=job_words.state_words(found),
        left=job_words.left(found, earlier, now), steps=job_words.steps(found), took=job_words.took(found, now),
        limit_s=limit_s, limit_bytes=room.settings.max_memory_usage * 1_000_000,
        log=_parted(log_lines(room, found)[-LOG_LINES:]), earlier=[_row(one, now) for one in earlier[:EARLIER]],
        began=words.moment(found.started or found.created, now), again=_again(found),
    )  # fmt: skip


def job_log(number: int) -> ResponseReturnValue:
    """The end of a job's log, as text."""
    lines = log_lines(this_room(), _found(number), 1_000_000)
    return Response("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def job_stop(number: int) -> ResponseReturnValue:
    """Stop a job."""
    room, found = this_room(), _found(number)
    stopped = room.jobs.stop(found, room.now())
    room.wake()
    session["notice"] = (
        f"Job {number} had ended already." if stopped is None
        else f"Job {number} is stopped." if not stopped.is_open else f"Job {number} is being stopped."
    )  # fmt: skip
    return redirect(url_for("job", number=number), 303)


def job_pause(number: int) -> ResponseReturnValue:
    """Let a roll-out begin no further wave, or go on where the button says so."""
    room, found = this_room(), _found(number)
    go_on = request.form.get("do") == "continue"
    changed = room.jobs.pause(found, not go_on, room.now())
    session["notice"] = (
        f"Job {number} is over, or comes in no waves." if changed is None
        else f"Job {number} goes on." if go_on else f"Job {number} begins no further wave; what is under way is finished."
    )  # fmt: skip
    return redirect(url_for("job", number=number), 303)


def _again(one: Job) -> dict[str, str]:
    """What the page Train is opened with for another try: the export and agent of this one."""
    return {"export": one.exports[0], "agent": one.agent} if one.lane == "work" and one.exports else {}


def rows(limit: int, kinds: Sequence[str]) -> list[tuple[Job, str, str, tuple[str, str, str]]]:
    """The newest jobs of these kinds: when begun, how long, state in words."""
    room = this_room()
    return [_row(one, room.now()) for one in room.jobs.listed(kinds=kinds, limit=limit)]


def _row(one: Job, now: float) -> tuple[Job, str, str, tuple[str, str, str]]:
    took = words.lasted(job_words.took(one, now)) if one.started else ""
    return one, words.moment(one.started or one.created, now), took, job_words.state_words(one)


def _parted(lines: list[str]) -> list[tuple[str, str, str]]:
    """Log lines as time of day, level and text."""
    found = []
    for line in lines:
        parts = line.split(" ", 3)
        stamped = len(parts) == 4 and parts[0][:4].isdigit() and "T" in parts[0]
        if stamped and parts[3].startswith("step "):
            name = parts[3].removeprefix("step ")
            found.append((parts[0].split("T")[1][:8], "step", job_words.STEPS.get(name, name)))
        else:
            found.append((parts[0].split("T")[1][:8], parts[1].lower(), parts[3]) if stamped else ("", "", line))
    return found


def _found(number: int) -> Job:
    found = this_room().jobs.find(str(number))
    if found is None:
        abort(404)
    return found
