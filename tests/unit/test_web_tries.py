"""Guessing a secret: five tries a minute from one address, whatever others do."""

from __future__ import annotations

import flask
import pytest
from werkzeug.exceptions import TooManyRequests

from shared.web import tries
from shared.web.tries import Tries, sender
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


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::7", "2001:db8:1:3::/64"),
        ("fe80::1%wlan0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_network_of_ipv6_counts_as_one_address(address: str, counted: str) -> None:
    assert sender(address) == counted


def test_another_address_of_the_same_ipv6_network_gives_no_further_tries() -> None:
    view = Tries(2, 60.0, Clock()).limited(lambda: "")
    app = flask.Flask("tries")
    for n in range(2):
        with app.test_request_context(method="POST", environ_base={"REMOTE_ADDR": f"2001:db8::{n}"}):
            view()
    with (
        app.test_request_context(method="POST", environ_base={"REMOTE_ADDR": "2001:db8::beef"}),
        pytest.raises(TooManyRequests),
    ):
        view()
    with app.test_request_context(method="POST", environ_base={"REMOTE_ADDR": "2001:db8:0:1::1"}):
        view()
