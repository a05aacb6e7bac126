"""What the daemon costs, hour by hour, as charts: time for a cycle and memory."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence

from markupsafe import Markup

from inference.watching import performance
from inference.watching.performance import MachineHour
from inference.watching.report import PerformanceLimits
from shared.web import charts, curves, words

DAYS = 7
HOURS = DAYS * 24
LEAST_HOURS = 6
LINE_OF = 2  # figures of one hour are no line: the facts above say them


def _span_of(hours: Sequence[MachineHour], now: float) -> int:
    """How many hours the charts of the machine show: seven days, or what there is since the first figure."""
    end = math.floor(now / 3600) * 3600
    return min(HOURS, max(LEAST_HOURS, 1 + round((end - min(hour.slot for hour in hours)) / 3600)))


def _slots(hours: Sequence[tuple[float, float | None]], count: int, now: float) -> list[float | None]:
    """Values by the hour, the last one at the right."""
    end = math.floor(now / 3600) * 3600
    values: list[float | None] = [None] * count
    for slot, value in hours:
        at = count - 1 - round((end - slot) / 3600)
        if 0 <= at < count:
            values[at] = value
    return values


def _hour_ticks(count: int, now: float) -> list[charts.Tick]:
    end = math.floor(now / 3600) * 3600
    if count < 3 * 24:
        step = max(1, count // 4)
        marks = [(n, words.clock(end - 3600 * (count - 1 - n))) for n in range(0, count - step // 2 - 1, step)]
    else:
        marks = [(n, words.day(now - 3600 * (count - n)).split(" ")[0]) for n in range(0, count - 12, 24)]
    ticks = [charts.Tick(slot, text, wide_only=bool(n % 2)) for n, (slot, text) in enumerate(marks)]
    return [*ticks, charts.Tick(count - 1, "now")]


def _since(count: int) -> str:
    return f"{DAYS} days" if count == HOURS else words.figure(count, "hour")


def cycles(db: sqlite3.Connection, now: float) -> Markup:
    """The mean and the slowest cycle of each hour; empty where there is no line to draw yet."""
    hours = performance.machine_hours(db, now - HOURS * 3600)
    if len(hours) < LINE_OF:
        return Markup("")
    count = _span_of(hours, now)
    mean = _slots([(h.slot, 1000 * h.seconds / h.cycles if h.cycles else None) for h in hours], count, now)
    slow = _slots([(h.slot, 1000 * h.slowest_s) for h in hours], count, now)
    known = sorted(value for value in slow if value is not None)
    most = max((value for value in mean if value is not None), default=0.0)
    top = 1.2 * max(1.0, known[int(0.95 * (len(known) - 1))], most)
    svg = curves.lines(
        "cycles", [curves.Curve("l-soft", slow), curves.Curve("l-acc", mean)], top=top,
        marks=[(top / 2, f"{top / 2:.0f} ms"), (0, "0")], ticks=_hour_ticks(count, now),
        title=f"Time for one cycle, {_since(count)}", desc=f"The mean of an hour is at most {most:.0f} ms.",
    )  # fmt: skip
    return Markup(svg)  # noqa: S704  curves escape their texts


def memory(db: sqlite3.Connection, limits: PerformanceLimits, now: float) -> Markup:
    """The daemon's resident memory, with its limit where it comes near."""
    hours = performance.machine_hours(db, now - HOURS * 3600)
    if len(hours) < LINE_OF:
        return Markup("")
    count = _span_of(hours, now)
    values = _slots([(h.slot, h.memory_mb) for h in hours], count, now)
    most = max((value for value in values if value is not None), default=0.0)
    top = max(most * 1.3, limits.memory_mb * 1.05 if most > limits.memory_mb / 2 else most * 1.3)
    svg = curves.lines(
        "memory", [curves.Curve("l-acc", values)], top=top, marks=[(top / 2, f"{top / 2:.0f} MB"), (0, "0")],
        ticks=_hour_ticks(count, now), limit=curves.Limit(limits.memory_mb, f"limit {limits.memory_mb:g} MB"),
        title=f"Memory of the daemon, {_since(count)}", desc=f"At most {most:.0f} MB were resident.",
    )  # fmt: skip
    return Markup(svg)  # noqa: S704  curves escape their texts
