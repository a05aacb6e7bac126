"""What is an attack in any network is not learnt from; what a host does all the time is."""

from __future__ import annotations

import numpy as np

from shared.agent import builtin_agents
from trainer.fitting.guard import guard
from trainer.model_config import load_model_config
from trainer.windows.table import RoleTable, scored_columns

WIFI = builtin_agents()["wifi"]
N = 600


def table(attempts: list[float]) -> RoleTable:
    """Windows of one access point with these wrong-password attempts in their half hours."""
    columns = scored_columns(WIFI, "ap")
    raw = np.zeros((len(attempts), 2 * len(columns)), dtype=np.float32)
    place = [WIFI.features[column].name for column in columns].index("psk_attempts")
    raw[:, len(columns) + place] = attempts
    short = np.zeros((len(attempts), len(WIFI.features)), dtype=np.float32)
    return RoleTable(np.full(len(attempts), "ap1"), np.arange(len(attempts)), raw, short)


def kept(attempts: list[float]) -> int:
    found = guard({"ap": table(attempts)}, WIFI, load_model_config())
    return len(found.roles["ap"]) if "ap" in found.roles else 0


def test_password_guessing_in_training_is_left_out_with_the_half_hours_around_it() -> None:
    assert kept([0.0] * 300 + [50.0] * 10 + [0.0] * 290) == N - 10 - 2 * WIFI.long_windows


def test_a_busy_host_is_learnt_from() -> None:
    assert kept([12.0, 9.0, 15.0, 8.0] * 150) == N


def test_an_attack_on_a_busy_host_is_left_out() -> None:
    assert kept([12.0, 9.0, 15.0, 8.0] * 75 + [90.0] * 5 + [10.0] * 295) == N - 5 - 2 * WIFI.long_windows
