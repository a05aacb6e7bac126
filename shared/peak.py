"""The second part of the score: one feature far beyond the host's worst normal day.

A forest looks at features together and is slow to call a window strange for one of them. The peak is the largest of a
window's spread units. It is put on the forest's scale by a straight line, so that equal scores are equally rare on
training's unseen days; the score of a window is the larger of the two. One tail, one threshold and one alert budget then
hold for both, measured on the combination.

    >>> Peak(offset=0.3, factor=0.05).score(np.array([0.35, 0.35]), np.array([[0.0, 4.0], [0.5, 0.2]])).round(3).tolist()
    [0.5, 0.35]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Peak:
    """A window whose largest spread unit is z scores at least offset + factor · z; factor 0 switches the part off."""

    offset: float = 0.0
    factor: float = 0.0

    def score(self, forest: Floats, z: Floats) -> Floats:
        """Scores of n windows: forest (n,) and spread units (n, J) in, (n,) out; higher is stranger."""
        if not self.factor:
            return forest
        combined: Floats = np.maximum(forest, np.minimum(1.0, self.line(largest(z))))
        return combined

    def line(self, z: Floats) -> Floats:
        """Spread units on the forest's scale."""
        return self.offset + self.factor * z

    def attribute(self, parts: Floats, forest: float, score: float, z: Floats) -> Floats:
        """What each feature adds to log2(score): the forest's parts, and what the peak adds to them, shape (J,)."""
        excess = np.maximum(0.0, self.line(np.nan_to_num(z)) - forest) if score > forest else np.zeros(len(z))
        total = excess.sum()
        return parts + excess / total * np.log2(score / forest) if total > 0 else parts


NO_PEAK = Peak()  # of bundles from before there was this part


def largest(z: Floats) -> Floats:
    """The largest figure of each row; missing ones count as usual."""
    rows: Floats = np.nan_to_num(z, nan=0.0).max(axis=-1)
    return rows
