"""Guessing a secret: five tries a minute from one address, whatever others do."""

from __future__ import annotations

from shared.web import tries
from shared.web.tries import Tries
from tests.fakes import Clock


def test_the_sixth_try_of_a_minute_is_refused_and_the_next_minute_begins_anew() -> None:
    clock = Clock()
    mine = Tries(5, 60.0, clock)
    assert [mine.take("a") for _ in range(7)] == [4, 3, 2, 1, 0, None, None]
    assert mine.take("b") == 4, "another address has its own"
    clock.pass_(59.9)
    assert mine.take("a") is None
    clock.pass_(0.1)
    assert mine.take("a") == 4


def test_an_address_for_each_try_does_not_fill_the_memory() -> None:
    mine = Tries(5, 60.0, Clock())
    for n in range(tries.ADDRESSES_MOST + 500):
        mine.take(str(n))
    assert len(mine._seen) == tries.ADDRESSES_MOST
    assert mine.take("0") == 4, "the first one is forgotten"
