"""What people on a Pi said of incidents changes what is learnt from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from shared.agent import builtin_agents
from shared.errors import ExportError
from shared.values import iso
from trainer.fitting.guard import guard
from trainer.labels import faults_of, normal_of, read_labels
from trainer.model_config import load_model_config
from trainer.windows.table import RoleTable, scored_columns

WIFI = builtin_agents()["wifi"]
FIRST = 5_910_480  # a window's number


def table() -> RoleTable:
    """100 calm windows of one access point; the 50th is far beyond a guard's figure."""
    columns = scored_columns(WIFI, "ap")
    place = next(j for j, i in enumerate(columns) if (scored := WIFI.features[i].scored) and scored.guard)
    raw = np.zeros((100, 2 * len(columns)), dtype=np.float32)
    raw[50, place + len(columns)] = 1e6
    short = np.zeros((100, len(WIFI.features)), dtype=np.float32)
    return RoleTable(np.array(["ap1"] * 100), FIRST + np.arange(100), raw, short)


def labels(folder: Path, mark: str) -> Path:
    start = (FIRST + 43) * WIFI.window_s
    file = folder / "labels.json"
    episode = {"type": "deauth_flood", "start": iso(start), "end": iso(start + 16 * 300), "host": "ap1", "mark": mark}
    file.write_text(json.dumps([episode]))
    return file


def kept(folder: Path, mark: str | None) -> set[int]:
    episodes = read_labels(labels(folder, mark)) if mark else ()
    return set(guard({"ap": table()}, WIFI, load_model_config(), episodes).roles["ap"].index - FIRST)


def test_a_false_alarm_is_learnt_from_and_a_confirmed_one_is_not(tmp_path: Path) -> None:
    assert 50 not in kept(tmp_path, None)
    assert {45, 50, 55} <= kept(tmp_path, "false")
    assert kept(tmp_path, "confirmed").isdisjoint(range(43, 60))


def test_false_alarms_are_no_episodes_to_be_found(tmp_path: Path) -> None:
    false = read_labels(labels(tmp_path, "false"))
    assert (len(faults_of(false)), len(normal_of(false))) == (0, 1)


def test_a_mark_of_another_name_is_a_fault_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="mark is 'perhaps'"):
        read_labels(labels(tmp_path, "perhaps"))
