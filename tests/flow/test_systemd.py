"""The units are understood by systemd itself, and shut the services in as far as they can be."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from inference.config import PREFIX, Settings
from shared.setting import known_settings
from tests.conftest import need

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.fixture(scope="module")
def systemd_analyze() -> Path:
    """systemd's own checker; it needs no running systemd."""
    return need("systemd").program


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_against_the_unit(unit: Path, systemd_analyze: Path, tmp_path: Path) -> None:
    text = unit.read_text()
    program = tmp_path / "pipit-inference"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    copy = tmp_path / unit.name
    copy.write_text(text.replace("/opt/pipit/current/bin/pipit-inference", str(program)))
    line = [str(systemd_analyze), "verify", "--man=no", "--recursive-errors=yes", str(copy)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_exposure_of_the_unit_is_at_most_1_2(unit: Path, systemd_analyze: Path) -> None:
    line = [str(systemd_analyze), "security", "--offline=true", "--threshold=12", "--no-pager", str(unit)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_unit_sets_only_settings_that_exist(unit: Path) -> None:
    known = {each.env for each in known_settings(Settings, PREFIX).values()}
    text = unit.read_text() + (ROOT / "deploy/pi/pipit.env").read_text()
    assert set(re.findall(r"\b(INFERENCE_[A-Z_]+)=", text)) <= known


def test_both_units_are_shut_in_alike() -> None:
    walls = [set(unit.read_text().partition("NoNewPrivileges")[2].splitlines()) for unit in UNITS]
    assert walls[0] == walls[1]
