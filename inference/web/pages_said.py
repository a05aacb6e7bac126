"""What people say of incidents on the pages: real, false, mute; each acts at once and can be taken back."""

from __future__ import annotations

from flask import Flask, abort, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from inference.keeping import reading as read
from inference.said import marks as said
from inference.said import mutes as quiet
from inference.web.room import this_room
from shared.clean import clean
from shared.web import words

BY = "admin page"
MUTE_DAYS = {"1": 1.0, "7": 7.0, "30": 30.0}
MOST = 2**63


def add_said_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/incidents/<int:incident_id>/mark", "incident_mark", mark, methods=["POST"])
    app.add_url_rule("/incidents/<int:incident_id>/mute", "incident_mute", mute, methods=["POST"])
    app.add_url_rule("/mutes/<int:mute_id>/end", "mute_end", mute_end, methods=["POST"])


def mark(incident_id: int) -> ResponseReturnValue:
    """It was real, it was a false alarm, or take that back."""
    room, row = this_room(), _incident(incident_id)
    wanted = request.form.get("mark", "")
    if wanted not in (*said.MARKS, "none"):
        abort(400, "Say whether it was real or a false alarm.")
    with room.write() as db:
        if wanted == "none":
            said.unmark(db, row.id)
        else:
            note = clean(request.form.get("note", ""), said.LONGEST_NOTE)
            said.mark(db, row.id, wanted, by=BY, now=room.now(), note=note)
    session["notice"] = {
        "none": "Taken back. Nothing is said of this incident.",
        said.FALSE: "Noted as a false alarm. The next training learns these windows as normal.",
        said.CONFIRMED: "Noted as real. The next training leaves these windows out.",
    }[wanted]
    return redirect(url_for("incident", incident_id=row.id), 303)


def mute(incident_id: int) -> ResponseReturnValue:
    """Hear nothing of this kind for a time, at this host or everywhere."""
    room, row = this_room(), _incident(incident_id)
    days = MUTE_DAYS.get(request.form.get("days", ""))
    scope = request.form.get("scope", "")
    if days is None or scope not in ("host", "all"):
        abort(400, "Choose what is muted, and for how long.")
    with room.write() as db:
        found = quiet.mute(
            db, row.agent, row.type, row.host if scope == "host" else None, by=BY, now=room.now(),
            seconds=days * words.DAY_S, note=clean(request.form.get("why", ""), 200),
        )  # fmt: skip
    where = "on this host" if scope == "host" else "on every host"
    session["notice"] = (
        f"Muted {where} until {words.moment(found.until, room.now())}. It is judged and shown all the same."
    )
    return redirect(url_for("incident", incident_id=row.id), 303)


def mute_end(mute_id: int) -> ResponseReturnValue:
    """Hear of it again."""
    room = this_room()
    if mute_id >= MOST:
        abort(404)
    with room.write() as db:
        if not quiet.unmute(db, mute_id, room.now()):
            abort(404)
    session["notice"] = "The mute has ended. You will hear of this kind again."
    return redirect(url_for("incidents"), 303)


def _incident(incident_id: int) -> read.IncidentRow:
    room = this_room()
    found = read.incident(room.db(), incident_id, room.now()) if room.has_state and incident_id < MOST else None
    if found is None:
        abort(404)
    return found.incident
