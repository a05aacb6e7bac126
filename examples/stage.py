"""The two machines of the demo: what stands for the laptop, what stands for the Pi, and the logs that the Pi reads."""

from __future__ import annotations

import contextlib
import csv
import gzip
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from inference.sqlite_source import create_table
from shared.frame import parse_severity
from tests.asyncssh_server import PackagedSftpServer, find_asyncssh
from tests.services import MissingPartError, dies_with_parent, free_port, port_answers
from tests.sshd_server import SshdServer, find_sshd

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
WINDOW_S = 300


class DemoError(Exception):
    """A step of the story did not come out as it should."""


@dataclass
class Program:
    """One of the two commands, with the settings of its machine. What it started ends with `close()`, by pid."""

    name: str
    settings: Mapping[str, str]
    folder: Path
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self, *arguments: str) -> Any:
        """Run a command to its end and return the JSON it printed (None where it printed none)."""
        done = subprocess.run(self._line(*arguments), env=self._env(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DemoError(f"{self.name} {' '.join(arguments)}: exit code {done.returncode}\n{done.stderr[-3000:]}")
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    def start(self, command: str) -> None:
        """Start a command that stays up."""
        with self.log(command).open("ab") as log:
            line = [*dies_with_parent(), *self._line(command)]
            self.children[command] = subprocess.Popen(
                line, env=self._env(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def log(self, command: str) -> Path:
        """What a command that stays up writes."""
        return self.folder / f"{command}.log"

    def wait_for(self, holds: Callable[[], Any], what: str, timeout_s: float = 60.0) -> Any:
        """The first true answer of `holds()`; DemoError with the end of the logs when a child dies or time runs out."""
        deadline = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(sqlite3.Error, OSError, ValueError):
                if answer := holds():
                    return answer
            dead = [command for command, child in self.children.items() if child.poll() is not None]
            if dead or time.monotonic() > deadline:
                why = f"`{self.name} {dead[0]}` ended" if dead else f"nothing after {timeout_s:g} s"
                tails = "".join(
                    f"\n--- {command}\n{self.log(command).read_text()[-2000:]}" for command in self.children
                )
                raise DemoError(f"waiting for {what}: {why}{tails}")
            time.sleep(0.1)

    def close(self) -> None:
        """End what was started and wait for it."""
        for child in self.children.values():
            child.terminate()
        for child in self.children.values():
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _line(self, *arguments: str) -> list[str]:
        package = {"pipit-trainer": "trainer", "pipit-inference": "inference"}[self.name]
        return [sys.executable, "-m", package, *arguments]

    def _env(self) -> dict[str, str]:
        # Nobody's own settings may leak into the demo, and the demo's into nobody's.
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("TRAINING_", "INFERENCE_"))}
        return {**plain, **self.settings, "PYTHONPATH": str(PROJECT)}


def laptop(folder: Path) -> Program:
    """The machine that trains."""
    folder.mkdir(parents=True)
    settings = {
        "TRAINING_MODELS_DIR": str(folder / "models"),
        "TRAINING_EXPORTS_DIR": str(HERE),
        "TRAINING_STATE_DIR": str(folder / "state"),
        "TRAINING_BIND": f"127.0.0.1:{port_near(8001)}",
    }
    return Program("pipit-trainer", settings, folder)


def pi(folder: Path, inbox: Path) -> Program:
    """The machine that watches: embedded SQLite as its log store, nothing else around."""
    (folder / "state").mkdir(parents=True)
    settings = {
        "INFERENCE_INBOX": str(inbox),
        "INFERENCE_STATE_DIR": str(folder / "state"),
        "INFERENCE_ALLOWED_SIGNERS": str(folder / "state" / "allowed_signers"),
        "INFERENCE_AUDIENCE": "pi",
        "INFERENCE_INTERVAL_S": "1",
        "INFERENCE_BIND": f"127.0.0.1:{port_near(8000)}",
    }
    return Program("pipit-inference", settings, folder)


def sftp_server(folder: Path) -> SshdServer:
    """OpenSSH's sshd where it can be had (as root in a chroot), else the SFTP server of a package."""
    try:
        server = SshdServer(find_sshd(), folder)
        if server.mode != "nobody":
            return server
    except MissingPartError:
        pass
    return PackagedSftpServer(find_asyncssh(), folder)


def port_near(wanted: int) -> int:
    """The usual port, or a free one where something else sits on it."""
    return free_port() if port_answers(wanted) else wanted


@dataclass(frozen=True)
class Feed:
    """What was put into the Pi's log store, and by how much its times were moved."""

    rows: int
    hosts: int
    shift_s: float
    end: float


def feed_logs(export: Path, store: Path, now: float) -> Feed:
    """Put an export into the embedded store, its times moved (by whole windows) so that it ends just now."""
    with gzip.open(export, "rt", encoding="utf-8", newline="") as file:
        rows = [(seconds(row["timestamp"]), row) for row in csv.DictReader(file)]
    # The last window has been over for its grace of 30 s, so that it is judged at once.
    last_end = (rows[-1][0] // WINDOW_S + 1) * WINDOW_S
    shift_s = ((now - 35) // WINDOW_S) * WINDOW_S - last_end
    create_table(store)
    with contextlib.closing(sqlite3.connect(store)) as db, db:
        db.executemany(
            "INSERT INTO log_entries (timestamp, host, program, pid, severity, message) VALUES (?, ?, ?, ?, ?, ?)",
            [
                (t + shift_s, row["host"], row["program"], row["pid"], parse_severity(row["severity"]), row["message"])
                for t, row in rows
            ],
        )
    return Feed(len(rows), len({row["host"] for _, row in rows}), shift_s, last_end + shift_s)


def seconds(iso: str) -> float:
    """An ISO 8601 time as seconds since the epoch."""
    return datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()
