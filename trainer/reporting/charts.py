"""Charts of the training report, as inline SVG without scripts or style attributes; classes are in report.css.

The outer <svg> has no viewBox, so its text keeps its size on screen and paper, and x positions are percentages; the
plot is a nested <svg> stretched to the box. Every chart says its finding in `title` and `desc`. Texts are escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log1p, log10

from markupsafe import Markup

LEFT = 12.0  # per cent of the width, for the numbers of the y axis
ABOVE, BELOW = 22, 24  # px


def histogram(
    name: str,
    edges: Sequence[float],
    counts: Sequence[float],
    threshold: float,
    *,
    title: str,
    desc: str,
    height: int = 220,
    fault: Sequence[float] = (),
) -> Markup:
    """Counts per bin, their height on a log scale, with the alert line at `threshold`; strange is on the right.

    With `fault` there are two series, ordinary windows wide and those in known faults narrow; else bars over the line
    are coloured.
    """
    most, plot = max((*counts, *fault), default=0), height - ABOVE - BELOW
    top = log10(most * 1.6 + 1) or 1.0
    width = (edges[-1] - edges[0]) or 1.0

    def down(count: float) -> float:
        return 100 - log10(count + 1) / top * 100

    def across(score: float) -> float:
        return LEFT + min(max((score - edges[0]) / width, 0), 1) * (100 - LEFT)

    bars = {"q": "", "f-high": ""}
    for slot, count in enumerate(counts):
        if count:
            cls = "f-high" if not fault and edges[slot] >= threshold else "q"
            bars[cls] += f"M{slot + 0.06} 100V{down(count):.1f}h.88V100z"
    for slot, count in enumerate(fault):
        if count:
            bars["f-high"] += f"M{slot + 0.28} 100V{down(count):.1f}h.44V100z"
    parts = [_open(name, height, title, desc)]
    for tick in (1, 10, 100, 1000, 10_000, 100_000):
        if tick < most * 1.6:
            y = ABOVE + down(tick) / 100 * plot
            parts.append(f'<line class="grid" x1="{LEFT}%" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text x="0" y="{y + 4:.1f}">{tick:,}</text>')
    parts.append(
        f'<svg x="{LEFT}%" y="{ABOVE}" width="{100 - LEFT}%" height="{plot}" viewBox="0 0 {max(len(counts), 1)} 100" '
        'preserveAspectRatio="none">'
        + "".join(f'<path class="{cls}" d="{path}"/>' for cls, path in bars.items() if path)
    )
    line, side = across(threshold), "e" if across(threshold) > 70 else ""
    shift = -6 if side else 6
    parts.append(
        f'</svg><text x="0" y="12">windows</text><line class="thr" x1="{line:.1f}%" x2="{line:.1f}%" y1="8" '
        f'y2="{ABOVE + plot}"/><text class="thrt {side}" x="{line:.1f}%" dx="{shift}" y="16">alert line</text>'
        f'<line class="axis" x1="{LEFT}%" x2="100%" y1="{ABOVE + plot}" y2="{ABOVE + plot}"/>'
        f'<text x="{LEFT}%" y="{height - 6}">ordinary</text>'
        f'<text class="e" x="100%" y="{height - 6}">strange</text></svg>'
    )
    return Markup("".join(parts))  # noqa: S704  every text above went through escape()


def normal_range(low: float, middle: float, high: float, most: float) -> Markup:
    """One feature on normal days: the band is 98 % of the windows, the tick the middle, the dot the most seen.

    The cells beside it say the same in figures, so readers of the page aloud are spared it.
    """
    least = min(low, middle, 0)
    top = log1p(max(most, high) - least) or 1.0

    def across(value: float) -> float:
        return 2 + log1p(max(value - least, 0)) / top * 94

    band = max(across(high) - across(low), 1)
    return Markup(  # noqa: S704  numbers only
        f'<svg class="range" aria-hidden="true"><line class="grid" x2="100%" y1="10" y2="10"/>'
        f'<rect class="band" x="{across(low):.1f}%" width="{band:.1f}%" y="5" height="10" rx="3"/>'
        f'<line class="axis" x1="{across(middle):.1f}%" x2="{across(middle):.1f}%" y1="3" y2="17"/>'
        f'<circle class="dot" cx="{across(most):.1f}%" cy="10" r="4"/></svg>'
    )


def _open(name: str, height: int, title: str, desc: str) -> str:
    return (
        f'<svg class="chart" width="100%" height="{height}" role="img" aria-labelledby="{name}t {name}d">'
        f'<title id="{name}t">{escape(title)}</title><desc id="{name}d">{escape(desc)}</desc>'
    )
