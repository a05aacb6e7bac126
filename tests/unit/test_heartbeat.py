"""Hosts that always talk: their silence is noticed, that of hosts that come and go is not, that of all is one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from shared.agent import AgentSpec, HeartbeatSpec, builtin_agents, parse_agent
from shared.errors import ConfigError
from shared.features import Window
from shared.heartbeat import Heartbeats
from shared.pulse import Pulse
from shared.reference import NOTHING_KNOWN, SilenceLimits
from shared.silence import Silence
from shared.values import ALL_HOSTS
from tests.rows import START, STATION, in_order, row
from trainer.fitting.normal import silence_limits
from trainer.windows.table import tabulate

SPAN, HOUR, DAY = 300.0, 3600.0, 86_400.0
SPEC = HeartbeatSpec("station", "Gone", "gone", "warning", 0.6, "{host}", (), steady_s=HOUR, min_s=2 * HOUR, factor=4.0)
CAM, LAPTOP = SilenceLimits(None, None, 600.0), SilenceLimits(None, None)
LIMITS = {"cam": CAM, "printer": CAM, "laptop": LAPTOP, "stranger": None}
SCAN = "Connection closed by 203.0.113.7 port 40022 [preauth]"
REKEYED = "wlan0: WPA: Group rekeying completed with 02:00:00:00:00:01 [GTK=CCMP]"


def window(host: str, end: float, role: str = "station") -> Window:
    return Window(host, end - SPAN, end, role, 1, (), (), 1, False, (), end - 10, end - 10, {})


class Watch:
    """Heartbeats and the pulse of the log, as a judge has them."""

    def __init__(self) -> None:
        self.hearts, self.pulse = Heartbeats([SPEC]), Pulse()

    def see(self, spoke: list[Window], end: float) -> list[Silence]:
        self.pulse.hear(spoke)
        self.hearts.hear(spoke, LIMITS)
        since = max(self.pulse.since, self.pulse.woke)
        return self.pulse.told(self.hearts.silent({each.host for each in spoke}, end, LIMITS, since), bool(spoke), end)

    def memory(self) -> dict[str, Any]:
        return {"hearts": self.hearts.memory(), "pulse": self.pulse.memory()}

    def restore(self, memory: Mapping[str, Any]) -> None:
        self.hearts.restore(memory["hearts"])
        self.pulse.restore(memory["pulse"])


def told(
    talk: Mapping[str, float], hours: float, watch: Watch | None = None, begin: float = 0.0, every: int = 2
) -> dict[str, float]:
    """Who talks every ten minutes until which hour → who was told of, and at which hour first."""
    watch = watch or Watch()
    found: dict[str, float] = {}
    for n in range(int((hours - begin) * HOUR / SPAN)):
        end = begin * HOUR + (n + 1) * SPAN
        spoke = [window(host, end) for host, until in talk.items() if end <= until * HOUR and n % every == 0]
        for one in watch.see(spoke, end):
            found.setdefault(one.host, end / HOUR)
    return found


def test_a_steady_host_that_falls_silent_is_told_of_after_its_limit() -> None:
    found = told({"cam": 10, "printer": 30}, 30)
    assert list(found) == ["cam"]
    assert 11.9 < found["cam"] < 12.2  # two hours after its last line


def test_the_limit_grows_with_the_hosts_own_pauses() -> None:
    hearts = Heartbeats([SPEC])
    hearts.hear([window("cam", SPAN)], LIMITS)
    slow = {**LIMITS, "cam": SilenceLimits(None, None, HOUR)}
    assert not hearts.silent(set(), 4 * HOUR, slow)
    (silence,) = hearts.silent(set(), 5 * HOUR, slow)
    assert silence.limit_s == 4 * HOUR


@pytest.mark.parametrize("host", ["laptop", "stranger"])
def test_a_host_that_is_not_known_to_be_steady_may_go(host: str) -> None:
    assert told({host: 10, "printer": 30}, 30) == {}


def test_while_nobody_talks_the_log_is_away_and_afterwards_everybody_has_time() -> None:
    watch = Watch()
    away = told({"cam": 10, "printer": 10}, 20, watch)
    assert away.keys() == {ALL_HOSTS}, "one thing is told, not one of each host"
    assert 11.9 < away[ALL_HOSTS] < 12.2
    assert told({"printer": 30}, 30, watch, 20).keys() == {"cam"}, "it did not come back with the others"
    assert told({"cam": 40, "printer": 40}, 40, watch, 30) == {}


def test_after_the_log_was_away_no_host_is_told_of_before_it_could_speak() -> None:
    watch = Watch()
    told({"cam": 10, "printer": 10}, 20, watch)
    found = told({"printer": 30}, 30, watch, 20)
    assert 22 <= found["cam"] < 22.2


def test_who_was_missed_before_the_log_went_away_is_told_of_on_and_on() -> None:
    watch = Watch()
    told({"cam": 10, "printer": 13}, 13, watch)
    assert told({}, 13.5, watch, 13).keys() == {"cam"}
    assert told({}, 20, watch, 13.5).keys() == {"cam", ALL_HOSTS}


def test_the_log_that_is_away_is_told_in_words_that_name_who_is_missed() -> None:
    watch = Watch()
    told({"cam": 10, "printer": 10}, 11, watch)
    (one,) = [one for n in range(1, 30) for one in watch.see([], 11 * HOUR + n * SPAN)][:1]
    words = one.spec.description.format(host="x", minutes=1)
    assert (
        words
        == "all hosts have been silent since 1970-01-01 09:54 UTC (cam and printer were never that quiet in training)"
    )
    assert (one.spec.type, one.spec.role, one.spec.severity) == ("log_silent", "station", "warning")


def test_a_host_is_told_of_only_once_somebody_else_has_spoken() -> None:
    watch = Watch()
    told({"cam": 10, "printer": 11.5}, 11.5, watch)
    late = told({"printer": 30}, 30, watch, 11.5, every=7)
    assert late.keys() == {"cam"}, "its neighbours talk now and then: the log was there"
    assert 12 < late["cam"] < 12.7


def test_the_only_host_of_a_log_is_missed_too() -> None:
    assert told({"cam": 10}, 20).keys() == {"cam"}


def test_a_host_that_is_gone_for_a_day_is_forgotten() -> None:
    watch = Watch()
    told({"cam": 1, "printer": 40}, 30, watch)
    assert told({"printer": 40}, 40, watch, 30) == {}
    assert "cam" not in watch.hearts.memory()["last"]


def test_a_row_that_came_late_says_that_its_host_had_spoken() -> None:
    watch = Watch()
    told({"cam": 10, "printer": 30}, 11, watch)
    watch.hearts.hear_late("cam", 10.9 * HOUR)
    watch.hearts.hear_late("laptop", 10.9 * HOUR)
    assert told({"printer": 30}, 30, watch, 11)["cam"] > 12.8
    assert "laptop" not in watch.hearts.memory()["last"]


def test_a_late_row_of_anybody_says_that_the_log_was_there() -> None:
    watch = Watch()
    told({"cam": 10, "printer": 10}, 11.75, watch)
    watch.pulse.hear_late(11.7 * HOUR)
    assert 13.4 < told({}, 20, watch, 11.75)[ALL_HOSTS] < 13.7


def test_the_memory_survives_a_restart() -> None:
    for talk in ({"cam": 10, "printer": 30}, {"cam": 9, "printer": 9}):
        watch, again = Watch(), Watch()
        told(talk, 11.5, watch)
        again.restore(json.loads(json.dumps(watch.memory())))
        assert again.memory() == watch.memory()
        assert told({"printer": 30}, 30, again, 11.5) == told({"printer": 30}, 30, watch, 11.5)


@pytest.fixture(scope="module")
def wifi() -> AgentSpec:
    return builtin_agents()["wifi"]


def steady_of(spec: AgentSpec, talk: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Which stations training calls steady, from when each logged (in days, from..until)."""
    rows = [
        [row(at, REKEYED, host, STATION) for begin, end in spans for at in range(int(begin * DAY), int(end * DAY), 600)]
        for host, spans in talk.items()
    ]
    found = silence_limits(tabulate(in_order(*rows), spec, NOTHING_KNOWN))
    return {host: one.steady for host, one in found.items() if one.steady is not None}


def test_training_calls_steady_who_talked_every_day_without_a_long_pause(wifi: AgentSpec) -> None:
    found = steady_of(
        wifi,
        {
            "cam": [(0, 4)],
            "laptop": [(0.3, 0.7), (1.3, 1.7), (2.3, 2.7), (3.3, 3.9)],  # switched off at night
            "gone": [(0, 3)],  # carried away before the log ends
            "late": [(2.5, 4)],  # not there long enough
        },
    )
    assert found == {"cam": 600.0}
    assert START % DAY == 0, "the days of this test are days of the calendar"


def test_a_login_server_that_something_talks_to_all_day_is_steady() -> None:
    sshd = builtin_agents()["sshd"]
    rows = [row(at, SCAN, "gate", "sshd") for at in range(0, int(4 * DAY), 900)]
    quiet = [row(at, SCAN, "attic", "sshd") for at in range(0, int(4 * DAY), 5000)]
    found = silence_limits(tabulate(in_order(rows, quiet), sshd, NOTHING_KNOWN))
    assert {host: one.steady for host, one in found.items() if one.steady} == {"gate": 900.0}


def test_every_heartbeat_is_of_a_role_that_is_not_watched_already(wifi: AgentSpec) -> None:
    raw, begin = wifi.raw, b"heartbeats:\n  - role: "
    with pytest.raises(ConfigError) as taken:
        parse_agent(raw.replace(begin + b"station", begin + b"ap"), "wifi.yaml")
    assert any("heartbeats[0].role: 'ap' is watched for silence already" in fault for fault in taken.value.faults)
    with pytest.raises(ConfigError) as unknown:
        parse_agent(raw.replace(begin + b"station", begin + b"router"), "wifi.yaml")
    assert any("heartbeats[0].role: 'router' is no role" in fault for fault in unknown.value.faults)
