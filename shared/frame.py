"""The frame: the one column set of log rows, and what their cells mean. `open_export` reads every kind of export."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from shared.errors import ExportError
from shared.values import NO_SEVERITY, Row

COLUMNS = ("id", "timestamp", "host", "program", "pid", "severity", "message")
REQUIRED = ("timestamp", "program", "message")
ALIASES: Mapping[str, str] = {
    **{name: name for name in COLUMNS},
    "time": "timestamp",
    "ts": "timestamp",
    "datetime": "timestamp",
    "@timestamp": "timestamp",
    "devicereportedtime": "timestamp",
    "hostname": "host",
    "device_id": "host",
    "device": "host",
    "fromhost": "host",
    "process_name": "program",
    "process": "program",
    "programname": "program",
    "app_name": "program",
    "appname": "program",
    "syslogtag": "program",
    "process_id": "pid",
    "procid": "pid",
    "level": "severity",
    "log_level": "severity",
    "priority": "severity",
    "loglevel": "severity",
    "msg": "message",
    "log_message": "message",
    "text": "message",
    # journalctl -o json
    "__realtime_timestamp": "timestamp",
    "_hostname": "host",
    "syslog_identifier": "program",
    "_pid": "pid",
}
MAX_MESSAGE = 4096  # characters of a message that are kept
MAX_NAME = 255  # of a host, a program, a pid or a severity: no host's name is longer
NO_HOST = "-"
LAST_TIME = 4_102_444_800.0  # 2100-01-01: a later time is a broken clock, not a log line

_SEVERITIES: Mapping[str, int] = {
    name: level
    for level, names in enumerate(
        (
            ("emerg", "emergency", "panic"),
            ("alert",),
            ("crit", "critical", "fatal"),
            ("err", "error"),
            ("warn", "warning"),
            ("notice",),
            ("info", "informational", "information"),
            ("debug", "trace", "verbose"),
        )
    )
    for name in names
}
SEVERITY_NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
_NUMBER = re.compile(r"[+-]?\d{1,20}(?:\.\d*)?\Z", re.ASCII)
_TAG = re.compile(r"^(?:.*/)?([^/\[\]:]+?)(?:\[\d*\])?:*$", re.ASCII)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: its line in the file, a short reason (the same for all rows of a kind), and the cause."""

    line: int
    reason: str
    detail: str


OnBad = Callable[[BadRow], None]


class Export(Protocol):
    """An open export. It may be read more than once; each call of `rows` starts at the beginning."""

    path: Path
    kind: str  # "csv", "json" or "jsonl"

    @property
    def read_bytes(self) -> int:
        """How much of the file the newest reading has taken in."""
        ...

    @property
    def metadata(self) -> dict[str, Any]:
        """What the export says of itself; {} when it says nothing."""
        ...

    def rows(self, on_bad: OnBad | None = None, since: float = -math.inf) -> Iterator[Row]:
        """All rows in the order of the file, streamed.

        Rows before `since` (s) may be left out, where an earlier reading of this export found out where they end.

        Raises:
            ExportError: the file is empty, cut off, has no usable columns or no rows; and, without `on_bad`, at the
                first bad row.
        """
        ...


def open_export(path: Path) -> Export:
    """Open a log export: CSV, JSON or JSON lines, each plain or gzip, told apart by content and not by name.

    Raises:
        ExportError: the file does not exist, is empty, is not text, or lacks required columns.
    """
    from shared.readers import open_reader  # the readers need the columns above

    return open_reader(Path(path))


def parse_time(text: str) -> float:
    """A time as seconds since the epoch: ISO 8601 with T or a space, with or without fraction and zone, or a number.

    A time without a zone is UTC. A number is seconds, or milli-, micro- or nanoseconds by its size.

    Raises:
        ValueError: it is no time, or one before 1970 or after 2099 (`infinity` is none).
    """
    text = text.strip()
    if _NUMBER.match(text) and len(text) != 8:
        seconds = float(text)
        for _ in range(3):
            if seconds < LAST_TIME:
                break
            seconds /= 1000.0
    else:
        moment = datetime.fromisoformat(text.removesuffix(" UTC"))
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not 0.0 <= seconds < LAST_TIME:
        raise ValueError("outside 1970 to 2099")
    return seconds


def parse_severity(text: str) -> int:
    """A severity as 0 (emerg) to 7 (debug): by name, long or short, in any case, or by number; -1 when it says nothing."""
    text = text.strip().lower()
    if text.isdecimal() and len(text) <= 2:
        number = int(text)
        return number if number <= 7 else NO_SEVERITY
    known = _SEVERITIES.get(text)
    if known is None and "." in text:  # "daemon.warn"
        known = _SEVERITIES.get(text.rsplit(".", 1)[1])
    return NO_SEVERITY if known is None else known


def plain_program(text: str) -> str:
    """`/usr/sbin/hostapd[270]:` as `hostapd`: the name that agents list."""
    match = _TAG.match(text.strip())
    return match[1].strip() if match else text.strip()


def column_map(names: list[str], where: str) -> dict[str, int]:
    """Canonical column name → position, by name or alias; a canonical name beats its aliases.

    Raises:
        ExportError: a required column is missing.
    """
    found: dict[str, int] = {}
    exact: set[str] = set()
    for position, name in enumerate(names):
        name = name.strip().lower()
        column = ALIASES.get(name)
        if column is None or column in exact or (column in found and name != column):
            continue
        found[column] = position
        if name == column:
            exact.add(column)
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        shown = ", ".join(names)[:200]
        raise ExportError(
            f"reading {where}: no column is called {' or '.join(missing)} (there are: {shown}); "
            f"an export needs {', '.join(REQUIRED)} (host, severity, pid and id may be missing)"
        )
    return found
