"""`make demo ONCE=1` is the first thing that anybody types, so it must come out right, every time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def processes_below(folder: Path) -> list[str]:
    """Command lines of living processes that name this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if str(folder) in words:
            found.append(words)
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("sshd")
def test_the_demo_goes_from_nothing_to_named_attacks(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo", str(tmp_path / "demo")],
        cwd=ROOT,
        env={**os.environ, "ONCE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for step in ("trained", "signed", "shipped", "serving", "refused", "unharmed", "rolled back", "page"):
        assert f" {step} " in done.stdout, step
    assert "psk_bruteforce on ap1" in done.stdout
    assert "6 of 6 attacks found" in done.stdout
    assert not processes_below(tmp_path), "nothing that the demo started may outlive it"
