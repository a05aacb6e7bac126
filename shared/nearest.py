"""The normal window that an anomaly looks most like: what this host, or one like it, does on an ordinary day.

A bundle carries a small set of windows of training, of hashed hosts and at times that are told as days of training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.scale import LOWEST, Floats, Scale

OWN_HOST = 1.5  # a window of the same host may be so many times as far away and still say more
MOST_WINDOWS = 1_000
SHOWN = 6


@dataclass(frozen=True)
class NormalWindows:
    """The n normal windows of one role. raw: (n, 2·J) values, NaN where missing; z: the same in spread units."""

    hosts: tuple[str, ...]
    when: tuple[str, ...]
    raw: Floats
    z: Floats

    def nearest(
        self, host: str, z: Floats, names: Sequence[str], values: Mapping[str, int]
    ) -> dict[str, object] | None:
        """The window nearest to `z` (2·J,) as JSON values; `values`: name → position in raw of what to show of it."""
        if not len(self.hosts):
            return None
        distance = np.sqrt(((self.z - np.nan_to_num(z, nan=LOWEST)) ** 2).sum(axis=1))
        best = int(np.argmin(distance))
        own = [i for i, other in enumerate(self.hosts) if other == host]
        if own:
            mine = min(own, key=lambda i: distance[i])
            best = mine if distance[mine] <= OWN_HOST * distance[best] else best
        shown = {name: float(self.raw[best, values[name]]) for name in names if name in values}
        return {
            "host": "this" if self.hosts[best] == host else "another",
            "when": self.when[best],
            "distance": round(float(distance[best]), 2),
            "features": {name: None if math.isnan(value) else value for name, value in list(shown.items())[:SHOWN]},
        }


def normal_windows(value: Mapping[str, Any], scales: Mapping[str, Scale]) -> dict[str, NormalWindows]:
    """Read the part `nearest` of reference.json; nothing where an older bundle has none.

    Raises:
        ValueError, KeyError, TypeError: it does not fit the scales.
    """
    found = {}
    for role, part in value.items():
        scale, hosts = scales[role], tuple(str(host) for host in part["hosts"])
        when, size = tuple(str(moment) for moment in part["when"]), 2 * len(scale.names)
        if len(hosts) > MOST_WINDOWS or len(when) != len(hosts) or any(len(row) != size for row in part["raw"]):
            raise ValueError(f"the normal windows of role {role!r} do not fit its scale")
        raw = np.array([[math.nan if x is None else float(x) for x in row] for row in part["raw"]], dtype=np.float64)
        raw = raw.reshape(len(hosts), size)
        if np.isinf(raw).any() or (raw < 0).any():
            raise ValueError(f"a normal window of role {role!r} has values that no window can have")
        z = [np.nan_to_num(scale.z(host, row), nan=LOWEST) for host, row in zip(hosts, raw, strict=True)]
        found[role] = NormalWindows(hosts, when, raw, np.array(z).reshape(len(hosts), size))
    return found
