"""A log that was away, a fault in the training week: neither is calm time nor a habit."""

from __future__ import annotations

import numpy as np
import pytest

from shared.agent import AgentSpec, builtin_agents
from shared.reference import NOTHING_KNOWN
from tests.rows import START, in_order, row
from trainer.fitting.modelling import calibrate_and_fit
from trainer.fitting.normal import silence_limits
from trainer.model_config import load_model_config
from trainer.windows.table import RoleTable, tabulate

DAY = 86_400
CLIENT = "02:00:00:00:01:07"
RENEWED = f"wlan0: STA {CLIENT} WPA: group key handshake completed (RSN)"


@pytest.fixture(scope="module")
def wifi() -> AgentSpec:
    return builtin_agents()["wifi"]


def longest(spec: AgentSpec, days: int, *away: tuple[int, int]) -> float | None:
    """What an access point with a client may pause, when it said nothing between these seconds."""
    rows = [row(at, RENEWED) for at in range(0, days * DAY, 600) if not any(a < at < b for a, b in away)]
    return silence_limits(tabulate(in_order(rows), spec, NOTHING_KNOWN))["ap1"].present


def test_one_hang_in_training_does_not_blind_the_watch(wifi: AgentSpec) -> None:
    assert longest(wifi, 6) == 600
    assert longest(wifi, 6, (3 * DAY, 3 * DAY + 9000)) == 600


def test_pauses_that_come_back_on_other_days_are_normal(wifi: AgentSpec) -> None:
    assert longest(wifi, 6, (3 * DAY, 3 * DAY + 9000), (4 * DAY, 4 * DAY + 9000)) == 9000


def test_of_few_days_none_is_called_odd(wifi: AgentSpec) -> None:
    assert longest(wifi, 3, (DAY, DAY + 9000)) == 9000


def test_days_without_any_log_are_no_calm_time(wifi: AgentSpec) -> None:
    rows = [row(at, RENEWED) for at in range(0, 4 * DAY, 600)]
    whole = tabulate(in_order(rows), wifi, NOTHING_KNOWN).roles["ap"]
    holiday = RoleTable(
        whole.hosts, whole.index + np.where(whole.index * 300 >= START + 2 * DAY, 9 * 288, 0), whole.raw, whole.short
    )
    weeks = [calibrate_and_fit({"ap": table}, wifi, load_model_config(), "salt").weeks for table in (whole, holiday)]
    assert weeks[0] == pytest.approx(4 / 7, rel=0.01)
    assert weeks[1] == pytest.approx(weeks[0], rel=0.01)
