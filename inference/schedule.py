"""When the daemon does something: a wake-up that signals and threads may ring, and how long to wait after a failure.

All time is monotonic: a Pi has no clock at boot, and the right time may arrive in the middle of a run.
"""

from __future__ import annotations

import random
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST_BACKOFF_S = 1.0
LAST_BACKOFF_S = 300.0


class InterruptedByWishError(Exception):
    """Somebody wants the daemon to end or to read its settings: what was not saved by now has not happened."""


class Wake:
    """A bell: `ring` may be called from a signal handler or another thread, `wait` from the main one.

    A socket pair and not a threading.Event, because a handler that interrupts Event.wait can deadlock on its lock.
    """

    def __init__(self) -> None:
        self._inner, self._outer = socket.socketpair()
        self._inner.setblocking(False)
        self._outer.setblocking(False)

    def ring(self) -> None:
        """End the running or the next `wait`; ringing twice is once."""
        try:
            self._outer.send(b"\0")
        except BlockingIOError:
            return  # the bell rings already

    def wait(self, timeout_s: float) -> bool:
        """Whether it rang within `timeout_s`; takes all rings at once."""
        rang = bool(select.select([self._inner], [], [], max(timeout_s, 0.0))[0])
        while rang:
            try:
                self._inner.recv(4096)
            except BlockingIOError:
                break
        return rang

    def close(self) -> None:
        """Let go of both ends."""
        self._inner.close()
        self._outer.close()


@dataclass
class Every:
    """A step that is due every `interval_s`; ticks that were missed are skipped, not made up for."""

    interval_s: float
    clock: Callable[[], float]
    due_at: float = field(default=0.0)

    def due(self) -> bool:
        """Whether the time has come; if so, the next one is set."""
        now = self.clock()
        if now < self.due_at:
            return False
        missed = int((now - self.due_at) // self.interval_s) if self.due_at else 0
        self.due_at = (self.due_at + (missed + 1) * self.interval_s) if self.due_at else now + self.interval_s
        return True

    def hurry(self) -> None:
        """Make it due at once."""
        self.due_at = min(self.due_at, self.clock())

    def left_s(self) -> float:
        """Seconds until it is due."""
        return max(0.0, self.due_at - self.clock())


@dataclass
class Backoff:
    """Waits that grow from 1 s to 5 min and are drawn evenly from nothing to that ("full jitter").

    Many Pis whose database comes back must not all ask at once.
    """

    clock: Callable[[], float]
    draw: Callable[[float, float], float] = random.uniform
    failures: int = 0
    until: float = 0.0

    def failed(self) -> float:
        """Note a failure; returns the seconds to wait."""
        longest = min(LAST_BACKOFF_S, FIRST_BACKOFF_S * 2.0 ** min(self.failures, 20))
        self.failures += 1
        wait_s = self.draw(0.0, longest) if self.failures > 1 else FIRST_BACKOFF_S
        self.until = self.clock() + wait_s
        return wait_s

    def succeeded(self) -> None:
        """Note that it works again."""
        self.failures, self.until = 0, 0.0

    def ready(self) -> bool:
        """Whether the wait is over."""
        return self.clock() >= self.until

    def left_s(self) -> float:
        """Seconds of waiting left."""
        return max(0.0, self.until - self.clock())
