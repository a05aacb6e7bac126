"""A small, real sshd model beside the wifi one, for the tests of several agents in one daemon."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from shared.values import Row, iso
from tests.daemon_process import ROOT, Trained, environment

BEGIN = 1_772_496_000.0  # 2026-03-03T00:00:00Z
DAYS = 2
SCAN = "Connection closed by 203.0.113.{} port 40022 [preauth]"
LOGIN = "Accepted publickey for backup from 192.0.2.10 port 50110 ssh2: ED25519 SHA256:abc"
GUESS = "Failed password for root from 203.0.113.9 port 40022 ssh2"


def calm_days() -> list[Row]:
    """A server that a backup logs in to and the internet scans, every few minutes."""
    rows: list[Row] = []
    for n in range(DAYS * 24 * 12):
        at = BEGIN + 300.0 * n
        rows += [(0, at + 20 + n % 7, "gate", "sshd", "12", 6, LOGIN)] if n % 3 == 0 else []
        rows += [(0, at + 100 + 3 * k, "gate", "sshd", "13", 6, SCAN.format(k)) for k in range(n % 4)]
    return [(number, *row[1:]) for number, row in enumerate(rows, 1)]


def guessing(begin: float, count: int = 300, spacing_s: float = 0.5) -> list[Row]:
    """Somebody guesses passwords."""
    return [(0, begin + spacing_s * n, "gate", "sshd", "14", 6, GUESS) for n in range(count)]


_both: list[Trained] = []


@pytest.fixture(scope="session")
def both(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The models folder of `trained`, with an sshd model signed by the same key beside it; `bundle` is that one."""
    if not _both:
        folder = tmp_path_factory.mktemp("both")
        models, export = folder / "inbox", folder / "sshd.jsonl"
        shutil.copytree(trained.models, models, symlinks=True)
        names = ("id", "timestamp", "host", "program", "pid", "severity", "message")
        lines = (dict(zip(names, (row[0], iso(row[1]), *row[2:]), strict=True)) for row in calm_days())
        export.write_text("".join(json.dumps(line) + "\n" for line in lines))
        command = [sys.executable, "-m", "trainer", "train", str(export), "--agent", "sshd", "--models", str(models)]
        env = environment(TRAINING_STATE_DIR=trained.allowed_signers.parent)
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        (bundle,) = (path for path in (models / "sshd").iterdir() if not path.is_symlink())
        if not (bundle.parent / "active").is_symlink():
            (bundle.parent / "active").symlink_to(bundle.name)
        _both.append(Trained(models, bundle, trained.allowed_signers))
    return _both[0]
