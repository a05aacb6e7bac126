"""The notifications page as values: is anybody told, through what, and what became of each message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inference.config import Settings
from inference.incidents import Incident, Kind
from inference.notify import GREETING
from inference.telling import outbox
from inference.telling.messages import incident_message
from inference.telling.outbox import Message
from inference.telling.template import read_template
from inference.web import notifying
from inference.web.notifying import ChannelState
from inference.web.room import HEARING, Room
from shared.errors import ConfigError
from shared.values import Moved
from shared.web import words
from shared.web.fact import Fact

Tag = tuple[str, str, str]
SHOWN = 50

# kind of message → its word, and when it is sent
KINDS = {
    "incident": ("Incident", "once for each incident that is opened; nothing for what is muted"),
    "raised": ("More severe", "once for each step that an incident's severity rises"),
    "model": ("Model", "a version was refused, or did not prove itself and was taken out of service"),
    "drift": ("Drift", "the log no longer looks like what the model learnt"),
    "source": ("Log", "no row has come for too long, or the log database does not answer"),
    "test": ("Test", "the button on this page"),
}
CHANNEL: dict[str, Tag] = {
    notifying.TAKEN: ("Works", "ok", "s-ok"),
    notifying.REFUSED: ("Failing", "high", "s-no"),
    notifying.UNTRIED: ("Not tried yet", "", "s-wait"),
}


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message of the outbox, as a row."""

    id: int
    kind: str
    severity: str
    title: str
    body: str
    made: str
    state: Tag
    note: str


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """One channel, as a row."""

    number: int
    title: str
    host: str
    state: Tag
    when: str
    error: str


@dataclass(frozen=True, slots=True)
class Example:
    """How a message reads; `fault` says why it cannot be told."""

    title: str
    body: str
    fault: str


@dataclass(frozen=True, slots=True)
class NotifyView:
    """The page."""

    headline: str
    lead: str
    facts: tuple[Fact, ...]
    channels: tuple[ChannelRow, ...]
    messages: tuple[MessageRow, ...]
    counts: dict[str, int]
    is_retried: bool  # something that did not get through waits for another try
    test: MessageRow | None
    test_words: str
    is_awaited: bool  # the test has not been answered yet
    example: Example


def view(room: Room, state: str | None, test: int | None) -> NotifyView:
    """Everything of the page; `state`: only such messages, `test`: the message that somebody waits for."""
    now, known = room.now(), notifying.channel_states(room)
    db = room.db() if room.has_state else None
    shown = outbox.newest(db, SHOWN, state) if db else []
    counts = outbox.counts(db) if db else {outbox.WAITING: 0, outbox.SENT: 0, outbox.FAILED: 0}
    asked = outbox.message(db, test) if db and test is not None else None
    own = asked if asked and asked.kind == notifying.TEST else None
    hears = room.health(room.status()) in HEARING
    return NotifyView(
        headline=headline(known, now),
        lead=_lead(known, counts),
        facts=_facts(room, known, counts, now),
        channels=tuple(_channel(each, now) for each in known),
        messages=tuple(_row(each, now) for each in shown),
        counts=counts,
        is_retried=bool(db and any(each.attempts for each in outbox.newest(db, SHOWN, outbox.WAITING))),
        test=_row(own, now) if own else None,
        test_words=_test_words(own, hears) if own else "",
        is_awaited=bool(own and own.state == outbox.WAITING and not own.error and hears),
        example=example(room.settings),
    )


def headline(known: Sequence[ChannelState], now: float) -> str:
    """The first line: whether anybody is told."""
    if not known:
        return "Nobody is told: there is no channel."
    failing = [each for each in known if each.state == notifying.REFUSED]
    if failing:
        names = words.joined([each.channel.title for each in failing])
        return f"{names} did not take the last message."
    if all(each.state == notifying.UNTRIED for each in known):
        return f"{_channels(known)} set, and not tried yet."
    last = max(each.result.taken or 0.0 for each in known if each.result)
    tell = "One channel takes" if len(known) == 1 else f"{words.sentence(words.counted(len(known), 'channel'))} take"
    return f"{tell} messages. The last one went out {words.ago(last, now)}."


def _channels(known: Sequence[ChannelState]) -> str:
    return f"{words.sentence(words.counted(len(known), 'channel'))} {'is' if len(known) == 1 else 'are'}"


def _lead(known: Sequence[ChannelState], counts: dict[str, int]) -> str:
    if not known:
        return "What is found stands on these pages and nowhere else."
    if any(each.state == notifying.REFUSED for each in known):
        waiting = words.counted(counts[outbox.WAITING], "message")
        return f"{words.sentence(waiting)} {'waits' if counts[outbox.WAITING] == 1 else 'wait'} for another try, for a day."
    if all(each.state == notifying.UNTRIED for each in known):
        return "Send a test: it shows in a second whether messages arrive."
    return "Each incident is told once, and once more for each step that its severity rises."


def channel_fact(room: Room, href: str) -> Fact:
    """For the overview: does anybody hear of it? `href`: where to read more."""
    known = notifying.channel_states(room)
    if not known:
        return Fact("Messages", "Nobody is told", "no channel is set", "off", href=href)
    failing = [each for each in known if each.state == notifying.REFUSED]
    if failing:
        names = words.joined([each.channel.title for each in failing])
        return Fact("Messages", "Not taken", f"by {names}", "high", href=href)
    taken = max((each.result.taken or 0.0 for each in known if each.result), default=0.0)
    note = f"last {words.ago(taken, room.now())}" if taken else "not tried yet"
    count = words.sentence(words.counted(len(known), "channel"))
    return Fact("Messages", count, note, "ok" if taken else "off", href=href)


def _facts(room: Room, known: Sequence[ChannelState], counts: dict[str, int], now: float) -> tuple[Fact, ...]:
    own, until = room.settings, notifying.quiet_now(room)
    quiet = f"now, until {words.clock(until)} UTC" if until else "not now; local time"
    failing = any(each.state == notifying.REFUSED for each in known)
    waiting = counts[outbox.WAITING]
    return (
        Fact("Channels", words.sentence(words.counted(len(known), "channel")) if known else "None",
             "from the settings", "off" if not known else "high" if failing else "ok"),
        Fact("Waiting", words.figure(waiting, "message"), "tried again for a day" if waiting else "nothing is held back",
             "mid" if waiting and not until else ""),
        Fact("Quiet hours", own.quiet_hours.replace("-", " to ") or "None",
             f"{quiet}; then only critical ones" if own.quiet_hours else "everything is sent at once"),
        Fact("No new rows", f"after {own.silent_minutes:g} min" if own.silent_minutes else "never told",
             "then a message is sent" if own.silent_minutes else "INFERENCE_SILENT_MINUTES is 0"),
        Fact("Links", "to these pages" if own.page_url else "None",
             own.page_url or "set INFERENCE_PAGE_URL to lead readers here"),
    )  # fmt: skip


def _channel(each: ChannelState, now: float) -> ChannelRow:
    found = each.result
    when = ""
    if found:
        when = f"{words.sentence(words.ago(found.at, now))}"
        if found.error:
            when += f"; the last it took: {words.moment(found.taken, now)}" if found.taken else "; it never took one"
    own = each.channel
    error = found.error if found else ""
    return ChannelRow(own.number, own.title, own.host, CHANNEL[each.state], when, error)


def _row(message: Message, now: float) -> MessageRow:
    state, note = _state(message, now)
    kind = KINDS.get(message.kind, (words.sentence(message.kind), ""))[0]
    made = words.moment(message.created, now)
    return MessageRow(message.id, kind, message.severity, message.title, message.body, made, state, note)


def _state(message: Message, now: float) -> tuple[Tag, str]:
    if message.state == outbox.SENT:
        return ("Sent", "ok", "s-ok"), words.moment(message.sent or message.created, now)
    tries = words.counted(message.attempts, "try", "tries")
    if message.state == outbox.FAILED:
        return ("Given up", "high", "s-no"), f"after {tries}: {message.error}"
    if message.attempts:
        return ("Waits", "mid", "s-wait"), f"{tries} so far: {message.error}; again {words.moment(message.due, now)}"
    if message.due > now:
        return ("Waits", "", "s-wait"), f"for the end of the quiet hours, {words.moment(message.due, now)}"
    return ("Waits", "", "s-wait"), "to be sent"


def _test_words(own: Message, hears: bool) -> str:
    if own.state == outbox.SENT:
        return "The test was taken. Look whether it has arrived."
    if own.error:
        return f"The test was {own.error}. It is tried again by itself."
    return "The test is on its way." if hears else "The daemon does not run; the test waits until it does."


def example(settings: Settings) -> Example:
    """An incident's message, made as a real one is: by the template of the settings, where there is one."""
    what = "Somebody is guessing the WiFi password at ap1 (89 attempts)"
    began = 1_773_348_900.0  # some evening
    found = Incident(
        "wifi/ap1", "wifi", "ap1", began, began, began + 900, 3, 0.7, 2000.0, {"psk_bruteforce": Kind(2, 0.91, 3, what)},
        "model+rule",
    )  # fmt: skip
    link = f"{settings.page_url.rstrip('/')}/incidents/12" if settings.page_url else ""
    try:
        template = read_template(settings.notify_template)
    except ConfigError as error:
        return Example("", "", str(error))
    title, body = incident_message(found, [Moved("psk_attempts", 136.0, 0.0, 2.0, 1.9)], link=link, template=template)
    return Example(f"{GREETING} · {title}", body, "")
