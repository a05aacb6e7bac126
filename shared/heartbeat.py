"""A host that always talked and then says nothing is an anomaly, whatever it is: a station, a login server.

Only hosts are watched that training saw talk steadily (`HeartbeatSpec`): one that is switched off at night is none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from shared.agent import HeartbeatSpec
from shared.features import Window
from shared.reference import SilenceLimits
from shared.silence import FORGET_S, Silence


class Heartbeats:
    """Remembers when steady hosts spoke last. Fed with all windows of one span after the other."""

    def __init__(self, specs: Iterable[HeartbeatSpec]) -> None:
        self._specs = {spec.role: spec for spec in specs}
        self._last: dict[str, tuple[float, str]] = {}  # host → time of its last row, role

    def hear(self, spoke: Iterable[Window], limits: Mapping[str, SilenceLimits | None]) -> None:
        """Take in the windows of one span; `limits` is by host name."""
        for window in spoke:
            limit = limits.get(window.host)
            if window.role in self._specs and limit is not None and limit.steady is not None:
                self._last[window.host] = (window.last, window.role)
            else:
                self._last.pop(window.host, None)

    def hear_late(self, host: str, time: float) -> None:
        """A host that is watched had spoken at `time` (s), though its row came late."""
        if host in self._last:
            last, role = self._last[host]
            self._last[host] = max(time, last), role

    def silent(
        self, spoke: set[str], end: float, limits: Mapping[str, SilenceLimits | None], since: float = -math.inf
    ) -> list[Silence]:
        """Steady hosts with no rows in the span that ends at `end` (s) and quiet beyond their limit, by name.

        Quiet time counts from `since` (s) at the earliest.
        """
        found = []
        for host in sorted(self._last.keys() - spoke):
            last, role = self._last[host]
            known, spec = limits.get(host), self._specs.get(role)
            if end - last > FORGET_S or spec is None or known is None or known.steady is None:
                del self._last[host]
                continue
            limit = max(spec.min_s, spec.factor * known.steady)
            if end - max(last, since) > limit:
                found.append(Silence(host, end - last, limit, spec))
        return found

    def memory(self) -> dict[str, Any]:
        """What must survive a restart, for JSON."""
        return {"last": {host: list(one) for host, one in self._last.items()}}

    def restore(self, memory: Mapping[str, Any]) -> None:
        """Take up what `memory` gave."""
        self._last = {str(host): (float(time), str(role)) for host, (time, role) in memory.get("last", {}).items()}
