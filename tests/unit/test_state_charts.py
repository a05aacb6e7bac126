"""What the charts are drawn from says the same as the windows themselves."""

from __future__ import annotations

import math
import random
import sqlite3
from collections.abc import Iterator

import pytest

from inference import state
from inference.incidents import Incidents
from inference.keeping import charts as state_charts
from inference.keeping.rows import DayCell
from inference.source import Cursor
from shared.values import Verdict

START, SPAN_S, BEYOND = 1_773_100_800.0, 1800.0, 9001.0


@pytest.fixture(scope="module")
def windows() -> list[Verdict]:
    """Half a day of three hosts, some windows missing, some anomalous, one of those without a score."""
    chance = random.Random(11)
    found = []
    for host in ("a", "b", "c"):
        for n in range(144):
            start, strange = START + 300 * n, chance.random() < 0.05
            rarity = None if strange and host == "c" else BEYOND if strange else round(1 + 50 * chance.random(), 3)
            type_, severity, sure = ("unusual", "warning", 0.5) if strange else (None, None, None)
            if chance.random() < 0.7:
                found.append(
                    Verdict(
                        "wifi",
                        host,
                        start,
                        start + 300,
                        "ap",
                        7,
                        0.4,
                        rarity,
                        strange,
                        type_,
                        severity,
                        sure,
                        "",
                        {},
                        (),
                        "1",
                    )
                )
    return found


@pytest.fixture(scope="module")
def db(windows: list[Verdict], tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """The same in a state file."""
    db = state.connect(tmp_path_factory.mktemp("state") / "state.db")
    state.State(db).commit(Cursor(0, 1), windows, {}, Incidents(), {}, START)
    yield db
    db.close()


def test_every_slot_holds_its_strangest_window(db: sqlite3.Connection, windows: list[Verdict]) -> None:
    found = {slot.start: slot for slot in state_charts.slots(db, START, SPAN_S, 24, [BEYOND])}
    for n in range(24):
        start = START + n * SPAN_S
        own = [each for each in windows if start <= each.window_start < start + SPAN_S]
        strange = [each for each in own if each.is_anomaly]
        assert found[start].anomalies == len(strange)
        assert found[start].rarity == (math.inf if strange else max(each.rarity or 0.0 for each in own))


def test_every_cell_counts_its_hosts_windows(db: sqlite3.Connection, windows: list[Verdict]) -> None:
    cells = state_charts.day_cells(db, START, SPAN_S, 24)
    assert sum(cell.windows for cell in cells) == len(windows)
    assert sum(cell.rows for cell in cells) == 7 * len(windows)
    cell = cells[0]
    own = [each for each in windows if each.host == cell.host and each.window_start < START + SPAN_S]
    rarest = max((each.rarity for each in own if each.rarity is not None), default=None)
    assert cell == DayCell(own[0].host, START, len(own), 7 * len(own), rarest, sum(each.is_anomaly for each in own))


def test_a_span_without_windows_is_no_slot(db: sqlite3.Connection) -> None:
    assert state_charts.slots(db, START - 86_400, SPAN_S, 48, []) == []


def test_a_hosts_timeline_is_its_windows_in_order(db: sqlite3.Connection, windows: list[Verdict]) -> None:
    found = state_charts.timeline(db, "wifi", "b", START + 3600, START + 7200)
    own = [each for each in windows if each.host == "b" and START + 3600 < each.window_end <= START + 7200]
    assert [(one.window_start, one.rarity, one.is_anomaly) for one in found] == [
        (each.window_start, each.rarity, each.is_anomaly) for each in own
    ]
