"""What was measured of a model, and what its gate says, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.web import words
from trainer.gate import METRICS, WORDS
from trainer.registry import ModelEntry
from trainer.web.comparison import Pair

PLAIN = frozenset({"false_incidents_per_host_week"})  # all others are shares of a whole, or seconds
ALERT_LINE = "Alert line, 1 in"


def measure(metric: str, value: Any) -> str:
    """A figure with its unit: "97.6 %", "3 min", "0.17"."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return "–"
    if metric.endswith("_s"):
        return words.lasted(value)
    return words.amount(value) if metric in PLAIN or metric not in METRICS else words.plain_share(value)


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
        name, value, most = str(one.get("metric", "")), one.get("value"), "at_least" not in one
        bound = f"at {'most' if most else 'least'} {measure(name, one.get('at_most', 0) if most else one['at_least'])}"
        state = ("Reached", "ok", "s-ok") if one.get("passed", True) else ("Missed", "high", "s-high")
        state = ("Not measured", "", "s-off") if value is None else state
        reached = "none" if value is None else measure(name, value)
        found.append((WORDS.get(name, name), bound, reached, state, str(one.get("note", ""))))
    return found


def pairs(found: Iterable[Pair]) -> list[tuple[str, str, str, str]]:
    """Two models' figures as their table shows them: name, first, second, which is better."""
    metrics = {said: metric for metric, said in WORDS.items()}
    rows = []
    for one in found:
        if one.name == ALERT_LINE:
            rows.append(("Alert line", _line(one.first), _line(one.second), ""))
        elif one.name in metrics:
            metric = metrics[one.name]
            rows.append((one.name, measure(metric, one.first), measure(metric, one.second), one.better))
        else:
            rows.append((one.name, _cell(one.first), _cell(one.second), one.better))
    return rows


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


def _line(rarity: Any) -> str:
    return words.rarity(rarity) if isinstance(rarity, int | float) else "beyond all it learnt"


def _cell(value: Any) -> str:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return words.amount(value)
    return {None: "–", "None": "none", "True": "yes", "False": "no"}.get(value, str(value))


def checked(gate: Mapping[str, Any]) -> str:
    listed = gate.get("checks") or ()
    return f"{sum(bool(one.get('passed')) for one in listed)} of {len(listed)}" if listed else ""
