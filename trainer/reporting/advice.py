"""What to do about it: recommendations that follow from what training and evaluation found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trainer.fitting.facts import TrainFacts

FEW_DAYS = 5.0
MUCH_UNKNOWN = 0.05
MUCH_LEFT_OUT = 0.05
FEW_WINDOWS = 300
MANY_FALSE, MUCH_FALSE = 3, 0.5  # incidents, and incidents a week and host


def advice(facts: TrainFacts) -> tuple[str, ...]:
    """Sentences, the weightiest first; empty where there is nothing to do."""
    return (*_gate(facts), *_threshold(facts), *_worth(facts), *_data(facts))


def _gate(facts: TrainFacts) -> Iterator[str]:
    if not facts.gate.get("passed", True):
        yield (
            f"The gate was missed: {facts.gate.get('reason')}. `ship` refuses this version without --force; "
            "the version before keeps serving."
        )


def _threshold(facts: TrainFacts) -> Iterator[str]:
    """Where the alert line should lie. A larger contamination or budget means more alarms, never fewer."""
    metrics: Mapping[str, Any] = facts.evaluation.get("metrics", {})
    false, recall = metrics.get("false_incidents_per_host_week"), metrics.get("episode_recall")
    if facts.contamination is not None:
        yield (
            f"contamination {facts.contamination:g} puts that share of ordinary windows over the line. Lower it for fewer "
            "alarms, raise it for more; detection.alert_budget asks for incidents a week instead and is easier to live with."
        )
        return
    curve: Sequence[Mapping[str, Any]] = facts.evaluation.get("budget_curve", ())
    yield from _alarms(facts, false)
    now = next((row for row in curve if row["budget"] == facts.alert_budget), None)
    if now is None or false is None or recall is None:
        return
    better = [row for row in curve if row["found"] > now["found"] and row["budget"] > now["budget"]]
    if better:
        more = better[0]
        yield (
            f"A budget of {more['budget']:g} would have found {more['found']} of {more['episodes']} instead of "
            f"{now['found']}, at {more['false_incidents_per_host_week']:.2g} false incidents a week and host instead of "
            f"{now['false_incidents_per_host_week']:.2g}."
        )
    quieter = [
        row for row in curve
        if row["budget"] < now["budget"] and row["found"] >= now["found"]
        and row["false_incidents_per_host_week"] < now["false_incidents_per_host_week"]
    ]  # fmt: skip
    if quieter:
        less = min(quieter, key=lambda row: (row["false_incidents_per_host_week"], -row["budget"]))
        yield (
            f"A budget of {less['budget']:g} would have found as much with fewer false incidents "
            f"({less['false_incidents_per_host_week']:.2g} instead of {now['false_incidents_per_host_week']:.2g} a week and host)."
        )


def _alarms(facts: TrainFacts, false: float | None) -> Iterator[str]:
    """Who cries wolf: rules do not keep to the budget, so they are told apart."""
    alarms: Sequence[Mapping[str, Any]] = facts.evaluation.get("false_alarms", ())
    total = sum(one["incidents"] for one in alarms)
    if not alarms or total < MANY_FALSE or false is None or false <= MUCH_FALSE:
        return
    most = alarms[0]
    name, by = (
        most["type"].replace("_", " "),
        "a rule, which keeps to no budget" if most["by"] == "rule" else "the model",
    )
    hosts = "one host" if most["hosts"] == 1 else f"{most['hosts']} hosts"
    yield (
        f"{false:.2g} false incidents a week and host are many. {most['incidents']} of {total} were called {name}, by {by}, "
        f"at {hosts}: look whether these are real, and name them with --labels if they are."
    )


def _worth(facts: TrainFacts) -> Iterator[str]:
    episodes: Sequence[Mapping[str, Any]] = facts.evaluation.get("episodes", ())
    missed = Counter(one["title"] for one in episodes if not one["found"] and one["visible"] is not False)
    if missed:
        named = ", ".join(f"{title.lower()} ({count})" for title, count in missed.most_common(4))
        yield f"Missed: {named}. Look at them below before you rely on the model for these."
    own = facts.evaluation.get("metrics", {}).get("average_precision")
    for other in facts.evaluation.get("baselines", ()):
        reached = other.get("average_precision")
        if own is not None and reached is not None and reached > own + 0.02:
            yield (
                f"A trivial detector ranks better than the model here ({other['title'].lower()}: average precision "
                f"{reached:.2f} against {own:.2f}). Rules make up for it; more days, or `pipit-trainer tune`, may help the model."
            )
            break


def _data(facts: TrainFacts) -> Iterator[str]:
    if facts.days < FEW_DAYS:
        yield f"Train again with {FEW_DAYS:g} to 7 days: {facts.days:.1f} days show too little of a week's rhythm."
    if facts.unknown_share > MUCH_UNKNOWN:
        yield (
            f"{facts.unknown_share:.0%} of the lines fit no pattern. `pipit-trainer validate` shows their shapes; patterns for "
            "them in an agent file of your own let the model see more."
        )
    left, learnt = sum(one.windows for one in facts.guard if one.feature != "labels"), sum(facts.windows.values())
    if left > MUCH_LEFT_OUT * (left + learnt):
        yield (
            f"{left} windows looked like an attack and were not learnt. If they are everyday life here, --set "
            "detection.guard=false learns them; if they were attacks, --labels says so for good."
        )
    thin = [role for role, count in facts.windows.items() if count < FEW_WINDOWS]
    if thin:
        yield f"Few windows of {', '.join(thin)}: what is normal there is a guess until there are more."
    if facts.evaluation.get("method") != "labels" and facts.evaluation.get("episodes"):
        yield (
            "These figures come from injected faults. With known episodes of your own (--labels), they say more about your network."
        )
