"""No command of the Pi reads a pickle, and nobody opens `model.joblib` but to hash and copy it: an audit hook in every
process listens, the child that tries a candidate out included."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from inference.cli import cli
from inference.commands.models import models
from inference.sqlite_source import create_table
from shared import layout
from tests.daemon_process import ROOT, DaemonProcess, Trained, daemon, trained
from tests.services import free_port, port_answers, wait_until

__all__ = ["trained"]

pytestmark = pytest.mark.faults

# Python imports this first in every process that has its folder in PYTHONPATH.
HOOK = """
import os, sys
_LOG = {log!r}
_ALLOWED = {{"read_file": "bundle.py", "write_new": "layout.py", "_replace": "receipts.py"}}

def _say(text):
    handle = os.open(_LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(handle, (text + "\\n").encode())
    os.close(handle)

def _hook(event, args):
    if event == "pickle.find_class":
        _say("pickle " + " ".join(map(str, args)))
    elif event == "open" and isinstance(args[0], (str, bytes)) and "model.joblib" in os.fsdecode(args[0]):
        frame, names = sys._getframe(1), []
        while frame is not None:
            names.append((frame.f_code.co_name, os.path.basename(frame.f_code.co_filename)))
            frame = frame.f_back
        if not any(_ALLOWED.get(name) == file for name, file in names):
            _say("joblib opened by " + " < ".join(name for name, _ in names[:5]))

sys.addaudithook(_hook)
_say("listening " + " ".join(sys.orig_argv[1:4]))
"""
# Commands that need arguments, or stay up; the others are run as they are.
ARGUMENTS = {
    "replay": ("{export}", "--bundle", "{bundle}", "--json"),
    "models activate": ("{version}",),
    "models verify": ("{bundle}",),
    "pull": ("--check",),
}
STAYS_UP = {"run", "web"}


def commands() -> list[str]:
    """Every command of `pipit-inference`, those of its groups with the group's name."""
    with click.Context(cli) as context:
        top = [name for name in cli.list_commands(context) if name not in {*STAYS_UP, "models"}]
    with click.Context(models) as context:
        return [*top, *(f"models {name}" for name in models.list_commands(context))]


@pytest.fixture
def pi(trained: Trained, tmp_path: Path) -> DaemonProcess:
    inbox = tmp_path / "inbox"
    shutil.copytree(trained.models, inbox, symlinks=True)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK.format(log=str(tmp_path / "heard")))
    settings = {"INBOX": inbox, "ALLOWED_SIGNERS": trained.allowed_signers, "INTERVAL_S": 0.5}

    class Heard(DaemonProcess):
        @property
        def env(self) -> dict[str, str]:
            return super().env | {"PYTHONPATH": f"{tmp_path / 'hook'}:{ROOT}"}

    return Heard(tmp_path / "pi", settings)


def heard(tmp_path: Path) -> list[str]:
    return (tmp_path / "heard").read_text().splitlines()


def test_no_command_of_the_pi_unpickles_anything(pi: DaemonProcess, trained: Trained, tmp_path: Path) -> None:
    """A real trained bundle; the commands with no daemon, then the daemon and the pages."""
    rows = tmp_path / "rows.csv"
    rows.write_text(
        "id,timestamp,host,program,pid,severity,message\n1,2026-03-04T10:00:00Z,ap1,hostapd,1,6,wlan0: up\n"
    )
    words = {"export": str(rows), "bundle": str(trained.bundle), "version": trained.bundle.name}
    assert pi.cli("once", "--json").returncode == 0
    for command in commands():
        arguments = [word.format(**words) for word in ARGUMENTS.get(command, ())]
        done = pi.cli(*command.split(), *arguments)
        assert b"unexpected" not in done.stderr, (command, done.stderr)
        assert b"Traceback" not in done.stderr, (command, done.stderr)
    said = heard(tmp_path)
    assert [line for line in said if not line.startswith("listening")] == []
    assert any("inference.probe" in line for line in said), "the child listened too"
    assert len(said) > len(commands())


def test_neither_the_daemon_nor_the_pages_unpickle_anything(
    pi: DaemonProcess, trained: Trained, tmp_path: Path
) -> None:
    pi.folder.mkdir(parents=True)
    create_table(pi.folder / "logs.db")
    with sqlite3.connect(pi.folder / "logs.db") as db:
        row = (time.time() - 1500, "ap1", "hostapd", "1", 6, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated")
        db.execute(
            "INSERT INTO log_entries (timestamp, host, program, pid, severity, message) VALUES (?,?,?,?,?,?)", row
        )
    port = free_port()
    pi.settings |= {"BIND": f"127.0.0.1:{port}"}
    with daemon(pi.folder / "unused") as web:
        try:
            pi.start()
            wait_until(lambda: b'"state": "loaded"' in pi.cli("models", "history", "--json").stdout, "the model", 60)
            with (tmp_path / "web.log").open("wb") as out:
                web.process = subprocess.Popen(
                    [sys.executable, "-m", "inference", "web"], cwd=ROOT, env=pi.env, stdout=out, stderr=out
                )
            wait_until(lambda: port_answers(port), "the pages", 30)
            back = pi.cli("models", "activate", trained.bundle.name, "--json")
            assert json.loads(back.stdout)["active"] == trained.bundle.name
        finally:
            if pi.process is not None:
                pi.kill(15)
    said = heard(tmp_path)
    assert [line for line in said if not line.startswith("listening")] == []
    assert any("inference.run" in line for line in said)


def test_the_hook_would_hear_a_pickle(pi: DaemonProcess, trained: Trained, tmp_path: Path) -> None:
    """The listening is worth something: reading the trainer's file as the trainer does is heard twice over."""
    code = "import sys, joblib; joblib.load(sys.argv[1])"
    file = layout.bundle_folder(trained.models, "wifi", trained.bundle.name) / "model.joblib"
    subprocess.run([sys.executable, "-c", code, str(file)], env=pi.env, check=True, timeout=60)
    said = heard(tmp_path)
    assert any(line.startswith("pickle ") for line in said)
    assert any(line.startswith("joblib opened by") for line in said)
