"""Curves of the training report, as inline SVG like the charts of `charts.py`: text keeps its size, lines stretch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import sqrt

from markupsafe import Markup

LEFT = 13.0  # per cent of the width, for the numbers of the y axis
ABOVE, BELOW, HEIGHT = 24, 40, 250  # px
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _frame(name: str, title: str, desc: str, upward: str, along: str) -> list[str]:
    """The opening, the horizontal lines in quarters, and what the axes are."""
    plot = HEIGHT - ABOVE - BELOW
    parts = [
        f'<svg class="chart" width="100%" height="{HEIGHT}" role="img" aria-labelledby="{name}t {name}d">',
        f'<title id="{name}t">{escape(title)}</title><desc id="{name}d">{escape(desc)}</desc>',
    ]
    for share in QUARTERS:
        y = ABOVE + (1 - share) * plot
        parts.append(f'<line class="grid" x1="{LEFT}%" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="0" y="{y + 4:.1f}">{share * 100:.0f} %</text>')
    parts.append(f'<text x="{LEFT}%" y="12">{escape(upward)}</text>')
    parts.append(f'<text class="e" x="100%" y="{HEIGHT - 4}">{escape(along)}</text>')
    parts.append(f'<line class="axis" x1="{LEFT}%" x2="100%" y1="{ABOVE + plot}" y2="{ABOVE + plot}"/>')
    return parts


def _path(points: Sequence[tuple[float, float]], *, steps: bool) -> str:
    """A line through points of the unit square, in a box that stretches; `steps` goes along before it goes up."""
    text = ""
    for number, (x, y) in enumerate(points):
        if number and steps:
            text += f"H{x * 100:.2f}"
        text += f"{'L' if number else 'M'}{x * 100:.2f} {100 - y * 100:.2f}"
    return (
        f'<svg x="{LEFT}%" y="{ABOVE}" width="{100 - LEFT}%" height="{HEIGHT - ABOVE - BELOW}" viewBox="0 0 100 100" '
        f'preserveAspectRatio="none"><path class="curve" d="{text}"/></svg>'
    )


def _spot(x: float, y: float, words: str, *, below: bool) -> str:
    """The chosen point with its words beside it."""
    left = LEFT + x * (100 - LEFT)
    down = ABOVE + (1 - y) * (HEIGHT - ABOVE - BELOW)
    side, shift = ("e", -10) if x > 0.55 else ("", 10)
    return (
        f'<circle class="spot" cx="{left:.1f}%" cy="{down:.1f}" r="5"/>'
        f'<text class="said {side}" x="{left:.1f}%" dx="{shift}" y="{down + (20 if below else -10):.1f}">{escape(words)}</text>'
    )


def budget_curve(rows: Sequence[Mapping[str, float]], chosen: float | None) -> Markup:
    """Share of the known faults found against false incidents a week and host, over alert budgets."""
    most = max((row["false_incidents_per_host_week"] for row in rows), default=0.0)
    top = max(1.0, most)

    def across(rate: float) -> float:
        return sqrt(max(rate, 0.0) / top)

    ordered = sorted(rows, key=lambda row: (row["false_incidents_per_host_week"], row["found"]))
    points = [(across(row["false_incidents_per_host_week"]), row["found"] / max(1, row["episodes"])) for row in ordered]
    if points:
        points = [*points, (1.0, points[-1][1])]
    mine = next((row for row in rows if row["budget"] == chosen), None)
    said = "no budget is chosen" if mine is None else (
        f"{mine['found']:.0f} of {mine['episodes']:.0f} at {mine['false_incidents_per_host_week']:.2g}"
    )  # fmt: skip
    parts = _frame("bc", "What an alert budget buys", said, "known faults found", "false incidents a week and host")
    for rate in sorted({0.0, 0.25, 1.0, round(top)} if top >= 1 else {0.0, 0.25, 1.0}):
        if rate <= top:
            side = "e" if rate == top else ""
            parts.append(
                f'<text class="{side}" x="{LEFT + across(rate) * (100 - LEFT):.1f}%" y="{HEIGHT - BELOW + 16}">{rate:g}</text>'
            )
    parts.append(_path(points, steps=True))
    if mine is not None:
        share = mine["found"] / max(1, mine["episodes"])
        parts.append(_spot(across(mine["false_incidents_per_host_week"]), share, said, below=share > 0.5))
    return Markup("".join(parts) + "</svg>")  # noqa: S704  every text went through escape()


def precision_recall(rows: Sequence[Mapping[str, float]], chosen: float) -> Markup:
    """Precision against recall of windows, over thresholds of the score with the rules on top."""
    ordered = sorted(rows, key=lambda row: (row["recall"], -row["precision"]))
    points = [(row["recall"], row["precision"]) for row in ordered]
    if points and points[0][0] > 0:
        points = [(0.0, points[0][1]), *points]
    mine = min(rows, key=lambda row: abs(row["threshold"] - chosen), default=None)
    said = "" if mine is None else f"precision {100 * mine['precision']:.0f} %, recall {100 * mine['recall']:.0f} %"
    upward, along = "precision: raised windows that were right", "recall: fault windows raised"
    parts = _frame("pr", "Precision and recall", said, upward, along)
    for share in QUARTERS:
        side = "e" if share == 1 else "m" if share else ""
        at = LEFT + share * (100 - LEFT)
        parts.append(f'<text class="{side}" x="{at:.1f}%" y="{HEIGHT - BELOW + 16}">{share * 100:.0f} %</text>')
    parts.append(_path(points, steps=False))
    if mine is not None:
        parts.append(_spot(mine["recall"], mine["precision"], said, below=mine["precision"] > 0.5))
    return Markup("".join(parts) + "</svg>")  # noqa: S704  every text went through escape()


def share_bar(share: float) -> Markup:
    """A part of the whole as a bar."""
    width = min(max(share, 0.0), 1.0) * 100
    return Markup(  # noqa: S704  numbers only
        f'<svg class="bar" role="img" aria-label="{share:.0%}"><rect class="sunk" width="100%" height="8" y="4" rx="3"/>'
        f'<rect class="f-acc" width="{width:.1f}%" height="8" y="4" rx="3"/></svg>'
    )
