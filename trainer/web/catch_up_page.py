"""Catching up: who could not be reached last time and what they lack, asked for once more, then shipped."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Flask, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from shared import layout
from shared.errors import StoreError
from shared.web import words
from trainer.tasks.orders import CatchUpOrder
from trainer.web.room import Room, this_room

BY = "admin"


@dataclass(frozen=True, slots=True)
class Lack:
    """What one Pi lacks. `missed`: why its gate says no; empty where it does not."""

    target: str
    agent: str
    version: str
    runs: str
    since: str
    missed: str


def add_pages(app: Flask) -> None:
    """Attach the route."""
    app.add_url_rule("/catch-up", "catch_up", catch_up, methods=["GET", "POST"])


def catch_up() -> ResponseReturnValue:
    """Who gets what; a POST starts it."""
    room, to = this_room(), request.values.get("to", "all")
    if to != "all" and to not in room.targets():
        abort(404)
    found = lacking(room, to)
    if request.method == "GET":
        return _page(to, found, "")
    missed = tuple(dict.fromkeys(layout.model_id(one.agent, one.version) for one in found if one.missed))
    reason = request.form.get("reason", "").strip()[:400]
    if missed and not reason:
        return _page(to, found, "Say why they get what missed its gate."), 400
    order = CatchUpOrder(None if to == "all" else to, "all" if to == "all" else None, forced=missed, reason=reason)
    try:
        job = room.submit(order, BY)
    except StoreError as error:
        return _page(to, found, str(error)), 503
    return redirect(url_for("job", number=job.number), 303)


def lacking(room: Room, to: str) -> list[Lack]:
    """The Pis that could not be reached last time, and what they lack."""
    known, serving = room.targets(), room.serving()
    found = []
    for (name, agent), last in sorted(room.latest().items()):
        if last.state == "unknown" and name in known and to in ("all", name):
            entry = room.model(last.version, agent)
            gate = room.gate(entry) if entry is not None else {}
            missed = str(gate.get("reason") or "see its report") if gate.get("passed") is False else ""
            runs = serving.get((name, agent), "not known")
            found.append(Lack(name, agent, last.version, runs, words.moment(last.at, room.now()), missed))
    return found


def _page(to: str, found: list[Lack], error: str) -> str:
    names = {one.target for one in found}
    return render_template("catch_up.html", at="Fleet", to=to, lacking=found, count=len(names), error=error)
