"""Which clock is believed when the source's jumps."""

from __future__ import annotations

import pytest

from inference.source import Head
from inference.sources.steady import CONFIRMED_S, JUMP_S, SteadyClock

NOW = 1_773_350_160.0


class Clocks:
    """The source's clock and the machine's own seconds, moved by hand."""

    def __init__(self) -> None:
        self.source, self.ours = NOW, 50.0
        self._steady = SteadyClock(lambda: self.ours)

    def believed(self, pass_s: float = 0.0, jump_s: float = 0.0, newest: float | None = None) -> float:
        """What time it is taken to be after so many seconds, and a jump of the source's clock."""
        self.ours += pass_s
        self.source += pass_s + jump_s
        return self._steady.steady(Head(7, self.source, newest)).now - NOW


@pytest.fixture
def clocks() -> Clocks:
    made = Clocks()
    assert made.believed() == 0, "the first time is believed, there is no other"
    return made


@pytest.mark.parametrize("step", [JUMP_S, -JUMP_S, 1.0])
def test_a_small_step_is_believed_at_once(clocks: Clocks, step: float) -> None:
    assert clocks.believed(10, step) == 10 + step
    assert clocks.believed(10, step) == 20 + 2 * step, "each counts from the one before"


@pytest.mark.parametrize("jump", [JUMP_S + 1, -86_400.0, -NOW])
def test_a_jump_is_held_back_and_time_goes_on_as_before(clocks: Clocks, jump: float) -> None:
    assert clocks.believed(10, jump) == 10
    assert clocks.believed(30) == 40
    assert clocks.believed(5, -jump) == 45, "it jumped back: nothing has happened"
    assert clocks.believed(CONFIRMED_S, jump) == 45 + CONFIRMED_S, "the next jump waits from its own beginning"


def test_a_jump_is_believed_when_the_newest_row_is_of_that_time(clocks: Clocks) -> None:
    late = clocks.source + 10 + 86_400 - CONFIRMED_S
    assert clocks.believed(10, 86_400, newest=late - 1) == 10
    assert clocks.believed(0, 0, newest=late) == 10 + 86_400


def test_a_jump_that_lasts_ten_minutes_is_believed_without_a_row(clocks: Clocks) -> None:
    assert clocks.believed(0, 3_600) == 0
    assert clocks.believed(CONFIRMED_S - 1) == CONFIRMED_S - 1
    assert clocks.believed(1) == 3_600 + CONFIRMED_S
