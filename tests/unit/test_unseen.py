"""Joins at a strange access point: a false one keeps stations out, one that only changed its channel lets them in."""

from __future__ import annotations

import pytest

from shared.agent import builtin_agents
from shared.features import FeatureExtractor, windows
from shared.reference import Known, hashed
from shared.values import Row
from tests.rows import START, in_order
from tests.scenarios import BSSID, FREQ, SSID, say, station_join
from trainer.labels import Episode, Faults
from trainer.windows.gather import gather

WIFI = builtin_agents()["wifi"]
PLACE = [feature.name for feature in WIFI.features].index("new_ap_attempts")
HOME = BSSID["ap1"]
KNOWN = Known(
    "salt",
    frozenset({hashed("salt", "ssid", SSID)}),
    frozenset({hashed("salt", "target", SSID, HOME, str(FREQ["ap1"])), hashed("salt", "target", SSID, HOME)}),
)


def attempts(*rows: list[Row], known: Known = KNOWN) -> float:
    (window,) = windows(in_order(*rows), FeatureExtractor(WIFI, known))
    return float(window.short[PLACE])


def kept_out(t: float, bssid: str, freq: int) -> list[Row]:
    return station_join(t, "phone", bssid=bssid, freq=freq)[:3]


def test_an_access_point_that_changed_its_channel_is_none_that_is_false() -> None:
    assert attempts(station_join(10, "phone", freq=2462)) == 0
    assert attempts(kept_out(10, HOME, 2462), station_join(40, "phone", freq=2462)) == 0, (
        "a weak station needs two tries"
    )


def test_a_copied_address_on_another_channel_counts() -> None:
    assert attempts(kept_out(10, HOME, 2462)) == 2, "nobody gets in"
    assert attempts(station_join(10, "phone"), station_join(60, "phone", freq=2462)) == 2, "the true one is still there"


def test_an_address_never_seen_counts_though_it_lets_stations_in() -> None:
    assert attempts(station_join(10, "phone", bssid="02:66:00:00:00:01", freq=2412)) == 2


def test_models_from_before_count_every_new_channel() -> None:
    older = Known(KNOWN.salt, KNOWN.networks, frozenset({hashed("salt", "target", SSID, HOME, str(FREQ["ap1"]))}))
    assert attempts(station_join(10, "phone", freq=2462), known=older) == 2


def test_training_asks_the_same_of_what_lies_in_a_known_episode() -> None:
    lured = kept_out(4000, HOME, 2462)
    episode = Episode("evil_twin", START + 3900, START + 4100, "phone", frozenset({"phone"}))
    rows = in_order(station_join(10, "phone"), lured)
    table = gather(rows, WIFI, "salt", faults=Faults((episode,))).tables.roles["station"]
    assert table.short[:, PLACE].tolist() == [0, 2], "nobody got in at the new channel, and that is not learnt"


@pytest.mark.parametrize("freq", [2412, 2462])
def test_a_network_that_is_not_known_says_nothing(freq: int) -> None:
    stranger = f"wlan0: Trying to associate with {HOME} (SSID='Cafe' freq={freq} MHz)"
    assert attempts(say("phone", [10], stranger)) == 0
