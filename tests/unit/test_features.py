"""Windows are a pure function of their rows, whatever order, batch or neighbour they come in."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from shared import features, panes
from shared.agent import AgentSpec, builtin_agents
from shared.features import FeatureExtractor, Window, windows
from shared.panes import MAX_CELLS
from shared.reference import Known, hashed
from shared.values import Row
from tests.rows import AP, MAC, START, STATION, in_order, join, leave, row, wrong_password


@pytest.fixture(scope="module")
def wifi() -> AgentSpec:
    return builtin_agents()["wifi"]


def extract(spec: AgentSpec, rows: list[Row], known: Known | None = None) -> list[Window]:
    return list(windows(rows, FeatureExtractor(spec, known) if known else FeatureExtractor(spec)))


def named(spec: AgentSpec, vector: Sequence[float]) -> dict[str, float]:
    return dict(zip([feature.name for feature in spec.features], vector, strict=True))


def test_one_try_with_a_wrong_password_counts_once_though_it_writes_four_lines(wifi: AgentSpec) -> None:
    (window,) = extract(wifi, in_order(wrong_password(10), wrong_password(60)))
    values = named(wifi, window.short)
    assert values["psk_attempts"] == 2
    assert values["auth_failures"] == 8
    assert values["unfinished_joins"] == 2
    assert values["kicks"] == 2


def test_a_finished_join_is_not_unfinished(wifi: AgentSpec) -> None:
    (window,) = extract(wifi, in_order(join(10, 1), join(20, 2)))
    values = named(wifi, window.short)
    assert (values["joins"], values["unfinished_joins"], values["devices"]) == (2, 0, 2)
    assert window.role == "ap"


def test_what_a_host_cannot_have_is_missing_not_zero(wifi: AgentSpec) -> None:
    (window,) = extract(wifi, in_order(join(10)))
    values = named(wifi, window.short)
    assert math.isnan(values["mean_signal_strength"])  # access points log no signal
    assert math.isnan(values["connects"])  # a station's feature
    station = extract(wifi, [row(5, "wlan0: CTRL-EVENT-BEACON-LOSS ", "cam", STATION)])[0]
    assert named(wifi, station.short)["beacon_losses"] == 1
    assert math.isnan(named(wifi, station.short)["psk_attempts"])


def test_signal_statistics_leave_out_sentinels(wifi: AgentSpec) -> None:
    lines = [(10, -50, 65000), (70, -60, 13000), (130, -70, 6500), (190, -9999, 0)]
    rows = [
        row(t, f"wlan0: CTRL-EVENT-SIGNAL-CHANGE above=0 signal={dbm} noise=9999 txrate={rate}", "cam", STATION)
        for t, dbm, rate in lines
    ]
    values = named(wifi, extract(wifi, rows)[0].short)
    assert values["mean_signal_strength"] == -60
    assert values["signal_strength_trend"] == pytest.approx(-10)
    assert values["std_signal_strength"] == pytest.approx(math.sqrt(200 / 3))


def test_the_long_view_looks_back_half_an_hour_and_no_further(wifi: AgentSpec) -> None:
    rows = in_order(*(wrong_password(10 + 300 * k) for k in range(8)))
    found = extract(wifi, rows)
    assert [named(wifi, w.short)["psk_attempts"] for w in found] == [1] * 8
    assert [named(wifi, w.long)["psk_attempts"] for w in found] == [1, 2, 3, 4, 5, 6, 6, 6]
    assert [named(wifi, w.long)["devices"] for w in found] == [1] * 8


def test_merged_counts_equal_counts_made_in_one_pane(wifi: AgentSpec) -> None:
    """What is merged over panes is what one wide pane would count, for features that are no sums."""
    rows = in_order(*(join(20 + 250 * k, k % 3) for k in range(7)), *(leave(120 + 250 * k, k % 3) for k in range(6)))
    last = named(wifi, extract(wifi, rows)[-1].long)
    assert last["most_joins"] == 3
    assert last["devices"] == 3
    assert last["unfinished_joins"] == 0


def test_rows_in_any_order_give_the_same_counts(wifi: AgentSpec) -> None:
    rows = in_order(join(5, 1), join(100, 2), wrong_password(150, 3), leave(250, 1))
    shuffled = rows.copy()
    random.Random(4).shuffle(shuffled)

    def counts(some: list[Row]) -> dict[str, float]:
        extractor = FeatureExtractor(wifi)
        for one in some:
            extractor.add(one)
        values = named(wifi, extractor.close(math.inf)[0].short)
        return {name: values[name] for name in ("lines", "joins", "devices", "unfinished_joins", "most_joins")}

    assert counts(rows) == counts(shuffled)


def test_a_window_does_not_depend_on_other_hosts(wifi: AgentSpec) -> None:
    mine = in_order(join(10, 1), wrong_password(400, 2))
    others = in_order(*(join(15 + k, k, "ap2") for k in range(20)))
    alone = extract(wifi, mine)
    among = [w for w in extract(wifi, in_order(mine, others)) if w.host == "ap1"]
    assert len(alone) == 2
    # repr tells NaN equal to NaN and every other figure apart
    assert [repr((w.start, w.short, w.long)) for w in among] == [repr((w.start, w.short, w.long)) for w in alone]


def test_repeat_counters_are_expanded(wifi: AgentSpec) -> None:
    noack = f"wlan0: STA {MAC.format(7)} IEEE 802.11: did not acknowledge authentication response"
    rows = [row(1, noack), row(2, "last message repeated 9 times"), row(3, f"message repeated 5 times: [ {noack}]")]
    assert named(wifi, extract(wifi, rows)[0].short)["unacknowledged"] == 15


def test_a_row_after_its_window_was_closed_is_counted_as_late_and_changes_nothing(wifi: AgentSpec) -> None:
    extractor = FeatureExtractor(wifi)
    extractor.add(row(10, "wlan0: AP-ENABLED "))
    assert len(extractor.close(START + 300)) == 1
    extractor.add(row(20, "wlan0: AP-ENABLED "))
    assert extractor.late == 1
    assert extractor.close(math.inf) == []


def test_lines_of_other_things_in_the_kernels_log_do_not_count(wifi: AgentSpec) -> None:
    rows = [*join(10), row(20, "usb 1-1: new high-speed USB device number 4", program="kernel")]
    (window,) = extract(wifi, rows)
    assert window.rows == 4
    assert named(wifi, window.short)["unknown_lines"] == 0


def test_a_flood_of_different_messages_keeps_counts_exact_and_memory_bounded(wifi: AgentSpec) -> None:
    flood = [
        row(
            k * 0.01,
            f"wlan0: STA 02:00:{k >> 16 & 255:02x}:{k >> 8 & 255:02x}:{k & 255:02x}:01 IEEE 802.11: authenticated",
        )
        for k in range(MAX_CELLS + 3_000)
    ]
    extractor = FeatureExtractor(wifi)
    for one in flood:
        extractor.add(one)
    (pane,) = (pane for host in extractor._hosts.values() for pane in host.open.values())
    assert len(pane.cells) <= MAX_CELLS + 2
    (window,) = extractor.close(math.inf)
    values = named(wifi, window.short)
    assert window.sampled
    assert values["authentications"] == len(flood)
    assert values["devices"] >= MAX_CELLS


def test_a_flood_over_many_hosts_shares_one_room_and_leaves_an_ordinary_host_alone(
    wifi: AgentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panes, "CROWDED", ((500, MAX_CELLS), (1000, 60), (1500, 40)))
    monkeypatch.setattr(panes, "MOST_ORDERED", 700)
    monkeypatch.setattr(features, "ROOMY", 500)
    for module in (panes, features):
        monkeypatch.setattr(module, "FREE_ORDERED", 50)
    joined = "wlan0: STA 02:00:00:00:{}:{} IEEE 802.11: authenticated"
    flood = [row(n * 0.05, joined.format(f"{n % 256:02x}", f"{n >> 8:02x}"), f"ap{n % 10 + 2}") for n in range(5000)]
    usual = [join(150 + n, n, "ap1") for n in range(8)]
    extractor = FeatureExtractor(wifi)
    for one in in_order(flood, *usual):
        extractor.add(one)
    kept = [pane for host in extractor._hosts.values() for pane in host.open.values()]
    assert sum(len(pane.cells) for pane in kept) < 1500
    assert sum(len(pane.ordered) for pane in kept) <= 700 + 11 * 50
    found = {window.host: window for window in extractor.close(math.inf)}
    assert not found["ap1"].sampled
    assert named(wifi, found["ap1"].short)["devices"] == 8
    assert {window.sampled for host, window in found.items() if host != "ap1"} == {True}
    assert named(wifi, found["ap2"].short)["authentications"] == 500, "counts of events stay exact"


def test_long_messages_are_kept_in_short(wifi: AgentSpec) -> None:
    extractor = FeatureExtractor(wifi)
    cell = extractor.add(row(1, "wlan0: Trying to associate with SSID '" + "s" * 4000 + "'", program=STATION))
    (window,) = extractor.close(math.inf)
    assert max(len(value) for value in cell.fields.values()) <= panes.MAX_FIELD
    assert len(window.samples[0][2]) == panes.MAX_TEXT
    assert not extractor._cells


def test_an_access_point_never_seen_counts_only_for_a_network_that_is_known(wifi: AgentSpec) -> None:
    salt = "s"
    known = Known(
        salt,
        frozenset({hashed(salt, "ssid", "Home")}),
        frozenset({hashed(salt, "target", "Home", MAC.format(1), "2412")}),
    )
    lines = [
        f"wlan0: SME: Trying to authenticate with {MAC.format(1)} (SSID='Home' freq=2412 MHz)",
        f"wlan0: SME: Trying to authenticate with {MAC.format(2)} (SSID='Home' freq=2412 MHz)",
        f"wlan0: SME: Trying to authenticate with {MAC.format(1)} (SSID='Home' freq=5180 MHz)",
        f"wlan0: SME: Trying to authenticate with {MAC.format(3)} (SSID='Cafe' freq=2412 MHz)",
    ]
    rows = [row(k, line, "laptop", STATION) for k, line in enumerate(lines)]
    assert named(wifi, extract(wifi, rows, known)[0].short)["new_ap_attempts"] == 2


def test_a_crash_says_no_goodbye_a_restart_does(wifi: AgentSpec) -> None:
    crash = [row(100 + 40 * k, "wlan0: AP-ENABLED ") for k in range(3)]
    assert named(wifi, extract(wifi, crash)[0].short)["restarts"] == 3
    planned = [row(100, "wlan0: AP-DISABLED "), row(105, "wlan0: AP-ENABLED ")]
    assert named(wifi, extract(wifi, planned)[0].short)["restarts"] == 0


def test_every_builtin_agent_extracts_something() -> None:
    for spec in builtin_agents().values():
        program = (spec.roles[0].programs if spec.roles else spec.programs)[0]
        found = extract(spec, [(1, START, "h", program, "", 6, "a line that nobody knows")])
        assert len(found) == 1
        assert named(spec, found[0].short)["lines"] == 1


def test_programs_of_no_role_do_not_decide_what_a_host_is(wifi: AgentSpec) -> None:
    rows = [row(k, "brcmfmac: brcmf_cfg80211_scan: scan error", "pi", "kernel") for k in range(9)]
    rows.append(row(20, "wlan0: CTRL-EVENT-BEACON-LOSS ", "pi", STATION))
    assert extract(wifi, rows)[0].role == "station"
    assert AP in wifi.programs
