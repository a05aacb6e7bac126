"""Everything that the page of one incident shows, as one value."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from inference.keeping import charts as state_charts
from inference.keeping import reading as read
from inference.said import marks, mutes
from inference.said.marks import Mark
from inference.said.mutes import Mute
from inference.web import incident_words as say
from shared.clean import clean
from shared.values import Verdict
from shared.web import charts, words
from shared.web.bundle_words import BundleWords, RuleWords
from shared.web.fact import Fact
from shared.web.visible import is_hostile

AROUND_S = 90 * 60
SLOT_S = 300.0
SLOTS_MOST = 600
TOGETHER_S = 600.0


@dataclass(frozen=True)
class IncidentView:
    """The page of one incident."""

    incident: read.IncidentRow
    headline: str
    lead: str
    kind: str
    facts: tuple[Fact, ...]
    moved: tuple[say.MovedRow, ...]
    window: str
    has_middle: bool
    lines: say.ShownLines
    is_hostile: bool
    chart: Markup
    helps: tuple[str, ...]
    found: tuple[tuple[str, str], ...]
    together: tuple[say.ListedIncident, ...]
    mark: Mark | None
    mark_words: str
    mutes: tuple[tuple[Mute, str], ...]
    nearest: str
    has_telling: bool


def view(
    db: sqlite3.Connection, detail: read.IncidentDetail, known: BundleWords, now: float, link: Callable[[int], str]
) -> IncidentView:
    """Gather and word it. `link` gives the address of another incident."""
    row, verdicts = detail.incident, detail.verdicts
    mark = marks.of_incident(db, row.id, now)
    peak = say.peak_of(verdicts, row.type)
    lines = say.shown_lines(verdicts)
    moved = tuple(say.moved_rows(peak, known)) if peak else ()
    others = [
        other
        for other in read.incidents(db, since=row.started - TOGETHER_S, limit=500)
        if other.id != row.id and other.started <= row.ended + TOGETHER_S
    ]
    together = tuple(say.listed(other, known, now, link(other.id)) for other in others[:10])
    rule = known.advice(row.type, row.found_by)
    return IncidentView(
        incident=row,
        headline=say.headline(row),
        lead=_lead(row),
        kind=known.kind(row.type, row.found_by),
        facts=_facts(row, known, [other.host for other in others], verdicts, now),
        moved=moved,
        window=f"{row.host}, window {words.clock(peak.window_start)} to {words.clock(peak.window_end)}" if peak else "",
        has_middle=bool(peak and known.normal.get(peak.role)),
        lines=lines,
        is_hostile=any(is_hostile(line.message) for line in (*lines.first, *lines.rest, *lines.last)),
        chart=_chart(db, row, known, link),
        helps=rule.helps if rule else (),
        found=_found(row, verdicts, rule, known),
        together=together,
        mark=mark,
        mark_words=_mark_words(mark, now) if mark else "",
        mutes=tuple((one, words.moment(one.until, now)) for one in mutes.mutes(db, now) if _covers(one, row)),
        nearest=_nearest(peak) if peak else "",
        has_telling=any(line.telling for line in (*lines.first, *lines.rest, *lines.last)),
    )


def _mark_words(mark: Mark, now: float) -> str:
    said = "it was real" if mark.mark == marks.CONFIRMED else "it was a false alarm"
    return f"{said}, {words.moment(mark.at, now)}; this counts until {words.day(mark.expires)}"


def _covers(one: Mute, row: read.IncidentRow) -> bool:
    return one.agent == row.agent and one.type == row.type and one.host in (None, row.host)


def _nearest(peak: Verdict) -> str:
    """Which normal window of training is the most alike, in words."""
    near = peak.nearest
    if not near:
        return ""
    whose = "this host" if near.get("host") == "this" else "another host"
    when = clean(str(near.get("when") or ""), 60)
    return f"The most alike among training's windows is one of {whose}{f', {when}' if when else ''}."


def _lead(row: read.IncidentRow) -> str:
    """What the headline left out (the figures in brackets, the second half), how long, and whether it goes on."""
    told = say.details(row)
    over = f"in {words.counted(row.windows, 'window')} over {words.lasted(row.ended - row.started)}"
    seen = f"Seen {over if row.windows > 1 else 'in one window'}."
    state = "It may still go on." if row.state == "open" else say.why_over(row) or "It has ended."
    return f"{words.sentence(told)}. {seen} {state}" if told else f"{seen} {state}"


def _facts(
    row: read.IncidentRow, known: BundleWords, others: Sequence[str], verdicts: Sequence[Verdict], now: float
) -> tuple[Fact, ...]:
    sample = f"of {known.sample:,} normal windows" if known.sample else "among normal windows"
    beyond = known.is_beyond(row.rarity)
    hosts = sorted(set(others) - {row.host})
    also = f"also on {', '.join(hosts[:3])}" + (f" and {len(hosts) - 3} more" if len(hosts) > 3 else "")
    rows = sum(verdict.rows for verdict in verdicts)
    span = f"for {words.lasted(row.ended - row.started)}, {words.figure(row.windows, 'window')}"
    return (
        Fact("When", f"{words.day(row.started)}, {words.clock(row.started)}", span),
        Fact("Where", row.host, also if hosts else "no other host at that time"),
        Fact(
            "How rare",
            words.sentence(say.rarity_of(row, known)),
            "beyond everything it learnt from"
            if beyond
            else (
                "no pause it learnt from was as long"
                if "silence" in row.found_by
                else "the rule fires however rare it is"
            )
            if row.rarity is None
            else sample,
        ),
        Fact("How sure", words.percent(row.confidence), say.found_by(row.found_by)),
        Fact("How much", words.figure(rows, "log line"), "in the windows concerned"),
    )


def _chart(db: sqlite3.Connection, row: read.IncidentRow, known: BundleWords, link: Callable[[int], str]) -> Markup:
    """The host's windows from an hour and a half before to as long after."""
    start = math.floor((row.started - AROUND_S) / SLOT_S) * SLOT_S
    end = min(math.ceil((row.ended + AROUND_S) / SLOT_S) * SLOT_S, start + SLOTS_MOST * SLOT_S)
    slots = round((end - start) / SLOT_S)
    values: list[float | None] = [None] * slots
    loud = set()
    for point in state_charts.timeline(db, row.agent, row.host, start, end):
        for slot in range(
            _slot(point.window_start, start), max(_slot(point.window_start, start) + 1, _slot(point.window_end, start))
        ):
            if 0 <= slot < slots:
                drawn = known.height(point.rarity, point.is_anomaly)
                values[slot] = max(values[slot] or 1.0, drawn)
                loud |= {slot} if point.is_anomaly else set()
    step = max(1, round(slots / 4 / 12)) * 12
    ticks = [charts.Tick(slot, words.clock(start + slot * SLOT_S)) for slot in range(0, slots, step)]
    band = charts.Band(
        str(row.id),
        _slot(row.started, start),
        max(_slot(row.ended, start), _slot(row.started, start) + 1),
        words.severity_class(row.severity),
        say.headline(row),
        link(row.id),
    )
    svg = charts.timeline(
        "host",
        values,
        loud=loud,
        threshold=known.threshold,
        sample=known.sample,
        incidents=[band],
        ticks=ticks,
        height=220,
        title=f"How unusual {row.host} was before, during and after",
        desc=f"{words.sentence(words.counted(len(loud), 'slot'))} of {slots} hold an anomaly.",
    )
    return Markup(svg)  # noqa: S704  charts escape their texts


def _slot(time_s: float, start: float) -> int:
    return int((time_s - start) // SLOT_S)


def _found(
    row: read.IncidentRow, verdicts: Sequence[Verdict], rule: RuleWords | None, known: BundleWords
) -> tuple[tuple[str, str], ...]:
    """How Pipit found it, as terms and words."""
    found = [("Found by", words.sentence(say.found_by(row.found_by)))]
    if rule is not None:
        found.append(("Kind", f"{rule.title} ({row.type})"))
    line = f"; alert line 1 in {known.threshold:,.0f}" if known.threshold else ""
    if verdicts:
        found.append(("Model", f"{row.agent} {verdicts[-1].model_version}{line}"))
    found.append(
        ("Windows", f"{words.figure(row.windows, 'window')} over the line; the worst at {words.clock(row.peak)}")
    )
    found.append(("Key", row.key))
    return tuple(found)
