"""Text that somebody else wrote, made safe and visible for a page: escaped, and every trick character shown as a code.

An SSID is chosen by whoever stands outside the building. It may turn the reading direction of a line, hide behind
characters without width, or end a tag. Escaping stops the last; the first two are shown as `U+202E`.
"""

from __future__ import annotations

import unicodedata

from markupsafe import Markup, escape

LIMIT = 4096
MARKS_IN_A_ROW = 2  # more combining marks than this on one letter are no language, they paint over other lines

# Letters by their category, yet nothing to see: people hide text behind them.
BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")


def visible(text: object, limit: int = LIMIT) -> Markup:
    """The text as HTML: control, bidirectional, zero-width and blank characters as `<b class="x">U+202E</b>`."""
    whole = "" if text is None else str(text)
    if whole.isascii() and whole.isprintable():
        return escape(whole[:limit]) + cut_mark(whole, limit)
    parts: list[str] = []
    marks = 0
    for character in whole[:limit]:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if is_harmless(character) and marks <= MARKS_IN_A_ROW:
            parts.append(str(escape(character)))
        else:
            parts.append(f'<b class="x">U+{ord(character):04X}</b>')
    return Markup("".join(parts)) + cut_mark(whole, limit)  # noqa: S704  every part was escaped or made here


def with_code(text: str) -> Markup:
    """A text as HTML, as `visible` makes it, and what stands between `backticks` as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return visible(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(visible(one)) if n % 2 else visible(one) for n, one in enumerate(parts)
    )


def is_harmless(character: str) -> bool:
    """Whether a character shows as itself and changes nothing around it."""
    return character.isprintable() and character not in BLANKS and not "\ufe00" <= character <= "\ufe0f"


def is_hostile(text: str) -> bool:
    """Whether a text holds characters that `visible` would show as codes."""
    return not all(is_harmless(character) for character in text)


def cut_mark(text: str, limit: int) -> Markup:
    """A note that a text goes on, or nothing."""
    return Markup("<i> … cut</i>") if len(text) > limit else Markup("")
