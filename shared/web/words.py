"""Numbers, times and rarities as people say them. Pure: the clock is an argument, every time is UTC as in the log."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

MINUTE_S = 60
HOUR_S = 3600
DAY_S = 86400

SMALL = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")

# The three severities of a verdict, as the stylesheet and the pages name them.
SEVERITIES = {"critical": ("high", "High"), "warning": ("mid", "Medium"), "info": ("low", "Low")}


def severity_class(severity: str | None) -> str:
    """The class and icon of a severity; an unknown one is shown as medium, never dropped."""
    return SEVERITIES.get(severity or "", ("mid", "Medium"))[0]


def severity_name(severity: str | None) -> str:
    """The word of a severity: High, Medium, Low."""
    return SEVERITIES.get(severity or "", ("mid", "Medium"))[1]


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun, small ones in words: `counted(3, "host")` is "three hosts", 31 give "31 hosts"."""
    noun = _noun(count, singular, plural)
    return f"{SMALL[count]} {noun}" if 0 <= count < len(SMALL) else f"{count:,} {noun}"


def figure(count: int, singular: str, plural: str | None = None) -> str:
    """A count with its noun in digits, for places where figures stand side by side: "1 window", "61 rows"."""
    return f"{count:,} {_noun(count, singular, plural)}"


def _noun(count: int, singular: str, plural: str | None) -> str:
    if count == 1:
        return singular
    return singular + "s" if plural is None else plural


ROLES = {"ap": "access points", "station": "stations"}


def role(name: str) -> str:
    """The hosts of a role: "access points"."""
    return ROLES.get(name, name)


def joined(names: Sequence[str]) -> str:
    """Names as a person lists them: "wifi", "wifi and sshd", "ap1, ap2 and ap3"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first names of a list that may be long: "ap1, ap2, ap3 and 4 more"."""
    listed = ", ".join(names[:most])
    return f"{listed} and {len(names) - most:,} more" if len(names) > most else joined(names)


def percent(part: float) -> str:
    """A part of a whole: 0.912 is "91 %"."""
    return f"{part * 100:.0f} %"


def share(part: float, digits: int) -> str:
    """A part of a whole where less than a hundredth matters: 0.0042 with two digits is "0.42 %"."""
    return f"{part * 100:.{digits}f} %"


def plain_share(part: float) -> str:
    """A part of a whole as exactly as it needs: 0.976 is "97.6 %", 1.0 is "100 %"."""
    whole = round(part * 100)
    return f"{whole} %" if abs(part * 100 - whole) < 0.05 else f"{part * 100:.1f} %"


def sentence(text: str) -> str:
    """The text with a capital first letter (str.capitalize would spoil the rest)."""
    return text[:1].upper() + text[1:]


def amount(value: float | None) -> str:
    """A feature's value: whole numbers whole, others with three significant digits; a missing one is said to be."""
    if value is None or math.isnan(value):
        return "none"
    if math.isinf(value):
        return "no limit"
    if abs(value - round(value)) < 1e-9:
        return f"{round(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def size(size_bytes: int) -> str:
    """A size in the unit a person would choose: 812 bytes, 46 kB, 2.0 MB, 248 MB, 4.1 GB."""
    if size_bytes < 1000:
        return f"{size_bytes} bytes"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1000:.0f} kB"
    one, unit = (1_000_000, "MB") if size_bytes < 1_000_000_000 else (1_000_000_000, "GB")
    return f"{size_bytes / one:.{0 if size_bytes >= 10 * one else 1}f} {unit}"


def rarity(one_in: float | None, sample: float | None = None) -> str:
    """How rare a window is: "1 in 2,000"; at or beyond the training sample "never seen in training".

    Rounded to two digits: a sample carries no more.
    """
    if one_in is None or math.isnan(one_in):
        return "not scored"
    if math.isinf(one_in) or (sample is not None and one_in >= sample):
        return "never seen in training"
    if one_in < 2:
        return "quite normal"
    return f"1 in {two_digits(one_in):,.0f}"


def two_digits(value: float) -> float:
    """A positive number rounded to its first two digits: 2,244 is 2,200."""
    step = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return float(round(value / step) * step)


def lasted(seconds: float) -> str:
    """A span of time: "40 s", "13 min", "2 h 5 min", "3 days"."""
    if seconds < 90:
        return f"{max(0, seconds):.0f} s"
    if seconds < 90 * MINUTE_S:
        return f"{seconds / MINUTE_S:.0f} min"
    if seconds < 2 * DAY_S:
        hours, rest = divmod(round(seconds / MINUTE_S), 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{seconds / DAY_S:.0f} days"


def at_length(seconds: float) -> str:
    """A span of time in whole words, for a sentence: "14 minutes", "3 hours", "2 days"."""
    for unit_s, noun, most in ((1, "second", 90), (MINUTE_S, "minute", 90 * MINUTE_S), (HOUR_S, "hour", 2 * DAY_S)):
        if seconds < most:
            return figure(round(max(0.0, seconds) / unit_s), noun)
    return figure(round(seconds / DAY_S), "day")


def clock(time_s: float, seconds: bool = False) -> str:
    """The time of day: 21:15, or 21:15:32."""
    return _at(time_s).strftime("%H:%M:%S" if seconds else "%H:%M")


def day(time_s: float) -> str:
    """The day with its name: Thu 12 Mar."""
    moment = _at(time_s)
    return f"{moment:%a} {moment.day} {moment:%b}"


def date_of(time_s: float) -> str:
    """The day as 2026-03-12, for grouping and for form fields."""
    return _at(time_s).strftime("%Y-%m-%d")


def moment(time_s: float, now: float) -> str:
    """A moment, no longer than needed: "21:05" today, "Wed 11 Mar, 17:09" within the half year, else with the year."""
    if date_of(time_s) == date_of(now):
        return clock(time_s)
    year = f" {_at(time_s).year}" if abs(now - time_s) > 180 * DAY_S else ""
    return f"{day(time_s)}{year}, {clock(time_s)}"


def ago(time_s: float, now: float) -> str:
    """Relative under an hour ("11 minutes ago"), else the moment itself."""
    seconds = now - time_s
    if seconds < -MINUTE_S or seconds >= HOUR_S:
        return f"at {moment(time_s, now)}" if date_of(time_s) == date_of(now) else f"on {moment(time_s, now)}"
    if seconds < MINUTE_S:
        return "less than a minute ago"
    minutes = int(seconds // MINUTE_S)
    return f"{minutes} minute{'s' if minutes != 1 else ''} ago"


def stamp(time_s: float) -> str:
    """The full moment for a footer: Thu 12 Mar 2026, 21:16:00 UTC."""
    return f"{day(time_s)} {_at(time_s).year}, {clock(time_s, seconds=True)} UTC"


def age(seconds: float) -> str:
    """How old something is: "fresh", "5 hours old", "3 days old"."""
    if seconds < HOUR_S:
        return "less than an hour old"
    if seconds < 2 * DAY_S:
        hours = round(seconds / HOUR_S)
        return f"{hours} hour{'s' if hours != 1 else ''} old"
    return f"{seconds / DAY_S:.0f} days old"


def version_time(version: str) -> float | None:
    """When a version was made: its name is its moment (YYYYMMDD_HHMMSS, perhaps with -rN); None for any other name."""
    try:
        return datetime.strptime(version.split("-", 1)[0], "%Y%m%d_%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _at(time_s: float) -> datetime:
    """A datetime that never fails: a clock from a log may be anything, and a page must still be drawn."""
    try:
        return datetime.fromtimestamp(time_s, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime(1970, 1, 1, tzinfo=UTC)
