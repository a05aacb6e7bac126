"""What was measured of a model, and what its gate says, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.web import words
from trainer.gate import WORDS
from trainer.registry import ModelEntry
from trainer.web.comparison import Pair


def found_of(measured: Mapping[str, Any]) -> str:
    """How many known or injected attacks were found: "17 of 23"."""
    if not isinstance(measured.get("episodes"), int | float):
        return "not measured"
    return f"{measured.get('episodes_found', 0):.0f} of {measured['episodes']:.0f}"


def gate_words(gate: Mapping[str, Any]) -> tuple[str, str, str]:
    """Words, class and icon of what the gate said."""
    if not gate:
        return "No gate", "", "s-off"
    return ("Passed", "ok", "s-ok") if gate.get("passed", True) else ("Missed", "high", "s-high")


def checks(gate: Mapping[str, Any]) -> list[tuple[str, str, str, tuple[str, str, str], str]]:
    """The checks of a gate: figure, bound, value, state, note."""
    found = []
    for one in gate.get("checks") or ():
        name, value = str(one.get("metric", "")), one.get("value")
        bound = f"at least {one['at_least']:g}" if "at_least" in one else f"at most {one.get('at_most', 0):g}"
        state = ("Reached", "ok", "s-ok") if one.get("passed", True) else ("Missed", "high", "s-high")
        state = ("Not measured", "", "s-off") if value is None else state
        found.append((WORDS.get(name, name), bound, words.amount(value), state, str(one.get("note", ""))))
    return found


def pairs(found: Iterable[Pair]) -> list[tuple[str, str, str, str]]:
    """Two models' figures as their table shows them: name, first, second, which is better."""
    return [(one.name, _cell(one.first), _cell(one.second), one.better) for one in found]


def comparison(chosen: Sequence[ModelEntry], found: Sequence[Pair]) -> str:
    """The first line of the comparison."""
    if len(chosen) < 2:
        return "There are no two models to compare yet."
    first, second = (sum(pair.better == which for pair in found) for which in ("first", "second"))
    names = [f"{entry.agent} {entry.version}" for entry in chosen]
    if not first and not second:
        return (
            "The two models measure the same."
            if any(p.name == WORDS["episode_recall"] for p in found)
            else ("Nothing was measured that both could be compared by.")
        )
    better, count = (names[0], first) if first >= second else (names[1], second)
    return f"{better} is better in {count} of {words.figure(first + second, 'figure')} that differ."


def _cell(value: Any) -> str:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return words.amount(value)
    return "–" if value is None else str(value)


def checked(gate: Mapping[str, Any]) -> str:
    listed = gate.get("checks") or ()
    return f"{sum(bool(one.get('passed')) for one in listed)} of {len(listed)}" if listed else ""
