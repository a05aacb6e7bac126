"""Charts over time and small bars, as inline SVG made on the server: no scripts, no style attributes.

Colours come from classes in pipit.css. The outer <svg> has no viewBox, so its text keeps its size on every screen and x
positions are percentages; the plot is a nested <svg> stretched to the box. Every chart has a title and a desc that say
the finding in words. All texts are escaped here: callers pass plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape as escape_html
from math import isfinite, log1p, log10

from shared.clean import clean

TOP_DECADES = 6.0  # the timeline ends at 1 in a million
MARKERS_APART = 6.0  # per cent of the width; closer ones are left to the list beside the chart
ABOVE = 22  # px above the plot, for the numbered markers
BELOW = 24  # px below it, for the times
TEXT_APART = 32  # px between the alert line, whose text stands below it, and a text above another line


@dataclass(frozen=True, slots=True)
class Band:
    """An incident on a timeline: from and to in slots, severity class (high, mid, low), what it was, where it leads."""

    label: str
    start: float
    end: float
    severity: str
    words: str
    href: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A text under the axis; `wide_only` ones are left out on a phone, where they would touch their neighbours."""

    slot: float
    text: str
    wide_only: bool = False


def escape(text: str) -> str:
    """A text for an element or an attribute; a host's name may be anybody's, so it is cleaned as well."""
    return escape_html(clean(text, 400))


def open_chart(name: str, height: int, title: str, desc: str, role: str = "img") -> str:
    """The outer element with its title and description; `name` makes the ids unique on a page."""
    return (
        f'<svg class="chart" width="100%" height="{height}" role="{role}" aria-labelledby="{name}t {name}d">'
        f'<title id="{name}t">{escape(title)}</title><desc id="{name}d">{escape(desc)}</desc>'
    )


def short(value: float) -> str:
    """A coordinate in as few characters as it needs."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def bars(points: Iterable[tuple[float, float]]) -> str:
    """[(x, y)], y from 0 (top) to 100, as one path of bars one slot wide: many bars, one element."""
    return "".join(f"M{short(x + 0.12)} 100V{short(y)}h.76V100z" for x, y in points)


def timeline(
    name: str,
    values: Sequence[float | None],
    *,
    title: str,
    desc: str,
    loud: Collection[int] = (),
    threshold: float | None = None,
    sample: float | None = None,
    incidents: Sequence[Band] = (),
    ticks: Sequence[Tick] = (),
    marks: Sequence[tuple[float, str]] = (),
    height: int = 270,
) -> str:
    """How rare the rarest window of each slot was, logarithmic; an empty slot (None) stays empty.

    values: N of "1 in N" per slot. loud: the slots that hold an anomaly. threshold: the alert line. sample: windows
    seen in training; the shaded top is rarer than all of them, and no precision is invented there. marks: dotted lines,
    such as a change of model.
    """
    slots, plot = max(1, len(values)), height - ABOVE - BELOW
    across, down = _across(slots), _rarity_down(plot)
    known = [(slot, _height(one_in)) for slot, one_in in enumerate(values) if one_in is not None]
    alarms = frozenset(loud)
    parts = [open_chart(name, height, title, desc, "group" if incidents else "img")]
    if sample is not None:
        parts.append(f'<rect class="f-soft" width="100%" y="{ABOVE}" height="{down(sample) - ABOVE:.1f}"/>')
    parts += [_rule("grid", down(n)) for n in (10, 100, 1000)]
    parts += [_band(band, across, plot) for band in incidents]
    parts.append(
        f'<svg x="0" y="{ABOVE}" width="100%" height="{plot}" viewBox="0 0 {slots} 100" preserveAspectRatio="none"'
        f' aria-hidden="true"><path class="q" d="{bars(bar for bar in known if bar[0] not in alarms)}"/>'
        f'<path class="f-high" d="{bars(bar for bar in known if bar[0] in alarms)}"/></svg>'
    )
    for slot, text in marks:
        parts.append(
            f'<line class="axis" x1="{across(slot):.2f}%" x2="{across(slot):.2f}%" y1="{ABOVE}"'
            f' y2="{ABOVE + plot}" stroke-dasharray="2 3"/><text class="halo" x="{across(slot):.2f}%" dx="5"'
            f' y="{ABOVE + plot - 8}">{escape(text)}</text>'
        )
    line = down(threshold) if threshold is not None else -TEXT_APART
    parts += [_on_rule("halo", down(n) - 4, f"1 in {n:,}") for n in (10, 100, 1000) if down(n) - line > TEXT_APART]
    if sample is not None:
        parts.append(f'<text x="6" y="{ABOVE + 15}">rarer than anything learnt</text>')
    if threshold is not None:
        parts += [
            _rule("thr", down(threshold)),
            _on_rule("halo thrt", down(threshold) + 14, f"alert above 1 in {threshold:,.0f}"),
        ]
    parts.append(_rule("axis", ABOVE + plot))
    parts += [_tick(across(tick.slot), tick, height - 6) for tick in ticks]
    parts += _markers(incidents, across)
    return "".join(parts) + "</svg>"


def strip(levels: Sequence[int | None], label: str) -> str:
    """One host's day: a cell a slot, level 1 (no rows) to 5; 4 and 5 hold an anomaly and are taller. None: gap."""
    box = f"0 0 {max(1, len(levels))} 20"
    parts = [f'<svg viewBox="{box}" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">']
    cells: dict[int | None, list[str]] = {}
    for slot, level in enumerate(levels):
        cells.setdefault(level, []).append(f"M{slot}.06 {'0h.88v20' if level in (4, 5) else '5h.88v10'}h-.88z")
    for level, drawn in cells.items():
        parts.append(f'<path class="{"gap" if level is None else f"h{level}c"}" d="{"".join(drawn)}"/>')
    return "".join(parts) + "</svg>"


def span(value: float, low: float, high: float, middle: float | None = None, alarm: bool = True) -> str:
    """One feature: band = normal range, tick = middle, dot = this window. The scale is logarithmic both ways."""
    points = [point for point in (value, low, high, middle if middle is not None else low) if isfinite(point)]
    left, right = _bent(min([0.0, *points])), _bent(max([1.0, *points]) * 1.04)

    def x(point: float) -> float:
        return (_bent(point) - left) / (right - left) * 96 + 2 if isfinite(point) else 98.0

    outside = not low <= value <= high
    said = f"this window {value:g}, normal {low:g} to {high:g}"
    tick = (
        f'<line class="axis" x1="{x(middle):.1f}%" x2="{x(middle):.1f}%" y1="4" y2="18" stroke-width="2"/>'
        if middle is not None
        else ""
    )
    return (
        f'<svg class="rng" role="img" aria-label="{said}"><line class="grid" x1="0" x2="100%" y1="11" y2="11"/>'
        f'<rect class="h2c" x="{x(low):.1f}%" width="{max(x(high) - x(low), 1):.1f}%" y="6" height="10" rx="3"/>{tick}'
        f'<circle class="{"f-high" if outside and alarm else "f-ink"}" cx="{x(value):.1f}%" cy="11" r="6"/></svg>'
    )


def share(part: float, cls: str = "f-acc") -> str:
    """A part of a whole (0 to 1) as a bar; the number stands in the text beside it, so this one is decoration."""
    width = min(100.0, max(0.5, part * 100))
    return (
        '<svg class="share chart" aria-hidden="true"><rect class="f-soft" width="100%" y="6" height="10" rx="3"/>'
        f'<rect class="{cls}" width="{width:.1f}%" y="6" height="10" rx="3"/></svg>'
    )


def _height(one_in: float) -> float:
    """y of a rarity, 0 (top) to 100; the smallest bar still shows that there were rows."""
    decades = log10(max(one_in, 1)) if isfinite(one_in) else TOP_DECADES
    return 100 - min(max(decades, 0.08), TOP_DECADES) / TOP_DECADES * 100


def _rarity_down(plot: int) -> Callable[[float], float]:
    return lambda one_in: ABOVE + _height(one_in) / 100 * plot


def _across(slots: int) -> Callable[[float], float]:
    return lambda slot: slot / slots * 100


def _bent(value: float) -> float:
    return log1p(value) if value >= 0 else -log1p(-value)


def _rule(cls: str, y: float) -> str:
    return f'<line class="{cls}" x1="0" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>'


def _on_rule(cls: str, y: float, text: str) -> str:
    return f'<text class="{cls}" x="0" y="{y:.1f}">{escape(text)}</text>'


def _tick(x: float, tick: Tick, y: int) -> str:
    anchor = "" if x < 3 else "e" if x > 97 else "m"
    return f'<text class="{anchor}{" wide" if tick.wide_only else ""}" x="{x:.2f}%" y="{y}">{escape(tick.text)}</text>'


def _band(band: Band, across: Callable[[float], float], plot: int) -> str:
    start, width = across(band.start), max(across(band.end) - across(band.start), 0.7)
    return (
        f'<rect class="band b-{band.severity}" x="{start:.2f}%" width="{width:.2f}%" y="{ABOVE}" height="{plot}">'
        f"<title>{escape(band.words)}</title></rect>"
    )


def _markers(incidents: Sequence[Band], across: Callable[[float], float]) -> list[str]:
    """Numbered links over the bands; where two would overlap the newer one stays (the list beside it has them all)."""
    parts: list[str] = []
    last = 100.0 + MARKERS_APART
    for band in sorted(incidents, key=lambda one: one.start, reverse=True):
        x = min(max((across(band.start) + across(band.end)) / 2, 2.2), 97.8)
        if last - x < max(MARKERS_APART, 3 * len(band.label)):  # a longer number takes more room
            continue
        last, wide = x, max(20, 8 + 7 * len(band.label))
        parts.append(
            f'<a class="k-{band.severity}" href="{escape(band.href)}" aria-label="Incident {escape(band.label)}:'
            f' {escape(band.words)}"><svg x="{x:.2f}%" overflow="visible"><rect x="{-wide / 2}" width="{wide}" height="20"'
            f' rx="10"/><text class="m" y="14">{escape(band.label)}</text></svg></a>'
        )
    return parts[::-1]
