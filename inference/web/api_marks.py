"""What people say of incidents, over the API: marks, labels for the trainer, mutes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import abort
from flask.typing import ResponseReturnValue

from inference.said import marks as said
from inference.said import mutes as quiet
from inference.web.answers import answer, plain
from inference.web.room import this_room

BY = "api"
DAY_S = 86_400.0
BIGGEST = 2**63


def marks(query: Mapping[str, Any]) -> ResponseReturnValue:
    """What was said of incidents, newest first."""
    room = this_room()
    if not room.has_state:
        return answer({"marks": []})
    found = said.all_marks(
        room.db(), room.now(), agent=query.get("agent"), mark=query.get("mark"), since=query["since"],
        expired=query["expired"], limit=query["limit"],
    )  # fmt: skip
    return answer({"marks": [plain(mark) for mark in found]})


def labels() -> ResponseReturnValue:
    """The marks that count, as `pipit-trainer train --labels` reads them."""
    room = this_room()
    return answer({"labels": said.labels(said.all_marks(room.db(), room.now())) if room.has_state else []})


def mark(incident_id: int, body: Mapping[str, Any]) -> ResponseReturnValue:
    """Say that an incident was real or false; a later word takes the place of an earlier one."""
    room = this_room()
    _exists(incident_id)
    with room.write() as db:
        found = said.mark(db, incident_id, body["mark"], by=BY, now=room.now(), note=body["note"], days=body["days"])
    return answer(plain(found))


def unmark(incident_id: int) -> ResponseReturnValue:
    """Take what was said of an incident back."""
    _exists(incident_id)
    with this_room().write() as db:
        return answer({"done": said.unmark(db, incident_id)})


def mutes(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Kinds that are muted, the one that ends first at the top."""
    room = this_room()
    found = quiet.mutes(room.db(), room.now(), expired=query["expired"]) if room.has_state else []
    return answer({"mutes": [plain(each) for each in found]})


def mute(body: Mapping[str, Any]) -> ResponseReturnValue:
    """Hear nothing of a kind for a time; it is judged and shown all the same."""
    room = this_room()
    with room.write() as db:
        found = quiet.mute(
            db, body["agent"], body["type"], body["host"], by=BY, now=room.now(), seconds=body["days"] * DAY_S,
            note=body["note"],
        )  # fmt: skip
    return answer(plain(found), 201)


def unmute(mute_id: int) -> ResponseReturnValue:
    """Hear of it again."""
    if mute_id >= BIGGEST:
        abort(404)
    room = this_room()
    with room.write() as db:
        if not quiet.unmute(db, mute_id, room.now()):
            abort(404, "no mute of that number is in force")
    return answer({"done": True})


def _exists(incident_id: int) -> None:
    room = this_room()
    known = room.has_state and incident_id < BIGGEST
    if not known or room.db().execute("SELECT 1 FROM incidents WHERE id = ?", (incident_id,)).fetchone() is None:
        abort(404)
