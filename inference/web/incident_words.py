"""An incident in the words of the lists and of its page. Pure; hostile parts are escaped by the templates."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inference.keeping.reading import IncidentRow
from shared.values import Line, Moved, Verdict
from shared.web import charts, words
from shared.web.bundle_words import BundleWords

FINDERS = {"rule": "a rule", "model": "the model", "silence": "a pause longer than this host's longest"}
OVER = re.compile(r" \((over|taken back): ([^()]+)\)$")
FEATURES_SHOWN = 6
UNITS_SHOWN = frozenset({"s", "ms", "dBm", "Mbit/s", "kbit/s", "MHz"})  # the titles say what the others count
LINES_FIRST, LINES_LAST = 10, 4


@dataclass(frozen=True, slots=True)
class ListedIncident:
    """An incident as a row of a list."""

    id: int
    href: str
    words: str
    kind: str
    severity: str
    state: str
    host: str
    rarity: str
    by_rule: bool
    time: str
    when: str
    lasted: str
    day: str
    mark: str = ""  # "false", "confirmed" or nothing
    muted: bool = False


@dataclass(frozen=True, slots=True)
class MovedRow:
    """A feature that moved, as a row of the evidence table; `span` and `share` are finished SVG."""

    title: str
    value: str
    low: str
    high: str
    times: str
    part: str
    near: str  # the nearest normal window's figure; empty where none is kept
    span: str
    share: str


def headline(incident: IncidentRow) -> str:
    """The finding as one sentence: the first of the description without its figures, with the host if it lacks it."""
    first = _halves(incident)[0] or "something unusual happened"
    if first.startswith(incident.host):
        return first  # a host's name keeps its own letters
    return words.sentence(first if incident.host in first else f"{first} on {incident.host}")


def details(incident: IncidentRow) -> str:
    """What the headline leaves out: the figures in brackets, else the second half; empty where it says everything."""
    return _halves(incident)[1]


def why_over(incident: IncidentRow) -> str:
    """How it ended, where it was not by itself: "It counts as over: its agent was paused."; empty otherwise."""
    found = OVER.search(incident.description)
    said = {"over": "counts as over", "taken back": "was taken back"}
    return f"It {said[found[1]]}: {found[2]}." if found else ""


def _halves(incident: IncidentRow) -> tuple[str, str]:
    text = OVER.sub("", incident.description).strip().rstrip(".")
    at, opening = min(((at, each) for each in (" (", "; ", ". ") if (at := text.find(each)) >= 0), default=(-1, ""))
    if at < 0:
        return text, ""
    rest = text[at + len(opening) :]
    return text[:at], rest.removesuffix(")") if opening == " (" else rest


def found_by(finders: str) -> str:
    """Who found it: "a rule and the model together", "the model alone", "a pause longer than this host's longest"."""
    found = [said for name, said in FINDERS.items() if name in finders.split("+")]
    if len(found) == 1 and finders != "silence":
        return f"{found[0]} alone"
    return words.joined(found) + (" together" if len(found) == 2 else "") if found else "the model"


def rarity_of(incident: IncidentRow, known: BundleWords) -> str:
    """How rare its rarest window was, in words."""
    if incident.rarity is None:
        return "caught by a rule" if "rule" in incident.found_by else "never this silent in training"
    return known.rarity(incident.rarity)


def listed(incident: IncidentRow, known: BundleWords, now: float, href: str) -> ListedIncident:
    """An incident for a list."""
    recent = incident.state == "open" and 0 <= now - incident.started < words.HOUR_S
    span = incident.ended - incident.started
    return ListedIncident(
        id=incident.id,
        href=href,
        words=headline(incident),
        kind=known.kind(incident.type, incident.found_by),
        severity=incident.severity,
        state=incident.state,
        host=incident.host,
        rarity=rarity_of(incident, known),
        by_rule=incident.found_by == "rule" and incident.rarity is not None,
        time=words.clock(incident.started),
        when=f"began {words.ago(incident.started, now)}" if recent else words.moment(incident.started, now),
        lasted=f"lasted {words.lasted(span)}",
        day=words.date_of(incident.started),
        mark=incident.mark or "",
        muted=incident.muted,
    )


def peak_of(verdicts: Sequence[Verdict], kind: str) -> Verdict | None:
    """The window that shows the incident best: the strangest that is explained, of the incident's own kind if there is one.

    Its description is the incident's, so that headline and table give the same figures.
    """
    return max(
        verdicts,
        key=lambda one: (len(one.explanation) > 0, one.type == kind, one.score or 0.0, -one.window_start),
        default=None,
    )


def moved_rows(verdict: Verdict, known: BundleWords) -> list[MovedRow]:
    """The features outside their range (or, where none is, those that weigh most), the heaviest first; at most six."""
    ranked = sorted(verdict.explanation, key=lambda moved: -moved.contribution)
    outside = [moved for moved in ranked if moved.value is not None and _is_outside(moved)]
    total = sum(moved.contribution for moved in ranked if moved.contribution > 0)
    normal, near = known.normal.get(verdict.role, {}), near_values(verdict)
    return [
        _moved_row(moved, known, total, normal[moved.feature][1] if moved.feature in normal else None, near)
        for moved in (outside or ranked)[:FEATURES_SHOWN]
    ]


def near_values(verdict: Verdict) -> Mapping[str, object]:
    """The figures of the nearest normal window, by feature."""
    values = (verdict.nearest or {}).get("features")
    return values if isinstance(values, Mapping) else {}


def _moved_row(
    moved: Moved, known: BundleWords, total: float, middle: float | None, near: Mapping[str, object]
) -> MovedRow:
    figure = near.get(moved.feature)
    title, unit = known.feature(moved.feature)
    part = max(0.0, moved.contribution) / total if total > 0 else 0.0
    low, high = moved.normal_low, moved.normal_high
    drawn = moved.value is not None and low is not None and high is not None
    return MovedRow(
        title=words.sentence(title),
        value=f"{words.amount(moved.value)} {unit}"
        if unit in UNITS_SHOWN and moved.value is not None
        else words.amount(moved.value),
        low=words.amount(low),
        high=words.amount(high),
        times=_times(moved),
        part=words.percent(part),
        near=words.amount(float(figure)) if isinstance(figure, int | float) else "",
        span=charts.span(moved.value or 0.0, low or 0.0, high or 0.0, middle) if drawn else "",
        share=charts.share(part),
    )


def _is_outside(moved: Moved) -> bool:
    if moved.value is None:
        return moved.contribution > 0
    below = moved.normal_low is not None and moved.value < moved.normal_low
    return below or (moved.normal_high is not None and moved.value > moved.normal_high)


def _times(moved: Moved) -> str:
    """How far outside: "17 times the usual most", or nothing where that says nothing."""
    value, low, high = moved.value, moved.normal_low, moved.normal_high
    if value is None:
        return "nothing to measure here"
    if high is not None and value > high:
        return f"{value / high:.0f} times the usual most" if high >= 1 and value >= 2 * high else "more than usual"
    if low is not None and value < low:
        return "less than usual"
    return "inside its range, unusual with the others"


@dataclass(frozen=True, slots=True)
class ShownLines:
    """The log lines of an incident: all that are kept, and how they are cut for the page."""

    first: tuple[Line, ...]
    rest: tuple[Line, ...]
    last: tuple[Line, ...]

    @property
    def count(self) -> int:
        """All lines kept."""
        return len(self.first) + len(self.rest) + len(self.last)


def shown_lines(verdicts: Iterable[Verdict]) -> ShownLines:
    """The kept lines of all windows in order of time, without repeats: ten, the rest to unfold, the last four."""
    lines = sorted({line for verdict in verdicts for line in verdict.lines}, key=lambda line: line.time)
    if len(lines) <= LINES_FIRST + LINES_LAST + 2:
        return ShownLines(tuple(lines), (), ())
    return ShownLines(tuple(lines[:LINES_FIRST]), tuple(lines[LINES_FIRST:-LINES_LAST]), tuple(lines[-LINES_LAST:]))
