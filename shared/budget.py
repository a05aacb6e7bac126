"""The alert budget: which score is passed so many times per week and host."""

from __future__ import annotations

import math
from collections.abc import Sequence

from shared.errors import ConfigError
from shared.reference import Tail
from shared.scale import Floats

LEAST_COUNTED = 5  # with fewer peaks allowed over the threshold, counting them off would be chance
AROUND = 1.6  # of the rank that a budget means


def threshold_for(tail: Tail, budget: float, peaks: Sequence[float] | Floats = (), weeks: float = 0.0) -> float:
    """The score that is expected to be passed `budget` times per host-week.

    Small budgets lie on the tail. Larger ones are counted off: of training's `peaks` (descending, over so many
    host-weeks) budget × weeks lie over the threshold. The tail alone would promise wrongly there, because below its start
    scores are far denser than it is. Scores lie in heaps with gaps between, so a mean of the peaks around that rank is taken.

    >>> threshold_for(Tail(start=0.5, width=0.05, rate=1.0), 1.0)
    0.5
    >>> round(threshold_for(Tail(start=0.5, width=0.05, rate=1.0), 2.0, peaks=(0.7, 0.5, 0.49, 0.48), weeks=1.0), 3)
    0.493
    """
    if not budget > 0:
        raise ConfigError(f"the alert budget must be above 0 incidents per host-week (value: {budget})")
    fitted = tail.start + tail.width * math.log(tail.rate / budget)
    if not len(peaks):
        return fitted
    allowed = budget * weeks
    if allowed < LEAST_COUNTED and budget <= tail.rate:
        return max(fitted, _around(peaks, LEAST_COUNTED))
    return _around(peaks, allowed)


def _around(peaks: Sequence[float] | Floats, rank: float) -> float:
    """The mean of the peaks around a rank, from a part of it to as many times it; each doubling of the rank weighs alike."""
    last = len(peaks) - 1
    first, end = min(int(rank / AROUND + 1e-9), last), min(math.ceil(rank * AROUND - 1e-9), last)
    weights = [1 / (place + 0.5) for place in range(first, end + 1)]
    return float(sum(weight * peaks[first + k] for k, weight in enumerate(weights)) / sum(weights))
