"""The whole path with everything real: train, ship over OpenSSH, a daemon on PostgreSQL, a second model, a forged one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon_process import ROOT, TRAIN, DaemonProcess, daemon, environment, example_rows, fill
from tests.postgres_server import PostgresServer
from tests.services import wait_until
from tests.sshd_server import SshdServer

SOON_S = 5.0


class Laptop:
    """`pipit-trainer` with a state folder of its own."""

    def __init__(self, folder: Path, sshd: SshdServer) -> None:
        self.models = folder / "models"
        self.env = environment(TRAINING_STATE_DIR=folder / "state", TRAINING_MODELS_DIR=self.models)
        self.allowed_signers = folder / "state/allowed_signers"
        where = ("--identity", str(sshd.identity), "--known-hosts", str(sshd.known_hosts))
        self.run("keys", "init")
        self.run("targets", "add", "pi", sshd.url, *where)

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "trainer", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False, timeout=110)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done

    def train(self) -> str:
        few = ("--end-date", "2026-03-05", "--set", "model.n_estimators=20")
        done = self.run("train", str(TRAIN), *few, "--json")
        return str(json.loads(done.stdout)["version"])


@pytest.fixture
def laptop(tmp_path: Path, own_sshd: SshdServer) -> Laptop:
    return Laptop(tmp_path / "laptop", own_sshd)


@pytest.fixture
def pi(tmp_path: Path, laptop: Laptop, own_sshd: SshdServer, postgres: PostgresServer) -> Iterator[DaemonProcess]:
    dsn = postgres.create_database()
    fill(dsn, example_rows()[:3000])
    settings: dict[str, Any] = {
        "DATABASE_URL": dsn,
        "INBOX": own_sshd.inbox,
        "ALLOWED_SIGNERS": laptop.allowed_signers,
        "START": "all",
        "INTERVAL_S": 0.5,
    }
    with daemon(tmp_path / "pi", **settings) as process:
        yield process


def serving(pi: DaemonProcess) -> str | None:
    done = pi.cli("models", "list", "--json")
    models = json.loads(done.stdout) if done.returncode == 0 else []
    entries = models["models"] if isinstance(models, dict) else models
    return next((str(entry["version"]) for entry in entries if entry.get("active")), None)


def cycles_of(pi: DaemonProcess) -> int:
    return pi.log().count("cycle done")


def test_a_second_model_serves_within_seconds_and_a_forged_one_never(
    laptop: Laptop, pi: DaemonProcess, own_sshd: SshdServer
) -> None:
    pi.start()
    assert pi.process is not None
    first = laptop.train()
    laptop.run("ship", first, "--to", "pi", "--wait")
    assert serving(pi) == first

    second = laptop.train()
    laptop.run("ship", second, "--to", "pi")
    began = time.monotonic()
    wait_until(lambda: serving(pi) == second, "the second model to serve", SOON_S)
    assert time.monotonic() - began < SOON_S
    assert pi.process.poll() is None, "the daemon must not restart"

    forged = _forge(laptop, own_sshd)
    wait_until(lambda: "refused" in _receipt(own_sshd, forged), "the forged bundle's receipt", 60)
    assert json.loads(_receipt(own_sshd, forged))["code"] == "hash"
    assert serving(pi) == second
    assert pi.process.poll() is None
    assert "Traceback" not in pi.log()

    maps = Path(f"/proc/{pi.process.pid}/maps").read_text()
    assert not [name for name in ("sklearn", "scipy", "pandas", "joblib") if f"site-packages/{name}/" in maps]


def _forge(laptop: Laptop, sshd: SshdServer) -> str:
    """What somebody with the SFTP key alone can do: put a signed bundle with one byte changed there, and link to it."""
    version = laptop.train()
    place = sshd.inbox / "wifi" / version
    shutil.copytree(laptop.models / "wifi" / version, place)
    _flip_a_byte(place / "scorer.npz")
    link = sshd.inbox / "wifi" / ".link"
    link.symlink_to(version)
    os.replace(link, sshd.inbox / "wifi" / "active")
    return version


def _flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(bytes(data))


def _receipt(sshd: SshdServer, version: str) -> str:
    try:
        return (sshd.receipts / f"wifi_{version}.json").read_text()
    except OSError:
        return ""


def test_a_damaged_bundle_is_refused_before_it_is_sent_and_ship_says_why(laptop: Laptop, pi: DaemonProcess) -> None:
    version = laptop.train()
    _flip_a_byte(laptop.models / "wifi" / version / "scorer.npz")
    done = laptop.run("ship", version, "--to", "pi", "--wait", code=1)
    assert "scorer.npz" in done.stderr
    assert cycles_of(pi) == 0
