"""The Pi's side on arm64, emulated: the same bundle, the same golden rows, the same verdicts as here; `make arm-test`.

ARM_ROOT names the folder that tests/arm/make_root.sh made.
"""

from __future__ import annotations

import json
import math
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inference.keeping import reading as read
from inference.sqlite_source import create_table
from tests.conftest import need
from tests.daemon_process import ROOT, Trained, environment, example_rows, trained
from tests.services import dies_with_parent, free_port, wait_until

__all__ = ["trained"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
MOST_MB = 120


@dataclass(frozen=True)
class Arm:
    """The emulated machine: its Python as a command line, and its packages as a Pi has them."""

    folder: Path
    site: Path

    def python(self, *words: str) -> list[str]:
        root = self.folder / "root"
        return [str(self.folder / "qemu-aarch64-static"), "-L", str(root), str(root / "usr/bin/python3.11"), *words]

    def env(self, **settings: Any) -> dict[str, str]:
        ours = environment(**settings)
        ours.pop("PYTHONDONTWRITEBYTECODE", None)
        return {**ours, "PYTHONPATH": str(self.site), "MALLOC_ARENA_MAX": "1", "OPENBLAS_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Arm:
    """The packages of requirements-inference.lock and Pipit itself, pruned as deploy/pi/install.sh prunes them."""
    folder = need("arm64").program.parent
    site = tmp_path_factory.mktemp("arm") / "site"
    shutil.copytree(Path(folder, "site"), site, symlinks=True)
    for package in ("shared", "inference"):
        shutil.copytree(ROOT / package, site / package, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["sh", str(ROOT / "deploy/pi/prune.sh"), str(site)], check=True)
    return Arm(Path(folder).resolve(), site)


def fill(path: Path) -> int:
    """The example's live log as the embedded store."""
    rows = example_rows()
    create_table(path)
    with closing(sqlite3.connect(path)) as db, db:
        db.executemany(
            "INSERT INTO log_entries (id, timestamp, host, program, pid, severity, message) VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
    return len(rows)


def verdicts(state: Path) -> list[dict[str, Any]]:
    with closing(read.connect_read(state / "state.db")) as db:
        return [verdict.as_json() for verdict in read.verdicts(db, limit=1_000_000)]


@dataclass(frozen=True)
class Judged:
    """What the arm64 machine said, where its state is, and what this machine's is."""

    told: dict[str, Any]
    arm_state: Path
    own_state: Path
    rows: int


@pytest.fixture(scope="module")
def judged(arm: Arm, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    folder = tmp_path_factory.mktemp("judged")
    states = {name: folder / name / "state" for name in ("arm", "own")}
    rows = max(fill(state / "logs.db") for state in states.values())
    where = {name: folder / name / "inbox" for name in states}
    for inbox in where.values():
        shutil.copytree(trained.models, inbox, symlinks=True)
    words = [str(trained.bundle), str(states["arm"]), str(where["arm"]), str(trained.allowed_signers)]
    script = arm.python(str(ROOT / "tests/arm/on_arm.py"), *words)
    done = subprocess.run(script, env=arm.env(), cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    own = [sys.executable, "-m", "inference", "once", "--json"]
    env = environment(INFERENCE_STATE_DIR=states["own"], INFERENCE_INBOX=where["own"], INFERENCE_START="all")
    env["INFERENCE_ALLOWED_SIGNERS"] = str(trained.allowed_signers)
    subprocess.run(own, cwd=ROOT, env=env, check=True, capture_output=True)
    return Judged(json.loads(done.stdout.splitlines()[-1]), states["arm"], states["own"], rows)


def test_a_bundle_trained_here_loads_on_arm64_and_its_golden_rows_agree(judged: Judged) -> None:
    assert judged.told["machine"] == "aarch64"
    assert judged.told["difference"] <= 1e-9


def test_a_cycle_on_arm64_finds_what_it_finds_here(judged: Judged) -> None:
    assert judged.told["report"]["seen"] == judged.rows
    assert judged.told["report"]["anomalies"] > 0
    there, here = verdicts(judged.arm_state), verdicts(judged.own_state)
    assert len(there) == len(here) > 500
    for ours, theirs in zip(here, there, strict=True):
        same = ("host", "window_start", "is_anomaly", "type", "severity", "found_by")
        assert [ours.get(name) for name in same] == [theirs.get(name) for name in same]
        assert math.isclose(ours["score"] or 0.0, theirs["score"] or 0.0, abs_tol=1e-9)


def test_the_pages_answer_on_arm64(arm: Arm, judged: Judged) -> None:
    port = free_port()
    env = arm.env(INFERENCE_STATE_DIR=judged.arm_state, INFERENCE_BIND=f"127.0.0.1:{port}")
    log = judged.arm_state / "web.log"
    with log.open("wb") as out:
        site = subprocess.Popen(
            [*dies_with_parent(), *arm.python("-m", "inference", "web")], cwd="/", env=env, stdout=out, stderr=out
        )
    try:
        address = f"http://127.0.0.1:{port}"

        def ask(path: str) -> str:
            with urllib.request.urlopen(address + path, timeout=20) as answer:  # noqa: S310  an address of our own
                return str(answer.read().decode())

        def answers() -> bool:
            assert site.poll() is None, log.read_text()[-2000:]
            try:
                return "status" in ask("/api/v1/health")
            except OSError:
                return False

        wait_until(answers, "the pages", 120)
        assert json.loads(ask("/api/v1/health"))["release"]
        assert "<form" in ask("/setup")
    finally:
        site.terminate()
        site.wait(30)


def sizes(folder: Path) -> Iterator[tuple[float, str]]:
    """(MB, name) of what lies in a folder."""
    for entry in folder.iterdir():
        files = (
            [entry]
            if entry.is_file()
            else [path for path in entry.rglob("*") if path.is_file() and not path.is_symlink()]
        )
        yield sum(path.stat().st_size for path in files) / 1e6, entry.name


def test_the_installed_pi_side_is_small(arm: Arm, judged: Judged) -> None:
    """After the runs above, so that the bytecode of what runs is counted."""
    found = sorted(sizes(arm.site), reverse=True)
    total = sum(size for size, _ in found)
    table = ", ".join(f"{name} {size:.0f}" for size, name in found[:8])
    print(f"installed on arm64: {total:.1f} MB ({table})")
    assert total <= MOST_MB, table
