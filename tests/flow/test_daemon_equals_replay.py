"""The daemon on a real PostgreSQL says of every window what `replay` says, whatever happens to it meanwhile."""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from inference.keeping import reading as read
from inference.sqlite_source import create_table
from shared.errors import StoreError
from tests.daemon_process import LIVE, ROOT, DaemonProcess, Trained, daemon, environment, example_rows, fill, trained
from tests.postgres_server import PostgresServer
from tests.services import wait_until

__all__ = ["trained"]

Verdicts = dict[tuple[str, str], dict[str, Any]]


def replayed(model: Trained, folder: Path) -> Verdicts:
    command = [sys.executable, "-m", "inference", "replay", str(LIVE), "--bundle", str(model.bundle), "--json"]
    env = environment(INFERENCE_STATE_DIR=folder, INFERENCE_ALLOWED_SIGNERS=model.allowed_signers)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=True)
    assert done.stderr == b""
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(verdict["is_anomaly"] for verdict in found)
    return {(verdict["host"], verdict["window_start"]): verdict for verdict in found}


def served(folder: Path) -> Verdicts:
    db = read.connect_read(folder / "state.db")
    found = [verdict.as_json() for verdict in read.verdicts(db, limit=1_000_000)]
    db.close()
    assert len({(verdict["host"], verdict["window_start"]) for verdict in found}) == len(found)
    return {(str(verdict["host"]), str(verdict["window_start"])): verdict for verdict in found}


def windows_judged(folder: Path) -> int:
    try:
        db = read.connect_read(folder / "state.db")
    except StoreError:
        return 0
    count = read.totals(db).windows
    db.close()
    return count


def drained(pi: DaemonProcess) -> bool:
    try:
        db = read.connect_read(pi.folder / "state.db")
    except StoreError:
        return False
    cycle = read.status(db).cycle
    db.close()
    return bool(cycle.get("drained"))


def judged_at_least(pi: DaemonProcess, windows: int) -> bool:
    return windows_judged(pi.folder) >= windows or drained(pi)


def assert_equal(found: Verdicts, expected: Verdicts) -> None:
    """Every window of `expected`, field by field; numbers to 1e-9. Later windows (silences since) may be there too."""
    assert expected.keys() <= found.keys()
    newest = max(start for _, start in expected)
    assert {key for key in found if key[1] <= newest} == expected.keys()
    for key, verdict in expected.items():
        for name, value in verdict.items():
            assert _close(found[key][name], value), (key, name, found[key][name], value)


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= 1e-9
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    return bool(one == other)


@pytest.fixture
def pi_settings(trained: Trained, postgres: PostgresServer) -> dict[str, Any]:
    dsn = postgres.create_database()
    fill(dsn, example_rows())
    return {
        "DATABASE_URL": dsn,
        "INBOX": trained.models,
        "ALLOWED_SIGNERS": trained.allowed_signers,
        "START": "all",
        "INTERVAL_S": 0.2,
    }


def test_one_undisturbed_run_equals_replay(trained: Trained, pi_settings: dict[str, Any], tmp_path: Path) -> None:
    with daemon(tmp_path / "pi", **pi_settings) as pi:
        pi.start()
        wait_until(lambda: drained(pi), "the table to be judged", 60.0)
        assert pi.kill(15) == 0
    assert_equal(served(tmp_path / "pi"), replayed(trained, tmp_path))
    assert "Traceback" not in pi.log()


def test_a_run_that_is_killed_again_and_again_equals_replay(
    trained: Trained, pi_settings: dict[str, Any], tmp_path: Path, faults: str
) -> None:
    rng = random.Random(1)
    folder = tmp_path / "pi"
    kills = 12 if faults == "full" else 4
    with daemon(folder, **pi_settings, BATCH_ROWS=20, CYCLE_ROWS=300) as pi:
        for _ in range(kills):
            enough = windows_judged(folder) + rng.randint(1, 150)
            pi.start()
            wait_until(partial(judged_at_least, pi, enough), "some windows", 60.0)
            pi.kill()
        assert not drained(pi), "the kills came too late to mean anything"
        pi.start()
        wait_until(lambda: drained(pi), "the table to be judged", 60.0)
        assert pi.kill(15) == 0
    assert_equal(served(folder), replayed(trained, tmp_path))


def test_once_equals_replay_over_the_embedded_store(trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "pi"
    create_table(folder / "logs.db")
    logs = sqlite3.connect(folder / "logs.db")
    logs.executemany("INSERT INTO log_entries VALUES (?,?,?,?,?,?,?)", example_rows())
    logs.commit()
    logs.close()
    with daemon(folder, INBOX=trained.models, ALLOWED_SIGNERS=trained.allowed_signers, START="all") as pi:
        done = pi.cli("once", "--json")
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout)
        assert report["rows"] == len(example_rows())
        assert report["models"] == {"wifi": trained.bundle.name}
        assert json.loads(pi.cli("once", "--json").stdout)["rows"] == 0
        assert json.loads(pi.cli("incidents", "--json").stdout)
    assert_equal(served(folder), replayed(trained, tmp_path))
