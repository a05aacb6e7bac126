"""Notifications over the API: channels without their secrets, messages, a test, another try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask.typing import ResponseReturnValue

from inference.telling import outbox
from inference.web import notifying
from inference.web.answers import answer, need, plain, timed
from inference.web.room import this_room
from shared.web.app import this_site

BY = "api"
BIGGEST = 2**63


def notifications() -> ResponseReturnValue:
    """Who is told, what came of each channel's last message, and how many messages wait."""
    room = this_room()
    own = room.settings
    told = {
        "channels": [each.as_json() for each in notifying.channel_states(room)],
        "quiet_hours": own.quiet_hours, "until": notifying.quiet_now(room),
        "silent_minutes": own.silent_minutes, "page_url": own.page_url,
        "counts": outbox.counts(room.db()) if room.has_state else {},
    }  # fmt: skip
    return answer(timed(told))


def messages(query: Mapping[str, Any]) -> ResponseReturnValue:
    """What was sent, waits, or was given up; the newest first."""
    room = this_room()
    found = outbox.newest(room.db(), query["limit"], query.get("state"), query.get("kind")) if room.has_state else []
    return answer({"messages": [plain(each) for each in found]})


def message(message_id: int) -> ResponseReturnValue:
    """One message."""
    room = this_room()
    known = room.has_state and message_id < BIGGEST
    return answer(plain(need(outbox.message(room.db(), message_id) if known else None)))


def test(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Send a test to every channel, and wait for their answer."""
    room = this_room()
    number = notifying.send_test(room, BY, this_site().place)
    found = notifying.outcome_of(room, number, query["wait_s"])
    return answer(plain(found), 202 if found.state == outbox.WAITING else 200)


def retry() -> ResponseReturnValue:
    """Try what did not get through again now."""
    return answer({"retried": notifying.retry(this_room())})
