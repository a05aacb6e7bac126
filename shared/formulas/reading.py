"""Formula functions of figures in messages: their mean, spread, last value and slope."""

from __future__ import annotations

import math
from collections.abc import Callable

from shared.formulas.call import Call, flat
from shared.formulas.formula import Evaluate
from shared.panes import View


def _readings(view: View, slots: frozenset[int], name: str) -> list[tuple[float, float]]:
    """(time, value) of a numeric field in time order; text that is no number is left out."""
    found = []
    for pane in view.panes:
        for time, cell in pane.ordered:
            if cell.slot in slots:
                try:
                    found.append((time, float(cell.fields[name])))
                except (KeyError, ValueError):
                    continue
    return found


def _statistic(compute: Callable[[list[tuple[float, float]]], float]) -> Callable[[Call], Evaluate]:
    def build(call: Call) -> Evaluate:
        name = call.word("field")
        wanted = flat(call.events(ordered=True))
        call.needs.empty = math.nan
        return lambda view: compute(found) if (found := _readings(view, wanted, name)) else math.nan

    return build


def _mean_of(readings: list[tuple[float, float]]) -> float:
    return math.fsum(value for _, value in readings) / len(readings)


def _std_of(readings: list[tuple[float, float]]) -> float:
    mean = _mean_of(readings)
    return math.sqrt(math.fsum((value - mean) ** 2 for _, value in readings) / len(readings))


def _last_of(readings: list[tuple[float, float]]) -> float:
    return readings[-1][1]


def _slope_of(readings: list[tuple[float, float]]) -> float:
    """Least-squares slope per minute; missing with fewer than two different times."""
    mean_t = math.fsum(time for time, _ in readings) / len(readings)
    mean_v = _mean_of(readings)
    spread = math.fsum((time - mean_t) ** 2 for time, _ in readings)
    return 60 * math.fsum((t - mean_t) * (v - mean_v) for t, v in readings) / spread if spread else math.nan


READINGS: dict[str, Callable[[Call], Evaluate]] = {
    "mean": _statistic(_mean_of),
    "std": _statistic(_std_of),
    "last": _statistic(_last_of),
    "slope": _statistic(_slope_of),
}
