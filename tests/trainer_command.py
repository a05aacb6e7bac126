"""The trainer's command as a person types it, and a small export to type it for."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXPORT = ROOT / "examples" / "wifi-train.csv.gz"
CONFIGS = ROOT / "tests" / "data" / "model_config"


@dataclass(frozen=True)
class Trainer:
    """The command in a folder of its own, with nothing of this machine's settings."""

    folder: Path

    def run(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        settings = {"TRAINING_STATE_DIR": str(self.folder / "state"), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, arguments)],
            cwd=self.folder,
            env={**settings, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def json(self, *arguments: object, **env: str) -> Any:
        done = self.run(*arguments, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path)


def export_of(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """A small CSV export of (timestamp, host, program, message)."""
    file = folder / "small.csv"
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "timestamp", "host", "program", "pid", "severity", "message"])
        for number, (time, host, program, message) in enumerate(rows, 7):
            table.writerow([number, time, host, program, "1", "info", message])
    return file


HOSTAPD = "hostapd"
LINES = [
    ("2026-03-03T00:00:01Z", "ap1", HOSTAPD, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated"),
    ("2026-03-03T00:00:02Z", "ap1", HOSTAPD, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: associated (aid 1)"),
    ("2026-03-03T00:06:00Z", "ap1", HOSTAPD, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: disassociated"),
    ("2026-03-03T00:06:01Z", "ap1", HOSTAPD, "a line that nobody knows \x1b[2J"),
]
