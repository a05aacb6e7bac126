"""What the API asks and answers about notifications."""

from __future__ import annotations

from marshmallow import fields, validate

from inference.web.schemas.parts import Answer, limit, number, text, when, whole
from shared.web.openapi import Lenient

STATES = ("waiting", "sent", "failed")


class MessageQuery(Lenient):
    """Which messages."""

    state = text("waiting, sent or failed", validate=validate.OneOf(STATES))
    kind = text("only this kind: incident, raised, model, drift, source or test")
    limit = limit(100, 1000)


class TestQuery(Lenient):
    """How long to wait for the channels."""

    __test__ = False  # no test, whatever its name begins with

    wait_s = number(
        "wait so long for the channels' answer; 0 answers 202 at once",
        load_default=10.0,
        validate=validate.Range(0, 30),
    )


class Channel(Answer):
    """One address of INFERENCE_NOTIFY_URLS, without its secrets."""

    number = whole("its place in the setting", required=True)
    kind = text("as apprise writes it: mailto, ntfy, …", required=True)
    title = text("in words", required=True)
    host = text("where that is no secret", required=True)
    state = text("untried, taken or failed", required=True)
    at = when("last try", required=True, allow_none=True)
    taken = when("the last message that it took", required=True, allow_none=True)
    error = text("why it did not take the last one", required=True)


class Notifications(Answer):
    """Who is told, and how."""

    channels = fields.List(fields.Nested(Channel), required=True)
    quiet_hours = text("local times in which only critical messages are sent; empty: none", required=True)
    until = when("end of the quiet hours that are now", required=True, allow_none=True)
    silent_minutes = number("without any row for so long, a message is sent; 0: never", required=True)
    page_url = text("what links in messages begin with; empty: no links", required=True)
    counts = fields.Dict(required=True, metadata={"description": "messages by state"})


class Message(Answer):
    """One message."""

    id = whole("number", required=True)
    kind = text("incident, raised, model, drift, source or test", required=True)
    severity = text("info, warning or critical", required=True)
    title = text("its first line", required=True)
    body = text("the rest", required=True)
    created = when("made", required=True)
    due = when("to be sent at", required=True)
    attempts = whole("tries that failed", required=True)
    state = text("waiting, sent or failed", required=True)
    error = text("what went wrong", required=True)
    sent = when("it got through", required=True, allow_none=True)
    taken = text("while it waits: the channels that have it already, a line each", required=True)


class Messages(Answer):
    """Messages, newest first."""

    messages = fields.List(fields.Nested(Message), required=True)


class Retried(Answer):
    """How many messages are tried again."""

    retried = whole("messages", required=True)
