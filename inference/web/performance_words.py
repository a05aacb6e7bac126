"""The page of drift and performance as values: the finding, the facts, each feature's drift, time and memory."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from markupsafe import Markup

from inference.keeping import reading as read
from inference.watching import drifting
from inference.watching.drifting import DriftReport, FeatureDrift
from inference.watching.report import PerformanceLimits, Summary, summary
from inference.web import machine_charts
from shared.web import charts, curves, words
from shared.web.bundle_words import BundleWords
from shared.web.fact import Fact

HOST_DAYS = 14
WORDS = {
    "steady": ("steady", "ok", "s-ok"),
    "watch": ("watch", "mid", "s-mid"),
    "drifted": ("drifted", "high", "s-high"),
    "unknown": ("too few windows", "", "s-off"),
}
ALARMING = (drifting.WATCH, drifting.DRIFTED)
SHOWN = 10


@dataclass(frozen=True, slots=True)
class DriftRow:
    """One feature of one role as a row; `bar` is finished SVG."""

    title: str
    role: str
    psi: str
    ks: str
    then: str
    now: str
    word: tuple[str, str, str]
    bar: Markup


@dataclass(frozen=True, slots=True)
class HostDays:
    """A host's anomalous windows day by day."""

    host: str
    count: int
    svg: Markup


@dataclass(frozen=True, slots=True)
class PerformanceView:
    """The page for one version."""

    agent: str
    version: str
    is_active: bool
    headline: str
    lead: str
    facts: tuple[Fact, ...]
    summary: Summary
    drift: DriftReport | None
    first: tuple[DriftRow, ...]
    rest: tuple[DriftRow, ...]
    scores: tuple[tuple[str, Markup], ...]
    cycles: Markup
    memory: Markup
    hosts: tuple[HostDays, ...]
    measured: str


def view(
    db: sqlite3.Connection,
    agent: str,
    version: str,
    is_active: bool,
    known: BundleWords,
    limits: PerformanceLimits,
    now: float,
) -> PerformanceView:
    """Gather and word it."""
    told, found = summary(db, agent, version, limits, now), drifting.newest(db, agent, version)
    rows = [_row(one, known, found) for one in found.features] if found and found.worst is not None else []
    top = next((n for n, row in enumerate(rows) if n >= SHOWN and row.word[0] not in ALARMING), len(rows))
    return PerformanceView(
        agent=agent, version=version, is_active=is_active, headline=_headline(found, told), lead=_lead(found, now),
        facts=tuple(_facts(told, found, limits, now)), summary=told, drift=found, first=tuple(rows[:top]),
        rest=tuple(rows[top:]), scores=_scores(found), cycles=machine_charts.cycles(db, now),
        memory=machine_charts.memory(db, limits, now),
        hosts=tuple(_hosts(db, agent, now)), measured=words.ago(found.at, now) if found else "",
    )  # fmt: skip


def _headline(found: DriftReport | None, told: Summary) -> str:
    if found is None:
        return "Drift has not been measured yet."
    if found.word == "unknown":
        return "There are too few windows yet to speak of drift."
    drifted, watched = _count(found, "drifted"), _count(found, "watch")
    if drifted:
        return f"The log has moved away from what the model learnt: {words.counted(drifted, 'measure')} drifted."
    if watched:
        return f"The log still looks like what the model learnt. {words.sentence(words.counted(watched, 'measure'))} to watch."
    warned = " One thing is over its limit." if told.warnings else ""
    return f"The log looks like what the model learnt.{warned}"


def _count(found: DriftReport, word: str) -> int:
    return sum(one.word == word for one in (*found.features, *found.scores))


def _lead(found: DriftReport | None, now: float) -> str:
    if found is None:
        return "It is measured every hour once windows are judged, or at once with the button below."
    if not found.windows:
        least = f"a word takes {found.least} normal windows of access points or of stations"
        return f"No normal window was judged since this version serves; {least}."
    days = (found.at - found.since) / words.DAY_S
    span = f"{days:.0f} days" if days >= 1.5 else f"{days * 24:.0f} hours"
    return (
        f"Compared: {words.figure(found.windows, 'normal window')} of {span} up to {words.moment(found.at, now)},"
        " and training's."
    )


def _facts(told: Summary, found: DriftReport | None, limits: PerformanceLimits, now: float) -> list[Fact]:
    rate = told.anomaly_rate_24h if told.anomaly_rate_24h is not None else told.anomaly_rate
    return [
        _features_fact(found),
        _scores_fact(found),
        Fact(
            "Data quality", f"{words.plain_share(found.known)} known" if found and found.known is not None else "Not measured",
            f"lines a pattern knows; {words.plain_share(found.known_then)} in training"
            if found and found.known_then is not None
            else "lines a pattern knows",
        ),
        Fact(
            "Anomalous windows", words.share(rate, 2 if rate < 0.1 else 0) if rate is not None else "None judged",
            f"of {told.windows_24h or told.windows:,}, limit {words.percent(limits.anomaly_rate)}"
            if rate is not None
            else f"since it serves; limit {words.percent(limits.anomaly_rate)}",
            "mid" if rate is not None and rate > limits.anomaly_rate else "",
        ),
        Fact(
            "Time for a window", f"{told.inference_ms:.2g} ms" if told.inference_ms is not None else "Not measured",
            f"limit {limits.latency_ms:g} ms",
            "mid" if told.inference_ms is not None and told.inference_ms > limits.latency_ms else "",
        ),
        _memory_fact(told, limits),
        Fact(
            "False alarms", f"{told.marked_false} of {told.marked}" if told.marked else "None marked",
            f"by your marks; {words.figure(told.incidents, 'incident')} in 7 days",
        ),
    ]  # fmt: skip


def _memory_fact(told: Summary, limits: PerformanceLimits) -> Fact:
    note = f"limit {limits.memory_mb:g} MB"
    if told.cpu_share is not None:
        note += f"; {words.share(told.cpu_share, 0 if told.cpu_share >= 0.1 else 2)} of a core"
    if told.memory_mb is None:
        return Fact("Memory", "Not measured", note)
    return Fact("Memory", f"{told.memory_mb:.0f} MB", note, "mid" if told.memory_mb > limits.memory_mb else "")


def _features_fact(found: DriftReport | None) -> Fact:
    spoken = [one for one in found.features if one.word != "unknown"] if found else []
    if found is None or not spoken:
        return Fact(
            "Features",
            "Too few windows" if found else "Not measured",
            f"it takes {found.least} of a role" if found else "",
        )
    steady = sum(one.word == "steady" for one in spoken)
    watched, drifted = (sum(one.word == word for one in spoken) for word in ("watch", "drifted"))
    sign = "high" if drifted else "mid" if watched else "ok"
    return Fact("Features", f"{steady} of {len(spoken)} steady", f"{watched} to watch, {drifted} drifted", sign)


def _scores_fact(found: DriftReport | None) -> Fact:
    if found is None or found.score is None:
        return Fact("Scores", "Too few windows" if found else "Not measured", "")
    word = "drifted" if found.score >= found.drifted else "watch" if found.score >= found.watch else "steady"
    sign = {"drifted": "high", "watch": "mid", "steady": "ok"}[word]
    return Fact("Scores", words.sentence(word), f"drift {found.score:.2f}, limit {found.drifted:g}", sign)


def _row(one: FeatureDrift, known: BundleWords, found: DriftReport | None) -> DriftRow:
    assert found is not None
    title, unit = known.feature(one.name)
    return DriftRow(
        title=words.sentence(title), role=words.role(one.role), psi="–" if one.psi is None else f"{one.psi:.2f}",
        ks="–" if one.ks is None else f"{one.ks:.2f}", then=_span(one.then, unit), now=_span(one.now, unit),
        word=WORDS[one.word],
        bar=Markup(curves.drift(one.psi or 0.0, found.watch, found.drifted)),  # noqa: S704  made here
    )  # fmt: skip


def _span(figures: tuple[float, float] | None, unit: str) -> str:
    if figures is None:
        return "none"
    low, high = (words.amount(value) for value in figures)
    return low if low == high else f"{low} to {high}"


def _scores(found: DriftReport | None) -> tuple[tuple[str, Markup], ...]:
    """For each role the scores' quantiles now beside those of training; higher is stranger."""
    charts_of = []
    for role, then, now in found.curves if found else ():
        top = 1.1 * max([*then, *now])
        floor = 0.9 * min([*then, *now])
        shown = [
            curves.Curve(cls, [value - floor for value in values]) for cls, values in (("l-oth", then), ("l-acc", now))
        ]
        marks = [(part * (top - floor), f"{floor + part * (top - floor):.2f}") for part in (0.0, 0.5)]
        svg = curves.lines(
            f"scores-{role}", shown, top=top - floor, marks=marks,
            ticks=[charts.Tick(0, "most usual"), charts.Tick(10, "middle"), charts.Tick(20, "strangest")],
            title=f"Scores of {words.role(role)} now and in training",
            desc=f"The middle is {now[10]:.3f}, in training {then[10]:.3f}; the highest {now[-1]:.3f} and {then[-1]:.3f}.",
        )  # fmt: skip
        charts_of.append((role, Markup(svg)))  # noqa: S704  curves escape their texts
    return tuple(charts_of)


def _hosts(db: sqlite3.Connection, agent: str, now: float) -> list[HostDays]:
    """Anomalous windows a day of each host, loud hosts first, on one scale."""
    begin = (now // words.DAY_S - HOST_DAYS + 1) * words.DAY_S
    counts: dict[str, list[int]] = {
        row.host: [0] * HOST_DAYS for row in read.hosts(db, since=now) if row.agent == agent
    }
    query = (
        "SELECT host, CAST((window_end - ?) / 86400 AS INTEGER), count(*) FROM verdicts"
        " WHERE is_anomaly = 1 AND incident_id IS NOT NULL AND +agent = ? AND +window_end >= ? GROUP BY 1, 2"
    )
    for host, day, count in db.execute(query, (begin, agent, begin)):
        if 0 <= day < HOST_DAYS:
            counts.setdefault(host, [0] * HOST_DAYS)[day] = count
    top = max((count for days in counts.values() for count in days), default=0)
    found = [
        HostDays(
            host, sum(days),
            Markup(curves.spark(days, top, f"{host}: {sum(days)} in {HOST_DAYS} days", [n for n, c in enumerate(days) if c])),  # noqa: S704
        )
        for host, days in counts.items()
    ]  # fmt: skip
    return sorted(found, key=lambda each: (-each.count, each.host))
