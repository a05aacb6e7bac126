"""Every attack and fault that logs can show is found, and its incident has the right name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from inference.incidents import Incident, Incidents
from shared.agent import builtin_agents
from shared.judge import Judge, replay
from shared.model import Model, load_model
from shared.values import Row
from tests.rows import START, in_order, write_export
from tests.scenarios import CASES, DAY, calm, wps_success
from tests.scenarios_rare import RARE, crowd, guessing_at_a_stock_debian
from trainer.model_config import load_model_config
from trainer.pipeline import train

DAYS = 3
AT = DAYS * DAY + 15 * 3600.0 + 77


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model of three calm days."""
    path = write_export(tmp_path_factory.mktemp("calm") / "calm.csv", calm(DAYS))
    report = train([path], builtin_agents()["wifi"], load_model_config(None, {"evaluation.inject": False}))
    return load_model(report.files)


@pytest.fixture(scope="module")
def ordinary() -> list[Row]:
    """Three hours of a further day of the same life, around the moment that a test attacks."""
    return [r for r in calm(DAYS + 1, seed=2) if abs(r[1] - START - AT) < 5400]


def incidents(model: Model, rows: list[Row]) -> list[Incident]:
    found = Incidents()
    for verdict in replay(rows, Judge(model)):
        if verdict.is_anomaly:
            found.add(verdict)
    found.settle({model.agent: math.inf})
    return found.take_ended()


@pytest.mark.parametrize(
    ("attack", "host", "name"),
    [*CASES, *RARE],
    ids=[f"{attack.__name__}-{host}" for attack, host, _ in [*CASES, *RARE]],
)
def test_an_attack_or_fault_is_found_and_named(
    model: Model, ordinary: list[Row], attack: Callable[[float], list[Row]], host: str, name: str
) -> None:
    found = [one for one in incidents(model, in_order(ordinary, attack(AT))) if one.host == host]
    assert [one.type for one in found] == [name], [dict(one.kinds) for one in found]
    assert found[0].severity in ("warning", "critical")
    assert 0.5 < found[0].confidence < 1
    assert "?" not in found[0].description, "a figure that is missing where the rule holds"


def test_where_no_wrong_password_is_logged_guessing_is_told_by_joins_that_end_at_it(
    model: Model, ordinary: list[Row]
) -> None:
    stock = replace(model, reference=replace(model.reference, leaves_logged=False))
    found = [one.type for one in incidents(stock, in_order(ordinary, guessing_at_a_stock_debian(AT)))]
    assert found == ["psk_bruteforce"]
    assert [one.type for one in incidents(model, in_order(ordinary, guessing_at_a_stock_debian(AT)))] == ["assoc_flood"]


def test_ordinary_life_raises_nothing(model: Model) -> None:
    assert incidents(model, [r for r in calm(DAYS + 2, seed=3) if r[1] >= START + DAYS * DAY]) == []


def test_a_hall_full_of_roaming_phones_is_unusual_and_no_attack(model: Model, ordinary: list[Row]) -> None:
    found = incidents(model, in_order(ordinary, crowd(AT)))
    assert {one.type for one in found} == {"unusual"}, [(one.host, dict(one.kinds)) for one in found]


def test_a_guest_who_uses_the_wps_button_is_no_failed_login(model: Model, ordinary: list[Row]) -> None:
    guests = [wps_success(AT + 40 * k) for k in range(8)]
    kinds = {one.type for one in incidents(model, in_order(ordinary, *guests))}
    assert not kinds & {"eap_failure_burst", "wps_bruteforce"}
