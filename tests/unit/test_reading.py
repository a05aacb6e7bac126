"""An export is read once, by one process or several, and gives the windows that a second reading would have given."""

from __future__ import annotations

import csv
import gzip
import os
import pickle
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from shared.agent import builtin_agents
from shared.errors import ExportError, TrainingError
from shared.values import Row
from trainer import helper
from trainer.windows import reading
from trainer.windows.gather import settle
from trainer.windows.learn import Learner
from trainer.windows.source import Source
from trainer.windows.table import Tables, tabulate

WIFI = builtin_agents()["wifi"]
EXAMPLE = Path(__file__).parents[2] / "examples" / "wifi-live.csv.gz"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's day with attacks."""
    path = tmp_path_factory.mktemp("reading") / "log.csv"
    path.write_bytes(gzip.decompress(EXAMPLE.read_bytes()))
    return path


@pytest.fixture(scope="module")
def alone(log: Path) -> tuple[Learner, Tables]:
    """What one process reads."""
    return reading.read(Source([log], None, None), WIFI, "salt")


def assert_same(found: Tables, wanted: Tables) -> None:
    assert found.roles.keys() == wanted.roles.keys()
    for role, table in wanted.roles.items():
        for name in ("hosts", "index", "raw", "short"):
            np.testing.assert_array_equal(getattr(found.roles[role], name), getattr(table, name), f"{role} {name}")
    assert (found.pauses, found.gaps, found.heard) == (wanted.pauses, wanted.gaps, wanted.heard)


def test_one_reading_gives_the_windows_that_two_would_have_given(log: Path, alone: tuple[Learner, Tables]) -> None:
    learner, tables = alone
    assert_same(tables, tabulate(Source([log], None, None).rows(), WIFI, learner.known()))
    names = [feature.name for feature in WIFI.features]
    for questioned in ("unusual_joins", "unacknowledged_wpa3"):
        assert tables.roles["ap"].short[:, names.index(questioned)].max() > 0, "a question was asked and answered"


def test_two_processes_read_what_one_does(
    log: Path, alone: tuple[Learner, Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "processes_for", lambda source: 2)
    learner, tables = reading.read(Source([log], None, None), WIFI, "salt")
    assert_same(tables, alone[1])
    assert learner.known() == alone[0].known()
    for name in ("rows", "own_rows", "unknown_rows", "first", "last", "leaves", "shapes"):
        assert getattr(learner, name) == getattr(alone[0], name), name


def test_rows_out_of_order_are_put_in_order(log: Path, alone: tuple[Learner, Tables], tmp_path: Path) -> None:
    with log.open(newline="") as file:
        head, *rows = csv.reader(file)
    path = tmp_path / "mixed.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows[len(rows) // 2 :], *rows[: len(rows) // 2]])
    source = Source([path], None, None)
    learner, tables = reading.read(source, WIFI, "salt")
    assert source.sorted
    assert_same(tables, alone[1])
    assert learner.known() == alone[0].known()


def test_a_helper_that_is_ended_ends_the_training(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "processes_for", lambda source: 2)
    monkeypatch.setattr(helper, "COMMAND", (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"))
    with pytest.raises(TrainingError, match=r"was ended \(exit code -9\)"):
        reading.read(Source([log], None, None), WIFI, "salt")


def test_what_a_helper_cannot_read_is_said_as_ever(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "processes_for", lambda source: 2)
    broken = tmp_path / "cut.csv.gz"
    broken.write_bytes(gzip.compress(log.read_bytes())[:60_000])
    with pytest.raises(ExportError, match="cut off or damaged"):
        reading.read(Source([broken], None, None), WIFI, "salt")


def test_a_helper_ends_with_the_process_that_asked(tmp_path: Path) -> None:
    """It is given an endless export, and its stdin ends."""
    endless = tmp_path / "endless.csv"
    os.mkfifo(endless)
    task = reading.Task(WIFI, "salt", (), None)
    work = partial(reading.read_share, Source([endless], None, None), task, reading.Share(1, 2, {}))
    with subprocess.Popen(helper.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(pickle.dumps(work))
        process.stdin.close()
        assert process.wait(timeout=60) == 1


def test_work_begun_while_all_are_busy_is_done_here(tmp_path: Path) -> None:
    waits = tmp_path / "waits"
    os.mkfifo(waits)
    away = helper.Helper(partial(Path.read_text, waits), "helps")
    helpers = helper.Helpers(2, "helps")
    helpers._helpers.append(away)
    with helpers:
        assert away.busy
        assert helpers.begin(lambda check, progress: os.getpid())() == os.getpid()
        waits.write_text("done")
        assert away.result() == "done"
        assert not away.busy


def test_who_waits_for_a_helper_may_be_told_to_stop(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    os.mkfifo(endless)

    def stop() -> None:
        raise TrainingError("enough")

    away = helper.Helper(partial(Path.read_text, endless), "helps")
    try:
        with pytest.raises(TrainingError, match="enough"):
            away.result(stop)
    finally:
        away.end()


def test_a_share_without_rows_says_nothing_of_the_time() -> None:
    rows: list[Row] = [(n, 1e9 + n, "ap1", "hostapd", "", 6, "wlan0: AP-ENABLED") for n in range(3)]
    task = reading.Task(WIFI, "salt", (), None)
    shares = [reading.gather_all(rows, task, reading.Share(number, 2, {"ap1": 0})) for number in range(2)]
    learner, _tables = settle(shares, WIFI)
    assert (learner.first, learner.last) == (1e9, 1e9 + 2)
