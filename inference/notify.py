"""The child that empties the outbox: sends what waits through apprise (e-mail, Slack, ntfy, Telegram and a hundred more).

Started by the daemon when something is due, it ends when nothing is. apprise weighs 28 MB that the daemon need not carry,
and a channel that hangs must not hold up a cycle. The only user of apprise; addresses come from the settings, never from
the command line, where everybody on the machine could read their passwords.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from inference.config import Settings, load_settings
from inference.telling import channels, outbox
from inference.telling.channels import Channel
from inference.telling.outbox import Message
from shared.clean import clean
from shared.config import environ
from shared.errors import ConfigError, PipitError, StoreError
from shared.logs import setup_logging

logger = logging.getLogger(__name__)

MOST_SINGLE = 5  # more messages than this at once are sent as one
LIST_LINES = 40
GREETING = "Pipit"
# (title, body, severity, channels that have it) → what went wrong, empty where it got through; channels that have it now
Send = Callable[[str, str, str, frozenset[str]], tuple[str, frozenset[str]]]
Note = Callable[[Channel, str], None]  # what came of a message on one channel; empty where it got through


def empty_outbox(
    db: sqlite3.Connection, send: Send, now: Callable[[], float], quiet: tuple[int, int] | None = None
) -> tuple[int, int]:
    """Send what is due; (messages sent, messages that wait for another try).

    Raises:
        StoreError: the state file cannot be written; what was sent may then be sent twice.
    """
    sent = failed = 0
    for bundle in _bundles(_awake(db, outbox.due(db, now()), now(), quiet)):
        error, told = send(*_words(bundle), bundle[0].told)
        for message in bundle:
            if error:
                outbox.note_failed(db, message, error, now(), told)
            else:
                outbox.note_sent(db, message, now())
        sent, failed = (sent, failed + len(bundle)) if error else (sent + len(bundle), failed)
    return sent, failed


def quiet_minutes(text: str) -> tuple[int, int] | None:
    """`22:00-07:00` as minutes of the day, None for no quiet hours.

    Raises:
        ConfigError: it is neither.
    """
    if not text:
        return None
    try:
        begin, end = (datetime.strptime(part, "%H:%M") for part in text.split("-"))  # noqa: DTZ007 (a time of day)
    except ValueError:
        raise ConfigError(f"settings: INFERENCE_QUIET_HOURS is {text!r}, not like 22:00-07:00") from None
    return begin.hour * 60 + begin.minute, end.hour * 60 + end.minute


def quiet_until(now: float, quiet: tuple[int, int] | None) -> float | None:
    """When the present quiet hours (local time) end, None outside of them.

    >>> quiet_until(0.0, None) is None
    True
    """
    if quiet is None or quiet[0] == quiet[1]:
        return None
    local = datetime.fromtimestamp(now).astimezone()
    minute, (begin, end) = local.hour * 60 + local.minute, quiet
    if not (begin <= minute < end if begin < end else minute >= begin or minute < end):
        return None
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    ends = midnight + timedelta(minutes=end)
    return (ends if ends > local else ends + timedelta(days=1)).timestamp()


def _awake(
    db: sqlite3.Connection, messages: Sequence[Message], now: float, quiet: tuple[int, int] | None
) -> list[Message]:
    """The messages that may be sent now; the others are put off to the end of the quiet hours."""
    until = quiet_until(now, quiet)
    if until is None:
        return list(messages)
    for message in messages:
        if not _is_urgent(message):
            outbox.postpone(db, message, until)
    return [message for message in messages if _is_urgent(message)]


def _is_urgent(message: Message) -> bool:
    """Whether it is sent in quiet hours too; a test is, for somebody is awake and waits for it."""
    return message.severity == "critical" or message.kind == "test"


def _bundles(messages: list[Message]) -> list[list[Message]]:
    """Each message alone, or where there are many all in one that the same channels still lack: nobody reads fifty e-mails."""
    if len(messages) <= MOST_SINGLE:
        return [[message] for message in messages]
    lacking: dict[str, list[Message]] = {}
    for message in messages:
        lacking.setdefault(message.taken, []).append(message)
    return list(lacking.values())


def _words(bundle: list[Message]) -> tuple[str, str, str]:
    if len(bundle) == 1:
        return f"{GREETING} · {bundle[0].title}", bundle[0].body or bundle[0].title, bundle[0].severity
    worst = next((s for s in ("critical", "warning", "info") if any(m.severity == s for m in bundle)), "info")
    lines = [message.title for message in bundle[:LIST_LINES]]
    more = [f"and {len(bundle) - LIST_LINES} more"] if len(bundle) > LIST_LINES else []
    return f"{GREETING} · {len(bundle)} messages", "\n".join([*lines, *more]), worst


def _note_nothing(channel: Channel, error: str) -> None:
    """Where nobody keeps what came of each channel."""


def sender(urls: str, note: Note = _note_nothing) -> Send:
    """Sends through every address in `urls` (separated by blanks or line ends).

    Raises:
        ConfigError: apprise is not installed, or an address is of no kind that it knows (they are not shown: passwords).
    """
    try:
        import apprise
    except ImportError:
        raise ConfigError("notify: apprise is not installed; pip install 'pipit[notify]'") from None
    logging.getLogger("apprise").propagate = False  # it logs addresses
    kinds = {"critical": apprise.NotifyType.FAILURE, "warning": apprise.NotifyType.WARNING}
    ways: list[tuple[Channel, str, Any]] = []
    for channel, url in zip(channels.channels(urls), urls.split(), strict=True):
        way = apprise.Apprise()
        if not way.add(url):
            said = f"settings: address {channel.number} of INFERENCE_NOTIFY_URLS is of no kind that apprise knows"
            raise ConfigError(said)
        ways.append((channel, url, way))

    def send(title: str, body: str, severity: str, told: frozenset[str]) -> tuple[str, frozenset[str]]:
        """Through all channels that do not have it; one that fails keeps it from no other, and is tried again alone."""
        kind = kinds.get(severity, apprise.NotifyType.INFO)
        failed = []
        for channel, url, way in ways:
            if channel.name in told:
                continue
            with apprise.LogCapture(level=logging.WARNING) as said:  # type: ignore[no-untyped-call]  # apprise's own
                taken = way.notify(body=body, title=title, notify_type=kind, body_format=apprise.NotifyFormat.TEXT)
                error = "" if taken else channels.reason(said.getvalue(), url)
            note(channel, error)
            failed += [channel.scheme] if error else []
            told |= frozenset() if error else {channel.name}
        return (f"not taken by {', '.join(failed)}" if failed else ""), told

    return send


def open_outbox(settings: Settings) -> sqlite3.Connection:
    """The state file, without making anything in it.

    Raises:
        StoreError: it is not there or cannot be written.
    """
    uri = f"{settings.state_file.absolute().as_uri()}?mode=rw"
    try:
        db = sqlite3.connect(uri, uri=True, timeout=5.0, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreError(f"open outbox: {settings.state_file}: {error}") from error
    db.row_factory = sqlite3.Row
    return db


def main(arguments: Sequence[str]) -> int:
    """Empty the outbox once; the exit code: 0 all sent, 3 something waits for another try."""
    try:
        settings = load_settings(Path(arguments[0]) if arguments else None, environ(), {})
        setup_logging(settings.log_level, settings.log_file)
        db = open_outbox(settings)
        try:
            send = sender(settings.notify_urls, lambda channel, error: channels.note(db, channel, error, time.time()))
            sent, failed = empty_outbox(db, send, time.time, quiet_minutes(settings.quiet_hours))
        finally:
            db.close()
    except (PipitError, sqlite3.Error) as error:
        logger.error("notifications not sent error=%s", clean(str(error), 300))
        return 1
    log = logger.warning if failed else logger.info
    log("notifications sent=%d waiting=%d", sent, failed)
    return 3 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
