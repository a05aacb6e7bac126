"""What was measured, in the words and rows of the report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.agent import UNUSUAL
from trainer.fitting.facts import TrainFacts
from trainer.gate import WORDS

TOP_FEATURES = 12
MOST_LISTED = 60


@dataclass(frozen=True)
class EpisodeRow:
    """A known fault in the list. state: found, missed, or invisible."""

    title: str
    host: str
    began: str
    lasted: str
    state: str
    delay: str
    called: str
    right: bool | None
    why: tuple[str, ...]
    lines: tuple[str, ...]


@dataclass(frozen=True)
class GateRow:
    """One check of the gate."""

    words: str
    bound: str
    value: str
    passed: bool
    note: str


def headline_of(facts: TrainFacts, learnt: str) -> tuple[str, str]:
    """(the first line, what it leaves out): what it finds where that was measured, else what it has learnt."""
    metrics = facts.evaluation.get("metrics", {})
    if "episodes" not in metrics or not metrics["episodes"]:
        return learnt, ""
    what = "known attacks and faults" if facts.evaluation.get("method") == "labels" else "injected faults"
    rate = figure(metrics.get("false_incidents_per_host_week", 0))
    found = f"{facts.version} finds {metrics['episodes_found']:.0f} of {metrics['episodes']:.0f} {what}"
    return f"{found}, at {rate} false incidents a week and host.", learnt


def gate_rows(facts: TrainFacts) -> list[GateRow]:
    """The gate's checks as sentences."""
    rows = []
    for check in facts.gate.get("checks", ()):
        least = check.get("at_least")
        bound = f"at least {share(least)}" if least is not None else f"at most {figure(check['at_most'])}"
        value = check["value"]
        said = "not measured" if value is None else share(value) if least is not None else figure(value)
        note = "" if check["note"] == "not measured" else check["note"]
        rows.append(GateRow(WORDS.get(check["metric"], check["metric"]), bound, said, check["passed"], note))
    return rows


def metric_rows(facts: TrainFacts) -> list[tuple[str, str]]:
    """All other figures that were measured."""
    checked = {check["metric"] for check in facts.gate.get("checks", ())}
    names = {**WORDS, "test_false_incidents_per_host_week": "False incidents, the last days",
             "validation_false_incidents_per_host_week": "False incidents, the days before"}  # fmt: skip
    rows = []
    for name, value in facts.evaluation.get("metrics", {}).items():
        if name not in checked and isinstance(value, (int, float)) and name not in _COUNTS:
            shared = "incidents" not in name and "delay" not in name
            said = share(value) if shared else f"{value:.0f} s" if name.endswith("_s") else figure(value)
            rows.append((names.get(name, name.replace("_", " ")), said))
    order = list(names.values())
    return sorted(rows, key=lambda row: (order.index(row[0]) if row[0] in order else len(order), row[0]))


_COUNTS = {"episodes", "episodes_found", "false_incidents", "host_weeks"}


def episode_rows(facts: TrainFacts) -> dict[str, list[EpisodeRow]]:
    """state → episodes, in the order of time; those that were missed first."""
    titles = {feature.feature: feature.title for feature in facts.normal}
    found: dict[str, list[EpisodeRow]] = {"missed": [], "invisible": [], "found": []}
    for one in sorted(facts.evaluation.get("episodes", ()), key=lambda one: one["start"]):
        state = "found" if one["found"] else "invisible" if one["visible"] is False else "missed"
        if len(found[state]) < MOST_LISTED:
            found[state].append(_episode(one, state, titles, facts.evaluation.get("threshold", facts.threshold)))
    return found


def _nearly(one: Mapping[str, Any], state: str, line: float) -> tuple[str, ...]:
    """How far a missed one was from the line."""
    if state != "missed":
        return ()
    if one["score"] is None:
        return ("no line of it came into a window",)
    rare = "" if one["rarity"] is None else f", 1 in {one['rarity']:,.0f}"
    return (f"strangest window: score {one['score']:.3f}{rare}; the line is {line:.3f}",)


def _episode(one: Mapping[str, Any], state: str, titles: Mapping[str, str], line: float) -> EpisodeRow:
    return EpisodeRow(
        title=one["title"],
        host=f"{one['host']}{', ' + one['role'] if one['role'] else ''}",
        began=f"{datetime.fromtimestamp(one['start'], UTC):%a %d %b %H:%M}",
        lasted=f"{max(1, round((one['end'] - one['start']) / 60))} min",
        state=state,
        delay="" if one["delay_s"] is None else f"{one['delay_s'] / 60:.0f} min",
        called=", ".join(name.replace("_", " ") for name in one["said"] if name != UNUSUAL)
        or ("unusual" if one["said"] else ""),
        right=one["named"],
        why=tuple(_moved(moved, titles) for moved in one["moved"]) or _nearly(one, state, line),
        lines=tuple(one["lines"]),
    )


def _moved(moved: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    name = str(moved["feature"])
    if name == "silence_s":
        return f"Not a line for {moved['value'] / 60:.0f} min, usually at most {moved['normal_high'] / 60:.0f}"
    base, _, rest = name.rpartition("_")
    long = rest.endswith("min") and rest[:-3].isdigit()
    title = titles.get(name) or (titles.get(base) if long else None) or name.replace("_", " ")
    when = f" in {rest[:-3]} min" if long else ""
    value, high = moved["value"], moved["normal_high"]
    limit = "" if high is None else f", usually at most {figure(high)}"
    return f"{title}{when}: {figure(value) if value is not None else '–'}{limit}"


def importance_rows(facts: TrainFacts) -> dict[str, list[Mapping[str, Any]]]:
    """role → its features that carry most of the score in known faults."""
    roles: dict[str, list[Mapping[str, Any]]] = {}
    for one in facts.evaluation.get("feature_importance", ()):
        if one["share"] > 0 or one["drop"] > 0:
            roles.setdefault(one["role"], []).append(one)
    return {role: rows[:TOP_FEATURES] for role, rows in roles.items()}


def baseline_rows(facts: TrainFacts) -> list[tuple[str, str, str, str]]:
    """(detector, found, precision, recall) of the model and the trivial ones beside it."""
    metrics, others = facts.evaluation.get("metrics", {}), facts.evaluation.get("baselines", ())
    if not others or "precision" not in metrics:
        return []
    shown = [one for one in facts.evaluation.get("episodes", ()) if one["visible"] is True]
    found = f"{sum(one['found'] for one in shown)} of {len(shown)}" if shown else ""
    mine = ("This model with its rules", found, share(metrics["precision"]), share(metrics["recall"]))
    return [mine, *((one["title"], _found(one), share(one["precision"]), share(one["recall"])) for one in others)]


def _found(one: Mapping[str, Any]) -> str:
    return f"{one['episodes_found']} of {one['episodes']}"


def difference_rows(comparison: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """(host and time, what the active model says, what this one says, "new" or "gone") of windows that differ."""
    rows = []
    for one in comparison.get("differences", ()):
        began = datetime.fromisoformat(one["window_start"].replace("Z", "+00:00"))
        old, new = one["old"], one["new"]
        rows.append(
            (f"{one['host']}, {began:%a %d %b %H:%M}", _says(old), _says(new), "new" if new["is_anomaly"] else "gone")
        )
    return rows


def _says(said: Mapping[str, Any]) -> str:
    rare = "nothing" if said["rarity"] is None else f"1 in {said['rarity']:,.0f}"
    return f"{rare}, {said['type'].replace('_', ' ')}" if said["is_anomaly"] and said["type"] else rare


def block_rows(facts: TrainFacts) -> Sequence[Mapping[str, Any]]:
    """Cross-validation by day."""
    rows: Sequence[Mapping[str, Any]] = facts.evaluation.get("cross_validation", ())
    return rows


def share(value: float) -> str:
    """0.914 → 91.4 %; whole shares without a fraction."""
    return f"{value * 100:.0f} %" if abs(value * 100 - round(value * 100)) < 0.05 else f"{value * 100:.1f} %"


def figure(value: float) -> str:
    """A number with as many digits as somebody reads."""
    return (
        f"{value:,.0f}"
        if abs(value) >= 100 or value == int(value)
        else f"{value:.2g}"
        if abs(value) < 10
        else f"{value:.1f}"
    )
