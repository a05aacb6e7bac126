"""Where notifications go, told without secrets: an apprise address holds passwords and tokens, which nobody is shown.

The child that sends (notify.py) notes here what came of each channel's last message; pages and API read it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from shared.clean import clean

SCHEMA = """
CREATE TABLE IF NOT EXISTS channels (
    name TEXT PRIMARY KEY, at REAL NOT NULL, error TEXT NOT NULL, taken REAL) WITHOUT ROWID;
"""

# Kinds whose host is a machine and no secret (elsewhere a token stands in its place), and kinds with a name of their own.
WITH_HOST = {
    "mailto": "E-mail", "mailtos": "E-mail", "json": "Web hook", "jsons": "Web hook", "xml": "Web hook (XML)",
    "xmls": "Web hook (XML)", "form": "Web form", "forms": "Web form", "gotify": "Gotify", "gotifys": "Gotify",
    "mqtt": "MQTT", "mqtts": "MQTT", "syslog": "Syslog", "rsyslog": "Syslog", "xmpp": "XMPP", "xmpps": "XMPP",
    "hassio": "Home Assistant", "hassios": "Home Assistant", "nctalk": "Nextcloud Talk", "nctalks": "Nextcloud Talk",
    "mmost": "Mattermost", "mmosts": "Mattermost", "rocket": "Rocket.Chat", "rockets": "Rocket.Chat",
}  # fmt: skip
OTHERS = {
    "tgram": "Telegram", "ntfy": "ntfy", "ntfys": "ntfy", "slack": "Slack", "discord": "Discord", "matrix": "Matrix",
    "matrixs": "Matrix", "pover": "Pushover", "signal": "Signal", "signals": "Signal", "msteams": "Microsoft Teams",
    "twilio": "Twilio", "whatsapp": "WhatsApp",
}  # fmt: skip
SCHEME = re.compile(r"[a-z][a-z0-9+]{0,30}", re.IGNORECASE)
HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}")
SECRET_CHARS = 4  # a part of an address that is shorter than this is a word of any sentence
NO_REASON = "it did not take the message; the reason names what is secret"


@dataclass(frozen=True, slots=True)
class Channel:
    """One address as it may be shown: its place in the setting, its kind, and its host where that is no secret."""

    number: int
    scheme: str
    title: str
    host: str

    @property
    def name(self) -> str:
        """What its results are kept under; another address in its place begins anew."""
        return f"{self.number} {self.scheme} {self.host}".rstrip()


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a channel's last message. `taken`: when it last took one."""

    name: str
    at: float
    error: str
    taken: float | None


def channels(urls: str) -> list[Channel]:
    """The channels of a setting (addresses with blanks between), in its order.

    >>> [(one.title, one.host) for one in channels("mailto://me:secret@example.org tgram://123:secret/456")]
    [('E-mail', 'example.org'), ('Telegram', '')]
    """
    return [channel_of(number, url) for number, url in enumerate(urls.split(), 1)]


def channel_of(number: int, url: str) -> Channel:
    """One address without its secrets."""
    found = SCHEME.fullmatch(url.partition("://")[0])
    scheme = found[0].lower() if found else "unknown"
    title = WITH_HOST.get(scheme) or OTHERS.get(scheme) or scheme
    return Channel(number, scheme, title, _host(url) if scheme in WITH_HOST else "")


def _host(url: str) -> str:
    """The host alone; nothing where it cannot be told apart from what stands before it."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return ""
    return host if HOST.fullmatch(host) and parts.netloc.count("@") <= 1 else ""


def reason(told: str, url: str) -> str:
    """Why a channel did not take a message, from what apprise logged; withheld where it holds a part of the address.

    >>> reason("Failed to send to hook-1: error=404.", "json://me:hunter22@hook-1/path")
    'Failed to send to hook-1: error=404.'
    >>> reason("Failed to send to me:hunter22@hook-1", "json://me:hunter22@hook-1/path")
    'it did not take the message; the reason names what is secret'
    """
    first = next((line for line in told.splitlines() if line.strip()), "").rpartition(" - ")[2]
    shown = channel_of(1, url)
    written = {part for part in re.split(r"[/:@?&=#,%+]+", url) if len(part) >= SECRET_CHARS}
    meant = {unquote(part) for part in re.split(r"[/:@?&=#,]+", url) if len(unquote(part)) >= SECRET_CHARS}
    parts = written | meant
    secrets = parts - {shown.scheme, shown.host}
    if any(part.lower() in first.lower() for part in secrets):
        return NO_REASON
    return clean(first, 200) or "it did not take the message"


def note(db: sqlite3.Connection, channel: Channel, error: str, now: float) -> None:
    """Keep what came of a message; `error` empty: it was taken."""
    db.execute(
        "INSERT INTO channels (name, at, error, taken) VALUES (?1, ?2, ?3, CASE WHEN ?3 = '' THEN ?2 END)"
        " ON CONFLICT (name) DO UPDATE SET at = ?2, error = ?3, taken = CASE WHEN ?3 = '' THEN ?2 ELSE taken END",
        (channel.name, now, clean(error, 300)),
    )


def results(db: sqlite3.Connection, known: Sequence[Channel]) -> dict[str, Result]:
    """The last result of each of these channels that has one, by name."""
    marks = ", ".join("?" * len(known))
    query = f"SELECT name, at, error, taken FROM channels WHERE name IN ({marks})"  # noqa: S608  question marks
    try:
        return {row["name"]: Result(*row) for row in db.execute(query, [each.name for each in known])}
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        return {}  # a file from before results were kept, which the daemon has not led forward yet
