"""One gate for hostile text: attackers choose network names, user names and whole log lines.

Everything that goes to a page, a terminal, a CSV file or a notification passes here. What is not printable becomes an
escape that shows what was there: control and ANSI sequences, direction overrides, zero-width characters, surrogates.
"""

from __future__ import annotations

import re

LIMIT = 4096
CUT = "…"
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "|", "%")
# cheap first look: text of these characters only needs no work
_PLAIN = re.compile(r"[ -~]*\Z")
# printable to Python, yet not to be shown as it is: fillers that look like nothing, and marks that stack without end
_SNEAKY = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffc")
_MAX_MARKS = 3  # combining marks on one character (real scripts use up to three)


def clean(text: str, limit: int = LIMIT) -> str:
    """The text in one line of printable characters, at most `limit` of them (the last is … when it was cut).

    >>> clean("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    if len(text) <= limit and _PLAIN.match(text):
        return text
    out: list[str] = []
    size = marks = 0
    for character in text[: limit + 1]:
        mark = _is_mark(character)
        marks = marks + 1 if mark else 0
        shown = _shown(character, hidden=marks > _MAX_MARKS)
        if size + len(shown) > limit:
            return _cut(out, limit)
        out.append(shown)
        size += len(shown)
    return "".join(out)


def clean_csv(text: str) -> str:
    """As `clean`, and safe in a spreadsheet: a cell that would be read as a formula gets an apostrophe in front."""
    cleaned = clean(text)
    return "'" + cleaned if cleaned.lstrip(" '\"").startswith(_FORMULA) and not _is_number(cleaned) else cleaned


def _shown(character: str, hidden: bool) -> str:
    if character.isprintable() and character not in _SNEAKY and not hidden:
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _is_mark(character: str) -> bool:
    code = ord(character)
    return 0x0300 <= code <= 0x036F or 0x1AB0 <= code <= 0x1AFF or 0x1DC0 <= code <= 0x1DFF or 0x20D0 <= code <= 0x20FF


def _cut(parts: list[str], limit: int) -> str:
    if limit < 1:
        return ""
    size = sum(map(len, parts))
    while parts and size > limit - 1:
        size -= len(parts.pop())
    return "".join(parts) + CUT


def _is_number(text: str) -> bool:
    """A plain number such as -61 or +2.5 stays one, and so does the lone dash of a host without a name."""
    return re.fullmatch(r"[+-]?\d+(?:\.\d+)?|-", text) is not None
