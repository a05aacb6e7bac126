"""A host that is sure of something names what its neighbours see in the same half hour."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from shared.agent import AgentSpec, builtin_agents, parse_agent
from shared.causes import Causes
from shared.errors import ConfigError
from shared.values import Verdict
from tests.rows import START


@pytest.fixture(scope="module")
def wifi() -> AgentSpec:
    return builtin_agents()["wifi"]


def verdict(host: str, kind: str | None, found_by: str = "rule", at: float = 0, confidence: float = 0.8) -> Verdict:
    return Verdict(
        agent="wifi", host=host, window_start=START + at, window_end=START + at + 300, role="ap", rows=9, score=0.5,
        rarity=10.0, is_anomaly=kind is not None, type=kind, severity="critical" if kind else None,
        confidence=confidence if kind else None, description=f"{kind} at {host}", features={}, explanation=(),
        model_version="", found_by=found_by if kind else "",
    )  # fmt: skip


def apply(causes: Causes, *verdicts: Verdict) -> list[Verdict]:
    return causes.apply(verdicts, verdicts[0].window_end)


def test_a_false_access_point_names_the_disturbance_beside_it(wifi: AgentSpec) -> None:
    lured, beside, calm = apply(
        Causes(wifi), verdict("cam", "evil_twin"), verdict("ap1", "deauth_flood"), verdict("ap2", None)
    )
    assert lured.type == "evil_twin"
    assert lured.description == "evil_twin at cam"
    assert (beside.type, beside.severity) == ("evil_twin", "critical")
    assert beside.confidence is not None
    assert beside.confidence > 0.8
    assert "cam" in beside.description
    assert not calm.is_anomaly


def test_what_the_model_only_guesses_explains_nothing(wifi: AgentSpec) -> None:
    _, beside = apply(Causes(wifi), verdict("cam", "evil_twin", "model"), verdict("ap1", "deauth_flood"))
    assert beside.type == "deauth_flood"


def test_clients_that_a_flood_drives_to_the_neighbour_flap_there_because_of_it(wifi: AgentSpec) -> None:
    told, neighbour = apply(Causes(wifi), verdict("ap1", "deauth_flood"), verdict("ap2", "sta_flapping"))
    assert (told.host, told.type) == ("ap1", "deauth_flood")
    assert (neighbour.host, neighbour.type) == ("ap2", "deauth_flood")
    assert neighbour.description.startswith("ap2 is disturbed by what happens at ap1")


def test_a_kind_with_its_own_name_keeps_it(wifi: AgentSpec) -> None:
    _, beside = apply(Causes(wifi), verdict("cam", "evil_twin"), verdict("ap1", "psk_bruteforce"))
    assert beside.type == "psk_bruteforce"


def test_a_cause_holds_for_the_half_hour_and_no_longer(wifi: AgentSpec) -> None:
    causes = Causes(wifi)
    apply(causes, verdict("ap2", "ap_crash_loop"))
    (within,) = apply(causes, verdict("ap1", "deauth_flood", at=1500))
    (after,) = apply(causes, verdict("ap1", "deauth_flood", at=1800))
    assert (within.type, after.type) == ("ap_crash_loop", "deauth_flood")


def test_causes_survive_a_restart(wifi: AgentSpec) -> None:
    before, after = Causes(wifi), Causes(wifi)
    apply(before, verdict("cam", "mac_spoofing"))
    after.restore(json.loads(json.dumps(before.memory())))
    (beside,) = apply(after, verdict("ap1", "sta_flapping", at=300))
    assert beside.type == "mac_spoofing"


def test_an_agent_without_the_section_changes_nothing(wifi: AgentSpec) -> None:
    found = [verdict("cam", "evil_twin"), verdict("ap1", "deauth_flood")]
    assert apply(Causes(replace(wifi, explains={})), *found) == found


def test_a_kind_that_nothing_says_is_a_fault_of_the_agent_file(wifi: AgentSpec) -> None:
    text = wifi.raw.replace(b"  evil_twin: [deauth_flood", b"  evil_twin: [deauth_flod")
    with pytest.raises(ConfigError) as caught:
        parse_agent(text, "agent.yaml")
    assert "deauth_flod" in str(caught.value.faults)
