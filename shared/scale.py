"""Normal is relative to the host: features in spread units of that host's own worst normal days.

For a role's scored features, over the newest window and over the trailing half hour,

    z = (log2(1 + x) − usual − slack) / spread

`usual` is the median over training's days of the day's largest value at this host, leaning on the role where days are
few; `slack` and `spread` say how far days stray from it. z = 0 is the host's worst normal day, z = 1 one spread beyond.

    >>> # a host whose worst normal day has 3 wrong passwords: log2(1 + 3) = 2; slack 0, spread 0.5
    >>> import math
    >>> (math.log2(1 + 15) - 2 - 0) / 0.5
    4.0
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LOWEST, HIGHEST = -1.0, 10.0  # z beyond these says no more


@dataclass(frozen=True)
class Scale:
    """The per-host figures of one role. Vectors have 2·J entries: J features now, the same J over the half hour.

    names: the J scored features. columns: their positions in the agent's feature table.
    usual: (hosts, 2·J), in log2(1 + x). new: (2·J,) for a host that training never saw.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    rows: Mapping[str, int]  # hashed host -> row of `usual`
    usual: Floats
    new: Floats
    slack: Floats
    spread: Floats

    def raw(self, short: Sequence[float], long: Sequence[float]) -> Floats:
        """The 2·J values of a window, shape (2·J,); NaN where missing."""
        return np.array([short[i] for i in self.columns] + [long[i] for i in self.columns])

    def usual_of(self, host_hash: str) -> Floats:
        """The host's usual worst day in log2(1 + x), shape (2·J,)."""
        row = self.rows.get(host_hash)
        return self.new if row is None else self.usual[row]

    def z(self, host_hash: str, raw: Floats) -> Floats:
        """Both views of a window in spread units beyond the host's worst normal day, shape (2·J,), clipped."""
        z = (np.log2(1 + raw) - self.usual_of(host_hash) - self.slack) / self.spread
        clipped: Floats = np.clip(z, LOWEST, HIGHEST)
        return clipped

    def worst_day(self, host_hash: str) -> Floats:
        """The host's worst normal day in the features' own units, shape (2·J,)."""
        worst: Floats = np.exp2(self.usual_of(host_hash) + self.slack) - 1
        return worst

    def as_json(self) -> dict[str, Any]:
        """The part `scale` of reference.json for one role; figures to five digits."""
        return {
            "features": list(self.names),
            "hosts": {host: _rounded(self.usual[row]) for host, row in sorted(self.rows.items())},
            "new": _rounded(self.new),
            "slack": _rounded(self.slack),
            "spread": _rounded(self.spread),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], features: Sequence[str]) -> Scale:
        """Read what `as_json` wrote. Raises ValueError where names or sizes do not fit the agent's features."""
        names = tuple(str(name) for name in value["features"])
        columns = tuple(features.index(name) for name in names)
        hosts = {str(host): row for row, host in enumerate(value["hosts"])}
        size = 2 * len(names)
        usual = np.array([value["hosts"][host] for host in hosts], dtype=np.float64).reshape(len(hosts), -1)
        new, slack, spread = (np.array(value[key], dtype=np.float64) for key in ("new", "slack", "spread"))
        for array in (new, slack, spread):
            if array.shape != (size,) or not np.isfinite(array).all():
                raise ValueError(f"a scale vector needs {size} finite figures")
        if (hosts and usual.shape != (len(hosts), size)) or not np.isfinite(usual).all():
            raise ValueError(f"a host's scale needs {size} finite figures")
        if (spread <= 0).any():
            raise ValueError("a spread must be positive")
        return cls(names, columns, hosts, usual.reshape(len(hosts), size), new, slack, spread)


def both_views(z: Floats) -> Floats:
    """One figure per feature: the larger of the two views; (…, 2·J) to (…, J)."""
    half = z.shape[-1] // 2
    larger: Floats = np.fmax(z[..., :half], z[..., half:])
    return larger


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.5g}") for value in values]
