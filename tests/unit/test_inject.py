"""Injected faults: lines that the agent's own patterns know, laid where they belong, the same for the same seed."""

from __future__ import annotations

import itertools
import random

import pytest

from shared.agent import UNKNOWN, AgentSpec, builtin_agents
from shared.events import EventParser
from shared.values import Row
from tests.rows import START, in_order, join, leave, row
from trainer.inject import BUSIER, LINES, SILENCE, Cast, FaultSpec, Planned, context_s, lay, load_faults, plan

AGENTS = builtin_agents()
WIFI = AGENTS["wifi"]
FIRST = int(START // WIFI.window_s)
BY_NAME = {fault.name: fault for fault in load_faults("wifi")}
# Three hours of one client that comes and goes.
CALM = in_order(*(rows for k in range(36) for rows in (join(300.0 * k + 10), leave(300.0 * k + 200))))
STATION = [
    row(5.0, "wlan0: Trying to associate with 02:aa:00:00:00:01 (SSID='Home' freq=2412 MHz)", "phone", "wpa_supplicant")
]


def cast_of(rows: list[Row]) -> Cast:
    cast = Cast(WIFI)
    for each in rows:
        cast.see(each)
    return cast


def at(fault: FaultSpec, start: float = 7_800.0, lasts: float = 600.0, host: str = "ap1") -> Planned:
    return Planned(fault, host, START + start, START + start + lasts, "seed")


@pytest.mark.parametrize("agent", AGENTS)
def test_every_line_of_every_fault_is_understood_by_its_agent(agent: str) -> None:
    spec: AgentSpec = AGENTS[agent]
    parser, rng = EventParser(spec), random.Random(1)
    cast = Cast(spec)
    for each in STATION:
        cast.see(each)
    for fault in load_faults(agent):
        assert fault.role == "any" or fault.role in spec.role_names
        parts = cast.parts(at(fault, host="phone"), rng)
        assert parts is not None or agent != "wifi", fault.name
        for _, program, severity, text in fault.lines:
            assert program in spec.programs
            message = text.format(**(parts or cast.parts(at(fault), rng) or {}))
            assert parser.parse(program, severity, message).event != UNKNOWN, message


@pytest.mark.parametrize("agent", AGENTS)
def test_the_names_that_are_right_are_names_the_agent_gives(agent: str) -> None:
    spec = AGENTS[agent]
    given = {rule.names for rule in spec.rules} | ({spec.silence.type} if spec.silence else set())
    assert {name for fault in load_faults(agent) for name in fault.types} <= given


@pytest.mark.parametrize("name", [name for name, fault in BY_NAME.items() if fault.kind == LINES])
def test_a_fault_adds_its_lines_in_time_order_and_within_its_time(name: str) -> None:
    planned = at(BY_NAME[name])
    rows = lay(planned, CALM, cast_of([*CALM, *STATION]))
    assert rows is not None
    added = [each for each in rows if each[0] == -1]
    assert len(added) >= len(planned.spec.lines)
    assert rows == sorted(rows, key=lambda each: each[1])
    assert all(planned.start <= each[1] < planned.end and each[2] == "ap1" for each in added)
    assert [each for each in rows if each[0] != -1] == CALM
    assert rows == lay(planned, CALM, cast_of([*CALM, *STATION])), "the same seed writes the same rows"


def test_silence_takes_the_hosts_rows_away() -> None:
    planned = at(BY_NAME["silence"], 3_000.0, 3_000.0)
    rows = lay(planned, CALM, cast_of(CALM))
    assert rows is not None
    assert [each for each in rows if planned.start <= each[1] < planned.end] == []
    assert len(rows) < len(CALM)


def test_a_rate_shift_makes_the_same_rows_come_as_many_times_as_often() -> None:
    fault = FaultSpec("x", "x", "any", (), (900, 900), kind=BUSIER, factor=(8.0, 8.0))
    planned = at(fault, 7_200.0, 900.0)
    rows = lay(planned, CALM, cast_of(CALM)) or []
    usual = len([each for each in CALM if START <= each[1] < START + 7_200]) / 8
    during = len([each for each in rows if planned.start <= each[1] < planned.end])
    assert during == pytest.approx(9 * usual, rel=0.1)
    assert lay(planned, CALM[:4], cast_of(CALM)) is None, "who hardly writes has no rate"


def test_a_host_that_names_no_network_cannot_be_lured_away() -> None:
    assert lay(at(BY_NAME["evil_twin"]), CALM, cast_of(CALM)) is None


def test_faults_keep_apart_from_each_other_and_from_what_is_not_clean() -> None:
    clean = {"ap": {"ap1": list(range(FIRST, FIRST + 600))}}
    bad = {("ap1", FIRST + k) for k in range(200, 260)}
    planned = plan(load_faults("wifi"), clean, WIFI, (FIRST, FIRST + 600), each=3, seed=1, avoid=bad)
    assert len(planned) > 8
    spans = [(one.start // WIFI.window_s, one.end // WIFI.window_s) for one in planned]
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert start - end >= 2 * WIFI.long_windows
    assert not any(
        (one.host, index) in bad
        for one, (s, e) in zip(planned, spans, strict=True)
        for index in range(int(s), int(e) + 1)
    )
    assert planned == plan(load_faults("wifi"), clean, WIFI, (FIRST, FIRST + 600), each=3, seed=1, avoid=bad)
    assert planned != plan(load_faults("wifi"), clean, WIFI, (FIRST, FIRST + 600), each=3, seed=2, avoid=bad)


def test_too_little_room_means_fewer_faults_not_an_error() -> None:
    assert (
        plan(load_faults("wifi"), {"ap": {"ap1": [FIRST, FIRST + 1]}}, WIFI, (FIRST, FIRST + 2), each=3, seed=1) == []
    )
    assert plan(load_faults("wifi"), {}, WIFI, (FIRST, FIRST + 500), each=3, seed=1) == []


def test_an_agent_without_a_file_gets_the_faults_that_need_none() -> None:
    assert {fault.kind for fault in load_faults("nobody_knows")} == {BUSIER, SILENCE}


def test_a_silence_needs_the_memory_of_who_was_there() -> None:
    assert WIFI.silence is not None
    assert context_s(at(BY_NAME["silence"]), WIFI) >= WIFI.silence.expire_s
