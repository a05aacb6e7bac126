"""Notifications as pages and API show them: channels without their secrets, messages, and the test that is sent.

The web process sends nothing and loads no apprise: a test is a row of the outbox, which the daemon has sent within a second.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from flask import abort

from inference.keeping import reading as read
from inference.notify import quiet_minutes, quiet_until
from inference.telling import channels, outbox
from inference.telling.channels import Channel, Result
from inference.telling.outbox import Message
from inference.web.room import HEARING, LOOK_S, Room

UNTRIED, TAKEN, REFUSED = "untried", "taken", "failed"
TEST = "test"


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel and what came of its last message; `result` None: none was sent to it yet."""

    channel: Channel
    result: Result | None

    @property
    def state(self) -> str:
        """untried, taken or failed."""
        return UNTRIED if self.result is None else REFUSED if self.result.error else TAKEN

    def as_json(self) -> dict[str, Any]:
        """For the API; times stay numbers."""
        own, found = self.channel, self.result
        told = {"number": own.number, "kind": own.scheme, "title": own.title, "host": own.host, "state": self.state}
        since = {"at": found.at, "taken": found.taken, "error": found.error} if found else {}
        return {**told, "at": None, "taken": None, "error": "", **since}


def channel_states(room: Room) -> list[ChannelState]:
    """The channels of the settings, in their order."""
    known = channels.channels(room.settings.notify_urls)
    found = channels.results(room.db(), known) if known and room.has_state else {}
    return [ChannelState(each, found.get(each.name)) for each in known]


def quiet_now(room: Room) -> float | None:
    """When the present quiet hours end, None outside of them."""
    return quiet_until(room.now(), quiet_minutes(room.settings.quiet_hours))


def send_test(room: Room, by: str, place: str) -> int:
    """Put a test into the outbox; the number of the message. One that waits already is not followed by another."""
    if not room.settings.notify_urls.split():
        abort(409, "There is no channel to test: INFERENCE_NOTIFY_URLS is empty.")
    now = room.now()
    with room.write() as db:
        waiting = outbox.newest(db, 1, outbox.WAITING, TEST)
        if waiting:
            outbox.hurry(db, now)
            return waiting[0].id
        body = f"Whoever reads this is told when {place} finds something.\nAsked for by {by}."
        outbox.put(db, TEST, f"test/{now:.6f}/{time.monotonic_ns()}", "info", f"a test from {place}", body, now)
        return outbox.newest(db, 1, kind=TEST)[0].id


def retry(room: Room) -> int:
    """Try what did not get through again now; gives how many messages."""
    with room.write() as db:
        return outbox.hurry(db, room.now())


def outcome_of(room: Room, number: int, wait_s: float) -> Message:
    """The message once a channel has answered; waits where the daemon runs, at most `wait_s`."""
    deadline = time.monotonic() + (wait_s if room.health(room.status()) in HEARING else 0.0)
    while True:
        db = read.connect_read(room.state_file)
        try:
            found = outbox.message(db, number)
        finally:
            db.close()
        if found is None:
            abort(404)
        if found.state != outbox.WAITING or found.error or time.monotonic() >= deadline:
            return found
        time.sleep(LOOK_S)
