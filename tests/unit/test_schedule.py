"""When things are due, with a clock of our own."""

from __future__ import annotations

import threading

from inference.schedule import LAST_BACKOFF_S, Backoff, Every, Wake


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_a_step_is_due_at_once_and_then_each_interval() -> None:
    clock = Clock()
    every = Every(30.0, clock)
    assert every.due()
    assert not every.due()
    assert every.left_s() == 30.0
    clock.now += 30
    assert every.due()


def test_missed_ticks_are_skipped_and_the_beat_is_kept() -> None:
    clock = Clock()
    every = Every(30.0, clock)
    assert every.due()
    clock.now += 100
    assert every.due()
    assert not every.due()
    assert every.left_s() == 20.0


def test_hurry_makes_a_step_due() -> None:
    clock = Clock()
    every = Every(30.0, clock)
    every.due()
    every.hurry()
    assert every.due()


def test_waits_grow_to_five_minutes_and_start_over_after_success() -> None:
    clock = Clock()
    backoff = Backoff(clock, draw=lambda low, high: high)
    waits = [backoff.failed() for _ in range(12)]
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == LAST_BACKOFF_S
    assert not backoff.ready()
    clock.now += LAST_BACKOFF_S
    assert backoff.ready()
    backoff.succeeded()
    assert backoff.failed() == 1.0


def test_a_ring_ends_the_wait_and_is_heard_once() -> None:
    wake = Wake()

    def ring() -> None:
        for _ in range(100_000):
            wake.ring()

    ringer = threading.Thread(target=ring)
    ringer.start()
    assert wake.wait(10.0)
    ringer.join()
    wake.wait(0.0)
    assert not wake.wait(0.0)
    wake.close()
