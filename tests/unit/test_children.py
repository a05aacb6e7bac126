"""Child processes import Pipit and nothing that lies in the folder in which somebody stands: an inbox, an export's folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from inference import bounded, probe
from inference.telling import courier
from trainer import helper
from trainer.tasks import child

COMMANDS = {each[-1]: each for each in (probe.COMMAND, bounded.COMMAND, courier.COMMAND, child.COMMAND, helper.COMMAND)}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())
def test_a_child_runs_no_code_of_the_folder_it_is_started_in(tmp_path: Path, command: Sequence[str]) -> None:
    for name in ("inference", "trainer", "shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("open('caught', 'w')\n")
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    subprocess.run(command, cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert not (tmp_path / "caught").exists()
