"""A host that says nothing for longer than it ever did in training is an anomaly too.

The watch keeps, per host of the silence's role, when its last row came and which devices were there. It sees closed
windows in time order; a window in which a known host has no rows is judged by how long the host has been quiet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.agent import HeartbeatSpec, SilenceSpec
from shared.features import Window
from shared.reference import SilenceLimits

MAX_DEVICES = 2_000  # devices remembered per host; a flood of made-up ones must not fill the memory
FORGET_S = 86_400  # a host that has been away for a day is gone, not silent


@dataclass(frozen=True, slots=True)
class Silence:
    """A host quiet for `quiet_s` seconds at the end of a window; `limit_s` is what it may, `spec` what it is called."""

    host: str
    quiet_s: float
    limit_s: float
    spec: SilenceSpec | HeartbeatSpec


class SilenceWatch:
    """Remembers when hosts spoke and who was with them."""

    def __init__(self, spec: SilenceSpec) -> None:
        self.spec = spec
        self._last: dict[str, float] = {}
        self._present: dict[str, dict[str, float]] = {}

    def see(self, window: Window) -> None:
        """Take in a closed window of a host that spoke."""
        if window.role != self.spec.role:
            return
        self._last[window.host] = max(window.last, self._last.get(window.host, -math.inf))
        present = self._present.setdefault(window.host, {})
        for device, time in window.present.items():
            if time == -math.inf:
                present.pop(device, None)
            elif len(present) < MAX_DEVICES or device in present:
                present[device] = time

    def hear_late(self, host: str, time: float) -> None:
        """A host that is watched had spoken at `time` (s), though its row came late."""
        if host in self._last:
            self._last[host] = max(time, self._last[host])

    def anybody_there(self, host: str) -> bool:
        """Whether clients were there when the host last spoke."""
        last = self._last[host]
        return any(last - time < self.spec.expire_s for time in self._present.get(host, {}).values())

    def silent(
        self, spoke: set[str], end: float, limits: Mapping[str, SilenceLimits | None], since: float = -math.inf
    ) -> list[Silence]:
        """Hosts with no rows in the window that ends at `end` (s) and quiet beyond their limit, in order of name.

        `limits` is by host name; quiet time counts from `since` (s) at the earliest. Hosts gone for a day are forgotten.
        """
        found = []
        for host in sorted(self._last.keys() - spoke):
            quiet = end - self._last[host]
            if quiet > FORGET_S:
                del self._last[host]
                self._present.pop(host, None)
                continue
            limit = self._limit(host, limits.get(host))
            if limit is not None and min(quiet, end - since) > limit:
                found.append(Silence(host, quiet, limit, self.spec))
        return found

    def _limit(self, host: str, known: SilenceLimits | None) -> float | None:
        if known is None:
            return None
        spec = self.spec
        if self.anybody_there(host):
            longest = known.present if known.present is not None else known.empty
            factor = 1.0
        else:
            # of a host that was never without clients nobody knows how quiet it is then
            longest, factor = known.empty, spec.empty_factor
            if longest is not None and known.present is not None:
                longest = max(longest, known.present)
        return None if longest is None else max(spec.min_s, spec.factor * factor * longest + spec.slack_s)

    def memory(self) -> dict[str, Any]:
        """What must survive a restart, for JSON."""
        return {"last": dict(self._last), "present": {host: dict(there) for host, there in self._present.items()}}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave."""
        self._last = {str(host): float(time) for host, time in memory.get("last", {}).items()}
        self._present = {
            str(host): {str(device): float(time) for device, time in there.items()}
            for host, there in memory.get("present", {}).items()
        }
