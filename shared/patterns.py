"""Patterns of an agent file: macros, and which expressions are refused because they could make the product slow.

All patterns of an agent run as one RE2 set over every log line, so one careless pattern costs every line: repeats that
are bounded but large blow the automaton up, and nested unbounded repeats make the standard `re`, which reads the fields
of the winner, take exponential time on hostile text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from re import _constants as _c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import re2

MAX_REPEAT = 16
_MACRO = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_BEYOND = re.compile(r"\(\?(?:[=!]|<[=!]|P=|>)|\\[1-9]")
_REPEATS = (_c.MAX_REPEAT, _c.MIN_REPEAT, _c.POSSESSIVE_REPEAT)


def expand(pattern: str, macros: Mapping[str, str]) -> tuple[str, list[str]]:
    """The pattern with its {MACROS} put in, and the names that are unknown (or go in circles)."""
    unknown: list[str] = []
    for _ in range(10):
        names = _MACRO.findall(pattern)
        unknown = [name for name in names if name not in macros]
        if unknown or not names:
            break
        pattern = _MACRO.sub(lambda match: macros[match[1]], pattern)
        unknown = _MACRO.findall(pattern)  # left when the rounds are used up: a circle
    return pattern, unknown


def fault_of(pattern: str) -> str | None:
    """Why a pattern is refused, in words for its author; None when it may be used."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        told = f"RE2 refuses this pattern: {reason.decode() if isinstance(reason, bytes) else reason}"
        return f"{told}; RE2 has no look-ahead, look-behind or back-reference" if _BEYOND.search(pattern) else told
    try:
        tree = _parser.parse(pattern, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        return f"Python's re refuses this pattern: {error}"
    return _walk(tree, inside=False)


def _walk(tree: Any, inside: bool) -> str | None:
    """Look through a parsed expression; `inside`: within an unbounded repeat."""
    for op, argument in tree:
        unbounded = False
        if op in _REPEATS:
            low, high, body = argument
            unbounded = high == _c.MAXREPEAT
            largest = low if unbounded else high
            if largest > MAX_REPEAT:
                return f"a bounded repeat of {largest}; at most {MAX_REPEAT}, or use * or +"
            if unbounded and inside:
                return "an unbounded repeat within an unbounded repeat; hostile text would make it slow"
            bodies: list[Any] = [body]
        elif op is _c.BRANCH:
            bodies = list(argument[1])
        elif op is _c.SUBPATTERN:
            bodies = [argument[3]]
        elif op is _c.ATOMIC_GROUP:
            bodies = [argument]
        else:
            bodies = []
        for inner in bodies:
            found = _walk(inner, inside or unbounded)
            if found:
                return found
    return None
