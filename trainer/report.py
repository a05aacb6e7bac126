"""The training report: one HTML file that opens anywhere, without scripts and without the network."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trainer.fitting.facts import NormalRange, TrainFacts
from trainer.reporting import words as said
from trainer.reporting.charts import histogram, normal_range
from trainer.reporting.curves import budget_curve, precision_recall, share_bar

HERE = Path(__file__).parent
BEYOND = "beyond all seen"  # no number: nothing is extrapolated


def render_report(facts: TrainFacts) -> bytes:
    """report.html of a bundle. It names no host, device or network; every text of `facts` is escaped."""
    headline, learnt = said.headline_of(facts, _headline(facts))
    episodes, measured = said.episode_rows(facts), facts.evaluation
    curve, sweep = measured.get("budget_curve", ()), measured.get("threshold_sweep", ())
    page: str = _template().render(
        facts=facts,
        css=Markup((HERE / "report.css").read_text(encoding="utf-8")),  # noqa: S704  our own file
        headline=headline,
        lead=" ".join(text for text in (learnt, _lead(facts)) if text),
        gate=said.gate_rows(facts),
        measured=measured,
        labelled=measured.get("method") == "labels",
        metrics=said.metric_rows(facts),
        episodes=episodes,
        listed=sum(len(rows) for rows in episodes.values()),
        importance=said.importance_rows(facts),
        baselines=said.baseline_rows(facts),
        differences=said.difference_rows(facts.comparison),
        blocks=said.block_rows(facts),
        budget_chart=budget_curve(curve, facts.alert_budget) if curve else Markup(),
        pr_chart=precision_recall(sweep, measured.get("threshold", facts.threshold)) if sweep else Markup(),
        fault_chart=_fault_histogram(facts),
        share_bar=share_bar,
        share=said.share,
        figure=said.figure,
        days=_many(facts.days, "day"),
        first=_day(facts.first),
        last=_day(facts.last),
        hosts=_per_role(facts),
        unknown=_percent(facts.unknown_share),
        line=rarity(facts.rarity),
        line_why=_line_why(facts),
        histogram=_histogram(facts),
        normal=_by_role(facts.normal),
        constant=_by_role(facts.normal, moving=False),
        range_chart=lambda r: normal_range(r.low, r.middle, r.high, r.most),
        trained=_moment(facts.trained_at),
    )
    return page.encode("utf-8", "replace")


@lru_cache(maxsize=1)
def _template() -> Any:
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        count=count, plain=plain, rarity=rarity, span=span, role=lambda name: ROLES.get(name, name)
    )
    return environment.get_template("report.html.j2")


ROLES = {"ap": "access points", "station": "stations"}


def count(number: float) -> str:
    """1572030 → 1,572,030."""
    return f"{number:,.0f}"


def plain(number: float) -> str:
    """A number with as many digits as somebody reads: 12,300, 12.3, 0.0123."""
    if number != number:  # missing
        return "–"
    return f"{number:,.0f}" if abs(number) >= 1000 or number == int(number) else f"{number:.3g}"


def rarity(one_in: float | None) -> str:
    """N of "1 in N"; None is rarer than anything that was seen."""
    return BEYOND if one_in is None else f"1 in {one_in:,.0f}"


def span(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _headline(facts: TrainFacts) -> str:
    learnt = f"{facts.version} has learnt {_many(facts.days, 'day')} of {_many(sum(facts.hosts.values()), 'host')}"
    if facts.alert_budget is not None:
        incidents = "incident" if facts.alert_budget == 1 else "incidents"
        return f"{learnt}, and may raise {plain(facts.alert_budget)} {incidents} a week and host."
    return f"{learnt}, and alerts on windows that are {rarity(facts.rarity)}."


def _lead(facts: TrainFacts) -> str:
    left = sum(left.windows for left in facts.guard)
    parts = [f"Agent {facts.agent}" + (f", {facts.agent_title}" if facts.agent_title else "") + "."]
    if facts.unknown_share > 0.1:
        parts.append(f"{_percent(facts.unknown_share)} of the lines fit no pattern: this log may be of another kind.")
    if facts.days < 5:
        parts.append("Five to seven quiet days make a better teacher.")
    parts.append(f"{_many(left, 'window')} looked like an attack and were left out." if left else
                 "Nothing in it looked like an attack.")  # fmt: skip
    return " ".join(parts)


def _line_why(facts: TrainFacts) -> str:
    why = "the budget" if facts.alert_budget is not None else f"contamination {plain(facts.contamination or 0)}"
    return f"from {why}, score {facts.threshold:.3g}"


def _histogram(facts: TrainFacts) -> Markup:
    if facts.scores is None:
        return Markup()
    over = sum(n for n, edge in zip(facts.scores.counts, facts.scores.edges, strict=False) if edge >= facts.threshold)
    return histogram(
        "scores",
        facts.scores.edges,
        facts.scores.counts,
        facts.threshold,
        title="Scores of training windows, by a model that had not seen them",
        desc=f"{count(over)} of {count(sum(facts.scores.counts))} windows lie over the alert line.",
    )


def _fault_histogram(facts: TrainFacts) -> Markup:
    """Scores of the measured windows, those in known faults apart."""
    found = facts.evaluation.get("score_histogram") or {}
    if not found:
        return Markup()
    line = facts.evaluation.get("threshold", facts.threshold)
    over = [edge >= line for edge in found["edges"][:-1]]
    right = sum(n for n, is_over in zip(found["fault"], over, strict=False) if is_over)
    return histogram(
        "faults",
        found["edges"],
        found["normal"],
        line,
        title="Scores of ordinary windows and of windows in known faults",
        desc=f"{count(right)} of {count(sum(found['fault']))} windows in known faults lie over the alert line.",
        fault=found["fault"],
    )


def _by_role(normal: tuple[NormalRange, ...], moving: bool = True) -> dict[str, list[NormalRange]]:
    """The features of each role that took more than one value, or those that did not."""
    roles: dict[str, list[NormalRange]] = {}
    for each in normal:
        if (each.most > each.low) == moving:
            roles.setdefault(each.role, []).append(each)
    return roles


def _per_role(facts: TrainFacts) -> str:
    return ", ".join(f"{number} {role}" for role, number in facts.hosts.items())


def _many(number: float, what: str) -> str:
    text = plain(round(number, 1))
    return f"{text} {what}" if text == "1" else f"{text} {what}s"


def _percent(share: float) -> str:
    return "none" if share == 0 else "under 0.1 %" if share < 0.001 else f"{share * 100:.1f} %"


def _day(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%d %b %Y}"


def _moment(time_s: float) -> str:
    return f"{datetime.fromtimestamp(time_s, UTC):%d %b %Y, %H:%M}"
