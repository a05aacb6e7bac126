"""The source's clock, believed as long as it runs like this machine's monotonic one.

The embedded store's clock is this machine's, and a Pi without a clock chip jumps: to 1970 at boot, to the right time when
the network comes, to nonsense when a time server lies. A jump is held back until the log itself confirms it (its newest
row is of that time) or it has lasted ten minutes; until then time goes on as before.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from inference.source import Head

JUMP_S = 300.0
CONFIRMED_S = 600.0


def boot_time() -> float:
    """Seconds that only go forward, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Gives each head the time that is believed."""

    def __init__(self, monotonic: Callable[[], float] = boot_time) -> None:
        self._monotonic = monotonic
        self._anchor: tuple[float, float] | None = None  # (source's clock, ours)
        self._since: float | None = None  # when a jump was first seen

    def steady(self, head: Head) -> Head:
        """The head with the time to go by."""
        ours = self._monotonic()
        if self._anchor is None:
            self._anchor = (head.now, ours)
        expected = self._anchor[0] + ours - self._anchor[1]
        if abs(head.now - expected) <= JUMP_S:
            self._anchor, self._since = (head.now, ours), None
            return head
        self._since = ours if self._since is None else self._since
        told_by_rows = head.time is not None and abs(head.time - head.now) <= CONFIRMED_S
        if told_by_rows or ours - self._since >= CONFIRMED_S:
            self._anchor, self._since = (head.now, ours), None
            return head
        return replace(head, now=expected)
