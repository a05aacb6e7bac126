"""Curves and small multiples as inline SVG made on the server: the same rules as in `charts`.

Text keeps its size on every screen, only the plot inside stretches; every chart says its finding in words; all texts are
escaped here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from shared.web.charts import Tick, bars, escape, open_chart, short

ABOVE, BELOW = 16, 24
DRIFT_TOP = 0.4


@dataclass(frozen=True, slots=True)
class Curve:
    """One line: its class (l-acc solid, l-oth dashed, l-soft thin) and a value per slot; None leaves a gap."""

    cls: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """A dashed line that a value must not pass."""

    value: float
    words: str


def lines(
    name: str,
    curves: Sequence[Curve],
    *,
    top: float,
    marks: Sequence[tuple[float, str]],
    ticks: Sequence[Tick],
    title: str,
    desc: str,
    limit: Limit | None = None,
    height: int = 150,
) -> str:
    """Values over slots from 0 to `top`; `marks` are the levels with a rule and a text."""
    plot, left = height - ABOVE - BELOW, 13.0
    count = max((len(curve.values) for curve in curves), default=1)
    top = top or 1.0

    def down(value: float) -> float:
        return ABOVE + (1 - min(max(value, 0.0) / top, 1.0)) * plot

    parts = [open_chart(name, height, title, desc)]
    parts += [
        f'<line class="grid" x1="{left}%" x2="100%" y1="{down(v):.1f}" y2="{down(v):.1f}"/>'
        f'<text x="0" y="{down(v) + 4:.1f}">{escape(text)}</text>'
        for v, text in marks
    ]
    box = f"0 0 {max(1, count - 1)} 100"
    parts.append(
        f'<svg x="{left}%" y="{ABOVE}" width="{100 - left}%" height="{plot}" viewBox="{box}" preserveAspectRatio="none"'
        ' overflow="visible" aria-hidden="true">'
    )
    parts += [f'<path class="{curve.cls}" d="{_path(curve.values, top)}"/>' for curve in curves]
    parts.append("</svg>")
    if limit is not None and limit.value <= top:
        parts.append(
            f'<line class="thr" x1="{left}%" x2="100%" y1="{down(limit.value):.1f}" y2="{down(limit.value):.1f}"/>'
            f'<text class="thrt halo e" x="100%" y="{down(limit.value) - 5:.1f}">{escape(limit.words)}</text>'
        )
    parts.append(f'<line class="axis" x1="{left}%" x2="100%" y1="{ABOVE + plot}" y2="{ABOVE + plot}"/>')
    for tick in ticks:
        across = left + tick.slot / max(1, count - 1) * (100 - left)
        cls = " ".join(
            filter(None, ("" if across < left + 3 else "e" if across > 96 else "m", "wide" * tick.wide_only))
        )
        parts.append(f'<text class="{cls}" x="{across:.1f}%" y="{height - 6}">{escape(tick.text)}</text>')
    return "".join(parts) + "</svg>"


def _path(values: Sequence[float | None], top: float) -> str:
    parts, pen = [], "M"
    for slot, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        y = (1 - min(max(value, 0.0) / top, 1.0)) * 100
        alone = pen == "M" and (slot + 1 == len(values) or values[slot + 1] is None)
        parts.append(f"{pen}{slot} {short(y)}" + ("h.01" if alone else ""))  # a lone value is a dot, not nothing
        pen = "L"
    return "".join(parts)


def drift(psi: float, watch: float, drifted: float) -> str:
    """How far a distribution has moved, with the lines from which it is watched and has drifted."""
    top = max(DRIFT_TOP, drifted * 1.6)
    cls = "f-high" if psi >= drifted else "f-mid" if psi >= watch else "q"
    at = [f"{min(value / top, 1.0) * 100:.1f}%" for value in (psi, watch, drifted)]
    return (
        f'<svg class="rng" role="img" aria-label="drift {psi:.2f}"><rect class="f-soft" width="100%" y="5" height="12" rx="3"/>'
        f'<rect class="{cls}" width="{at[0]}" y="5" height="12" rx="3"/>'
        f'<line class="axis" x1="{at[1]}" x2="{at[1]}" y1="2" y2="20"/>'
        f'<line class="thr" x1="{at[2]}" x2="{at[2]}" y1="2" y2="20"/></svg>'
    )


def spark(values: Sequence[float], top: float, label: str, loud: Collection[int] = ()) -> str:
    """A bar a slot, from 0 to `top`; the loud ones in the colour of an alarm."""
    top = top or 1.0
    known = [(slot, 100 - max(min(value / top, 1.0) * 96, 2)) for slot, value in enumerate(values)]
    alarms = frozenset(loud)
    return (
        f'<svg class="chart" width="100%" height="52" viewBox="0 0 {max(1, len(values))} 100" preserveAspectRatio="none"'
        f' role="img" aria-label="{escape(label)}">'
        f'<path class="q" d="{bars(bar for bar in known if bar[0] not in alarms)}"/>'
        f'<path class="f-high" d="{bars(bar for bar in known if bar[0] in alarms)}"/>'
        f'<path class="axis" d="M0 100H{max(1, len(values))}"/></svg>'
    )
