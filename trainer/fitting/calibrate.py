"""How strange is strange: out-of-fold scores over days, the tail of their peaks, and the alert budget.

Every day is scored by a model that has not seen it. The highest score of each calm-to-calm run of windows of a host is a
peak; above the k-th highest one the peaks are taken to thin out exponentially (peaks over threshold, Coles 2001), with a
width that is never believed to be thinner than `LEAST_WIDTH`, however calm the training week was. Below the k-th highest
peak nothing is fitted: a large budget takes the threshold that so many of the peaks themselves lie over.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.budget import threshold_for
from shared.reference import Tail

Floats = npt.NDArray[np.float64]

TAIL_PEAKS = 30
LEAST_WIDTH = 0.035  # in score
LEAST_PEAK_WIDTH = 0.75  # in spread units
PEAKS_PER_HOST = 40  # of a week; more where the log is longer
KEPT_PEAKS = 2_000
PEAK_STEPS = 1e6  # peaks travel with six digits; rounded up, so that a line at a peak lies on it or above
BUDGETS = (0.05, 0.1, 0.15, 0.2, 0.5, 1.0, 2.0, 4.0)
KEPT_SCORES = 600  # of each role, the highest, one by one
ONE_BLOCK_PENALTY = 0.05  # added to scores that had to be made by a model which saw the windows


@dataclass(frozen=True)
class OutOfFold:
    """Scores of windows by models that had not seen their day. hosts, index, scores: (n,)."""

    hosts: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]
    scores: Floats


def day_blocks(index: npt.NDArray[np.int64], first: int, last: int, per_day: float) -> npt.NDArray[np.int64]:
    """The block of each window: whole days from the first window on; quarter days where there are fewer than three."""
    days = max(1, round((last - first + 1) / per_day))
    size = per_day if days >= 3 else per_day / 4
    blocks: npt.NDArray[np.int64] = ((index - first) // size).astype(np.int64)
    return blocks


def peaks(found: OutOfFold, apart: int, per_host_weeks: float = 1.0) -> Floats:
    """The highest score of each run of windows, runs of one host more than `apart` windows from each other."""
    highest: list[float] = []
    most = PEAKS_PER_HOST * max(1, round(per_host_weeks))
    for host in np.unique(found.hosts):
        mine = np.flatnonzero(found.hosts == host)
        ranked = mine[np.argsort(-found.scores[mine], kind="stable")][: 15 * most]
        taken: list[int] = []  # window numbers, ascending
        for index, score in zip(found.index[ranked].tolist(), found.scores[ranked].tolist(), strict=True):
            if len(taken) >= most:
                break
            place = bisect.bisect_left(taken, index)
            if all(abs(index - other) > apart for other in taken[max(0, place - 1) : place + 1]):
                taken.insert(place, index)
                highest.append(score)
    rounded: Floats = np.ceil(np.sort(np.array(highest))[::-1] * PEAK_STEPS) / PEAK_STEPS
    return rounded


def incident_starts(found: Iterable[OutOfFold], apart: int) -> Floats:
    """The lines at which incidents number 1, 2, 3 … appear as the alert line is lowered, descending.

    Windows of one host at most `apart` numbers from each other are one incident, so that lowering the line also joins
    incidents: what is counted here is what a person would have been told, and budgets are kept by it.
    """
    starts: list[float] = []
    count, raised = (
        0,
        dict[tuple[int, str], list[int]](),
    )  # (part, host) -> numbers of the windows over the line, ascending
    windows = [
        (score, part, host, index)
        for part, one in enumerate(found)
        for score, host, index in zip(one.scores.tolist(), one.hosts.tolist(), one.index.tolist(), strict=True)
    ]
    windows.sort(key=lambda window: -window[0])
    for score, part, host, index in windows:
        mine = raised.setdefault((part, host), [])
        place = bisect.bisect_left(mine, index)
        before = place > 0 and index - mine[place - 1] <= apart
        after = place < len(mine) and mine[place] - index <= apart
        mine.insert(place, index)
        count += 1 - before - after
        if count > len(starts):
            starts.append(score)
            if len(starts) >= KEPT_PEAKS:
                break
    lines: Floats = np.ceil(np.array(starts) * PEAK_STEPS) / PEAK_STEPS
    return lines


def fit_tail(highest: Floats, weeks: float, least_width: float = LEAST_WIDTH) -> Tail:
    """The exponential tail through the highest peaks; `weeks` are host-weeks."""
    k = min(TAIL_PEAKS, len(highest) - 1)
    if k < 1:
        start = float(highest[0]) if len(highest) else 0.5
        return Tail(start, least_width, 1 / weeks)
    start = float(highest[k])
    width = max(least_width, float((highest[:k] - start).mean()))
    return Tail(start, width, k / weeks)


def budget_table(tail: Tail, highest: Floats, weeks: float) -> list[tuple[float, float, float]]:
    """(budget, threshold, incidents per host-week that training's own unseen days had over it)."""
    table = []
    for budget in BUDGETS:
        threshold = threshold_for(tail, budget, highest, weeks)
        table.append((budget, threshold, float((highest > threshold).sum()) / weeks))
    return table


def contamination_threshold(scores: Floats, contamination: float) -> float:
    """The quantile of out-of-fold scores that leaves a share of `contamination` above it."""
    return float(np.quantile(scores, 1 - contamination))
