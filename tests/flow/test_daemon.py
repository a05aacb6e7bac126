"""The daemon's life: no model, a first one, another one, a lost Redis, signals, one at a time."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from inference.config import Settings
from inference.daemon import Daemon
from inference.keeping import reading as read
from inference.sqlite_source import create_table
from shared.errors import StoreError
from tests.daemon_process import ROOT, DaemonProcess, Trained, daemon, trained
from tests.services import RedisServer, wait_until

__all__ = ["trained"]

NAMES = {
    "model_predictions", "model_anomalies_detected", "model_prediction_latency_seconds", "model_feature_drift",
    "model_prediction_drift", "model_data_quality",
}  # fmt: skip


def state_of(pi: DaemonProcess) -> str:
    try:
        db = read.connect_read(pi.folder / "state.db")
    except StoreError:
        return ""
    said = read.status(db).state
    db.close()
    return said


def serving(pi: DaemonProcess) -> str:
    db = read.connect_read(pi.folder / "state.db")
    found = [each.version for each in read.models(db) if each.active]
    db.close()
    return found[0] if found else ""


def write_lines(folder: Path, count: int) -> None:
    """Lines of a quarter of an hour ago: their windows are complete."""
    create_table(folder / "logs.db")
    db = sqlite3.connect(folder / "logs.db")
    begin = time.time() - 1500
    rows = [
        (begin + n, "ap1", "hostapd", "1", 6, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated")
        for n in range(count)
    ]
    db.executemany(
        "INSERT INTO log_entries (timestamp, host, program, pid, severity, message) VALUES (?,?,?,?,?,?)", rows
    )
    db.commit()
    db.close()


def activate(inbox: Path, version: str) -> None:
    link = inbox / "wifi" / f".{version}"
    link.symlink_to(version)
    os.replace(link, inbox / "wifi" / "active")


@pytest.fixture
def inbox(trained: Trained, tmp_path: Path) -> Path:
    """An inbox of this test's own, with the bundle uploaded but not activated."""
    folder = tmp_path / "inbox"
    shutil.copytree(trained.models, folder, symlinks=True)
    (folder / "wifi/active").unlink()
    return folder


@pytest.fixture
def pi(trained: Trained, inbox: Path, tmp_path: Path, redis_server: RedisServer) -> Iterator[DaemonProcess]:
    settings: dict[str, Any] = {"INBOX": inbox, "ALLOWED_SIGNERS": trained.allowed_signers, "INTERVAL_S": 0.2}
    with daemon(tmp_path / "pi", **settings, REDIS_URL=redis_server.url) as process:
        yield process


def test_rows_wait_for_the_first_model_and_are_judged_when_it_arrives(
    pi: DaemonProcess, trained: Trained, redis_server: RedisServer
) -> None:
    write_lines(pi.folder, 600)
    pi.start()
    wait_until(lambda: state_of(pi) == "waiting for a model", "it to say that it has no model", 30)
    activate(pi.settings["INBOX"], trained.bundle.name)
    began = time.monotonic()
    wait_until(lambda: state_of(pi) == "running", "the model to serve", 30)
    assert time.monotonic() - began < 5, "the watcher's hint, not the poll"
    wait_until(lambda: pi.status()["last_day"]["windows"] >= 2, "windows to be judged", 30)
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    status = client.hgetall(f"mcp:model:wifi_{trained.bundle.name}:status")
    assert status["is_running"] == "true"
    assert {"last_run", "capabilities", "description", "error"} <= status.keys()
    assert pi.kill(signal.SIGTERM) == 0
    assert client.hget(f"mcp:model:wifi_{trained.bundle.name}:status", "is_running") == "false"
    assert state_of(pi) == "stopped"
    assert "Traceback" not in pi.log()


def test_the_metrics_file_is_read_by_prometheus_and_names_no_host(pi: DaemonProcess, trained: Trained) -> None:
    write_lines(pi.folder, 600)
    activate(pi.settings["INBOX"], trained.bundle.name)
    pi.start()
    wait_until(lambda: state_of(pi) == "running", "the model to serve", 30)
    wait_until((pi.folder / "metrics.prom").exists, "the metrics to be written", 30)
    text = (pi.folder / "metrics.prom").read_text()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families.keys() >= NAMES
    assert families["model_predictions"].samples[0].name == "model_predictions_total"
    assert families["pipit_model_info"].samples[0].labels == {"agent": "wifi", "version": trained.bundle.name}
    assert "ap1" not in text


def test_a_redis_that_dies_while_running_costs_nothing(
    trained: Trained, inbox: Path, tmp_path: Path, own_redis: RedisServer
) -> None:
    settings: dict[str, Any] = {"INBOX": inbox, "ALLOWED_SIGNERS": trained.allowed_signers, "INTERVAL_S": 0.2}
    with daemon(tmp_path / "pi", **settings, REDIS_URL=own_redis.url) as pi:
        activate(inbox, trained.bundle.name)
        pi.start()
        wait_until(lambda: state_of(pi) == "running", "the model to serve", 30)
        own_redis.stop()
        pi.wait("redis does not take the live status")
        last_run = pi.status()["daemon"]["last_run"]
        wait_until(lambda: pi.status()["daemon"]["last_run"] > last_run + 1, "the cycles to go on", 30)
        assert pi.status()["daemon"]["last_error"] is None
        own_redis.start()
        pi.wait("redis takes the live status again")


def test_a_database_that_is_not_there_yet_is_waited_for(trained: Trained, inbox: Path, tmp_path: Path) -> None:
    logs = tmp_path / "later.db"
    settings: dict[str, Any] = {"INBOX": inbox, "ALLOWED_SIGNERS": trained.allowed_signers, "INTERVAL_S": 0.2}
    activate(inbox, trained.bundle.name)
    with daemon(tmp_path / "pi", **settings, DATABASE_URL=f"sqlite:///{logs}") as pi:
        pi.start()
        wait_until(lambda: state_of(pi) == "waiting for the database", "it to say so", 30)
        assert str(logs) in str(pi.status()["daemon"]["source_error"])
        create_table(logs)
        wait_until(lambda: state_of(pi) == "running", "it to find the table", 30)
        assert pi.status()["daemon"]["source_error"] is None


def test_a_second_daemon_is_refused_and_harms_nothing(pi: DaemonProcess) -> None:
    pi.start()
    wait_until(lambda: state_of(pi) == "waiting for a model", "the first daemon", 30)
    second = pi.cli("run")
    assert second.returncode == 1
    assert b"another daemon" in second.stderr
    assert pi.process is not None
    assert pi.process.poll() is None


def test_a_daemon_that_was_killed_is_not_said_to_run(pi: DaemonProcess) -> None:
    pi.start()
    wait_until(lambda: state_of(pi) == "waiting for a model", "the daemon", 30)
    assert pi.status()["daemon"]["state"] == "waiting for a model"
    pi.kill()
    assert pi.status()["daemon"]["state"] == "died"
    assert b"it ended without a word" in pi.cli("status").stdout
    pi.start()
    pi.wait("waiting for a model")
    assert pi.kill(signal.SIGTERM) == 0
    assert pi.status()["daemon"]["state"] == "stopped"


def test_settings_are_read_again_at_a_signal_and_faulty_ones_refused(pi: DaemonProcess, tmp_path: Path) -> None:
    config = tmp_path / "pi.yaml"
    config.write_text("interval_s: 0.2\n")
    pi.settings.pop("INTERVAL_S")
    pi.folder.mkdir(parents=True)
    log = pi.folder / "daemon0.log"
    pi.logs.append(log)
    with log.open("wb") as out:
        command = [sys.executable, "-m", "inference", "--config", str(config), "run"]
        pi.process = subprocess.Popen(command, cwd=ROOT, env=pi.env, stdout=out, stderr=out)
    pi.wait("waiting for a model")
    config.write_text("interval_s: never\n")
    pi.process.send_signal(signal.SIGHUP)
    pi.wait("settings not taken")
    config.write_text("interval_s: 0.3\n")
    pi.process.send_signal(signal.SIGHUP)
    pi.wait("settings read again")
    assert pi.kill(signal.SIGTERM) == 0


@pytest.mark.parametrize("wish", ["stop", "_hang_up"])
def test_a_long_cycle_ends_between_two_batches_where_somebody_wants_something_else(wish: str, tmp_path: Path) -> None:
    daemon = Daemon(Settings(state_dir=tmp_path), {}, lambda: Settings(state_dir=tmp_path))
    done: list[str] = []

    def cycle(beat: Callable[[], None]) -> None:
        beat()
        done.append("a batch")
        getattr(daemon, wish)()
        beat()
        done.append("another")

    daemon.service.cycle = cycle  # type: ignore[method-assign,assignment]
    daemon._step()
    assert done == ["a batch"]
    assert not daemon._backoff.failures, "that is no error"
    daemon.service.close()


def test_a_signal_to_read_the_settings_does_not_end_a_daemon_that_is_only_starting(pi: DaemonProcess) -> None:
    pi.folder.mkdir(parents=True)
    (pi.folder / "state.db").mkdir()  # it cannot start: the signal must not be what ends it
    code = (
        "import signal; from inference import run; run.python_hashes_only = lambda: signal.raise_signal(signal.SIGHUP);"
        "raise SystemExit(run.main([]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=pi.env, stderr=subprocess.PIPE)
    said = process.communicate(timeout=30)[1]
    assert (process.returncode, b"open state" in said) == (1, True), said


def test_systemd_hears_that_it_is_ready_alive_and_stopping(pi: DaemonProcess, tmp_path: Path) -> None:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(str(tmp_path / "notify"))
    server.settimeout(30)
    os.environ.update(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="600000")
    try:
        pi.start()
    finally:
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
            del os.environ[name]
    assert server.recv(1000).startswith(b"READY=1\nSTATUS=")
    assert server.recv(1000).startswith(b"WATCHDOG=1\nSTATUS=")
    assert server.recv(1000).startswith(b"WATCHDOG=1\nSTATUS=")
    assert pi.kill(signal.SIGTERM) == 0
    server.settimeout(1)
    said: list[bytes] = []
    while not said or not said[-1].startswith(b"STOPPING=1"):
        said.append(server.recv(1000))
    server.close()


@pytest.mark.usefixtures("ssh_keygen")  # without it signatures are checked by the library that must not be there
def test_the_daemon_carries_nothing_that_it_does_not_need(pi: DaemonProcess, trained: Trained) -> None:
    activate(pi.settings["INBOX"], trained.bundle.name)
    write_lines(pi.folder, 600)
    pi.start()
    wait_until(lambda: state_of(pi) == "running", "the model to serve", 30)
    assert pi.process is not None
    maps = Path(f"/proc/{pi.process.pid}/maps").read_text()
    for name in ("sklearn", "pandas", "/scipy/", "joblib", "cryptography", "paramiko", "pyarrow"):
        assert name not in maps
    resident_mb = int(Path(f"/proc/{pi.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
    assert resident_mb < 70


def test_a_click_is_taken_up_within_a_second_or_two(pi: DaemonProcess, trained: Trained) -> None:
    """The poll and the cycle come every 30 s here; the wish of another process is seen all the same."""
    pi.settings |= {"INTERVAL_S": 30, "POLL_S": 3600}
    pi.start()
    pi.wait("daemon started")
    wait_until(lambda: state_of(pi) != "", "its first word", 30)
    began = time.monotonic()
    asked = pi.cli("models", "activate", trained.bundle.name, "--json")
    assert asked.returncode == 0, asked.stderr
    assert serving(pi) == trained.bundle.name
    assert time.monotonic() - began < 8, "a command's start, at most a second until it is seen, and the trial"
    assert "way=activate" in pi.log()


def test_loading_a_model_loads_nothing_that_the_daemon_need_not_carry(trained: Trained) -> None:
    code = (
        "import sys, pathlib; from shared.model import load_model; import inference.daemon;"
        "load_model({p.name: p.read_bytes() for p in pathlib.Path(sys.argv[1]).iterdir() if p.name != 'model.joblib'});"
        "print(sorted({'numpy.ma', 'argparse', 'ssl', 'apprise', 'flask', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(trained.bundle)], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"
