"""How far the present has moved from training: PSI and KS of live values against a bundle's profile.

A profile is 21 quantiles (0 %, 5 %, … 100 %) of a feature's or a score's values in training. Between two neighbouring
quantiles a profile does not know where the values lie, least of all where many are equal, as counts are. So at each cut
training's share is taken as near to the live one as the profile allows: both distances are **at least** what is said, and
the profile's coarseness is never mistaken for drift.

PSI, the population stability index of credit scoring, is Σ (now − then) · ln(now / then) over bins; 0.10 is commonly
watched, 0.25 is drift (Siddiqi, "Credit Risk Scorecards", 2006). KS is Kolmogorov and Smirnov's largest difference of
the two distribution functions, 0 to 1. Both need enough windows: equal distributions show a PSI of about bins / n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BIN_SHARE = 0.1  # a bin holds at least this share of training: ten bins at most, or the noise of small samples adds up
LEAST_SHARE = 1e-4  # what an empty bin counts as, so that its logarithm exists
SMALLEST_SAMPLE = 200
STEADY, WATCH, DRIFTED, UNKNOWN = "steady", "watch", "drifted", "unknown"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which PSI a distribution is watched and said to have drifted, and how many windows that takes."""

    watch: float = 0.10
    drifted: float = 0.25
    least: int = SMALLEST_SAMPLE

    def word(self, distance: Distance) -> str:
        """steady, watch or drifted; unknown while there are too few windows."""
        if distance.count < self.least or math.isnan(distance.psi):
            return UNKNOWN
        return DRIFTED if distance.psi >= self.drifted else WATCH if distance.psi >= self.watch else STEADY


@dataclass(frozen=True, slots=True)
class Distance:
    """How far `count` live values lie from training's: both 0 where they are alike; NaN without any value."""

    psi: float
    ks: float
    count: int
    then: tuple[float, float] | None = None  # training's 5 % and 95 %
    now: tuple[float, float] | None = None  # the same of the live values


NOTHING = Distance(math.nan, math.nan, 0)


def distance(
    quantiles: Sequence[float], values: Iterable[float | None], present: float = 1.0, grain: float = 0.0
) -> Distance:
    """Live values (None and NaN: missing) against a profile's quantiles, ascending.

    present: the share of training's windows that had a value; being missing is a bin of its own. grain: values that are
    nearer to each other than this are the same, as scores are whose difference means nothing.

    >>> profile = [n / 20 for n in range(21)]  # evenly from 0 to 1
    >>> steady = distance(profile, [n / 1000 for n in range(1000)])
    >>> round(steady.psi, 3), round(steady.ks, 3)
    (0.0, 0.0)
    >>> moved = distance(profile, [0.5 + n / 2000 for n in range(1000)])  # only the upper half is left
    >>> round(moved.ks, 2), moved.psi > 1
    (0.5, True)
    """
    array = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    live = np.sort(array[~np.isnan(array)])
    if not array.size or (not live.size and present > 0 and len(quantiles) < 2):
        return NOTHING
    cuts, low, high = steps(quantiles, grain)
    here = live.size / array.size
    below = np.searchsorted(live, cuts + grain, side="right") / max(1, live.size)
    nearest = np.clip(below, low, high)
    ks = float(np.max(np.abs(below - nearest), initial=0.0)) if live.size else abs(here - present)
    chosen = _bins(nearest)
    then = _shares(nearest[chosen], present)
    now = _shares(below[chosen], here)
    return Distance(
        psi=index(then, now, array.size),
        ks=max(ks, abs(here - present)),
        count=int(array.size),
        then=(float(quantiles[1]), float(quantiles[-2])),
        now=(float(np.quantile(live, 0.05)), float(np.quantile(live, 0.95))) if live.size else None,
    )


def steps(quantiles: Sequence[float], grain: float = 0.0) -> tuple[Floats, Floats, Floats]:
    """What a profile knows of the distribution function: cuts, and the share of values ≤ each, at least and at most.

    >>> cuts, low, high = steps([0, 0, 0, 1, 3])  # at 0, 25, 50, 75, 100 %
    >>> [float(one) for one in low], [float(one) for one in high]
    ([0.5, 0.75, 1.0], [0.75, 1.0, 1.0])
    """
    grid = np.asarray(quantiles, dtype=np.float64)
    if grid.size < 2 or not np.isfinite(grid).all() or (np.diff(grid) < 0).any():
        raise ValueError("a profile needs two or more finite quantiles that ascend")
    share = np.linspace(0.0, 1.0, grid.size)
    found = [float(grid[0])]
    for value in grid[1:]:
        if value > found[-1] + grain:
            found.append(float(value))
    cuts = np.array(found)
    following = np.searchsorted(grid, cuts + grain, side="right")  # the first quantile beyond each cut
    low = share[following - 1]
    high = share[np.minimum(following, grid.size - 1)]
    return cuts, low, high


def quantiles(values: Iterable[float | None], count: int = 21) -> tuple[float, ...]:
    """The live values' own profile; () without any value."""
    array = np.array([value for value in values if value is not None], dtype=np.float64)
    return tuple(float(f"{q:.6g}") for q in np.quantile(array, np.linspace(0, 1, count))) if array.size else ()


def _bins(below: Floats) -> npt.NDArray[np.intp]:
    """Positions of the cuts between bins that hold BIN_SHARE of training or more; the last bin is what is above."""
    chosen, taken = [], 0.0
    for at, share in enumerate(below):
        if share - taken >= BIN_SHARE - 1e-9 and share < 1.0:
            chosen.append(at)
            taken = float(share)
    return np.array(chosen, dtype=np.intp)


def _shares(below: Floats, present: float) -> Floats:
    """Shares of all bins, the missing ones first."""
    edges = np.concatenate([[0.0], below, [1.0]])
    shares: Floats = np.concatenate([[1.0 - present], np.diff(edges) * present])
    return shares


def index(then: Floats, now: Floats, count: int) -> float:
    """PSI of two sets of shares over the same bins.

    >>> index(np.array([0.5, 0.5]), np.array([0.8, 0.2]), 1000)  # 0.3·ln 1.6 − 0.3·ln 0.4
    0.41588830833596724
    """
    least = max(LEAST_SHARE, 0.5 / max(1, count))
    now, then = np.maximum(now, least), np.maximum(then, least)
    return float(np.sum((now - then) * np.log(now / then)))


@dataclass(frozen=True, slots=True)
class Measured:
    """Drift of one role: of each feature, and of the scores."""

    role: str
    windows: int
    features: Mapping[str, Distance]
    scores: Distance


def measure(
    role: str,
    reference: Mapping[str, object],
    features: Mapping[str, Sequence[float | None]],
    scores: Sequence[float | None],
) -> Measured:
    """Live columns of one role against `profile` and `score_profile` of a reference.json; what it lacks is left out."""
    profile, grids = _mapping(_mapping(reference.get("profile")).get(role)), _mapping(reference.get("score_profile"))
    found = {}
    for name, own in profile.items():
        entry = _mapping(own)
        quantiles = entry.get("quantiles")
        if name in features and isinstance(quantiles, list) and len(quantiles) > 1:
            share = entry.get("present", 1.0)
            found[name] = distance(quantiles, features[name], float(share) if isinstance(share, int | float) else 1.0)
    grid = grids.get(role)
    usable = isinstance(grid, list) and len(grid) > 1
    score = distance(grid, scores, grain=_grain(grid, reference)) if usable else NOTHING  # type: ignore[arg-type]
    return Measured(role, len(scores), found, score)


def _grain(grid: Sequence[float], reference: Mapping[str, object]) -> float:
    """Score differences that mean nothing: a fiftieth of the way from the most usual score to the alert line."""
    threshold = reference.get("threshold")
    top = float(threshold) if isinstance(threshold, int | float) else float(grid[-1])
    return max(0.0, top - float(grid[len(grid) // 2])) / 50


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
