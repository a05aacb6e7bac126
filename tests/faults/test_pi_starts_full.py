"""A Pi that starts on a full disk: it gives its ballast back, or waits and says so, and comes up by itself."""

from __future__ import annotations

import gzip
import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.keeping.disk import BALLAST, BALLAST_BYTES
from inference.sqlite_source import create_table
from tests.daemon_process import ROOT, environment
from tests.services import may, wait_until

pytestmark = pytest.mark.faults

RELEASE = sorted((ROOT / "tests" / "data" / "bundles").iterdir())[-1]
OWN_MOUNTS = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
MOUNT = (
    "mount -t tmpfs -o size={size_mb}m none {place} && cp -a {state}/. {place}/"
    " && {{ cat /dev/zero >{place}/filler; true; }} 2>&-"
)


@dataclass
class FullPi:
    """A daemon whose state folder is a small file system of its own, filled to the brim before it starts."""

    place: Path
    process: subprocess.Popen[bytes]
    journal: Path
    systemd: socket.socket

    def make_room(self) -> None:
        """Remove what fills the disk, from outside of the daemon's own mounts."""
        Path(f"/proc/{self.process.pid}/root{self.place}/filler").unlink()

    def said(self) -> str:
        """What it wrote so far."""
        return self.journal.read_text(errors="replace")

    def wait(self, said: str) -> None:
        """Wait until it says something; a daemon that ended says no more."""
        wait_until(lambda: said in self.said() or self.process.poll() is not None, f"the daemon to say {said!r}", 60)
        assert said in self.said(), self.said()

    def told_systemd(self) -> str:
        """Everything that it has sent to systemd since the last call."""
        words = ""
        with suppress(BlockingIOError):
            while True:
                words += self.systemd.recv(4096).decode() + "\n"
        return words


def kept_state(folder: Path) -> Path:
    """The state folder of a daemon that served the model of a release."""
    folder.mkdir()
    (folder / "state.db").write_bytes(gzip.decompress((RELEASE / "state.db.gz").read_bytes()))
    shutil.copytree(RELEASE / "wifi", folder / "store" / "wifi")
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., FullPi]]:
    """start(ballast): the daemon on a disk without a free byte."""
    place, systemd = tmp_path / "small", socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    place.mkdir()
    if not may(*OWN_MOUNTS, "mount", "-t", "tmpfs", "none", str(place)):
        pytest.skip("this user may not mount a file system")
    systemd.bind(str(tmp_path / "notify"))
    systemd.setblocking(False)
    running: list[subprocess.Popen[bytes]] = []

    def started(ballast: bool) -> FullPi:
        state = kept_state(tmp_path / "state")
        if ballast:
            (state / BALLAST).write_bytes(bytes(BALLAST_BYTES))
        (tmp_path / "inbox").mkdir()
        create_table(tmp_path / "logs.db")
        env = environment(
            INFERENCE_STATE_DIR=place, INFERENCE_INBOX=tmp_path / "inbox", NOTIFY_SOCKET=tmp_path / "notify",
            INFERENCE_ALLOWED_SIGNERS=RELEASE / "allowed_signers", INFERENCE_INTERVAL_S=0.2,
            INFERENCE_DATABASE_URL=f"sqlite:///{tmp_path}/logs.db",
        )  # fmt: skip
        mount = MOUNT.format(size_mb=8 if ballast else 4, place=place, state=state)
        command = f"{mount}; exec {shlex.quote(sys.executable)} -m inference run"
        with (tmp_path / "journal").open("wb") as out:
            process = subprocess.Popen([*OWN_MOUNTS, "bash", "-c", command], cwd=ROOT, env=env, stdout=out, stderr=out)
        running.append(process)
        return FullPi(place, process, tmp_path / "journal", systemd)

    yield started
    for process in running:
        process.kill()
        process.wait()
    systemd.close()


def test_a_pi_that_starts_without_a_free_byte_waits_and_comes_up_when_there_is_room(
    start: Callable[..., FullPi],
) -> None:
    pi = start(ballast=False)
    pi.wait("waiting for room")
    assert str(pi.place) in pi.said()
    wait_until(lambda: "READY=1" in pi.told_systemd(), "systemd to hear that it is up")
    wait_until(lambda: "STATUS=waiting for room" in pi.told_systemd(), "systemd to hear that it still waits")
    assert pi.process.poll() is None
    pi.make_room()
    pi.wait("daemon started")
    pi.wait("daemon is running")
    assert "Traceback" not in pi.said()


def test_a_pi_that_starts_full_gives_its_ballast_back_and_comes_up_at_once(start: Callable[..., FullPi]) -> None:
    pi = start(ballast=True)
    pi.wait("daemon started")
    assert "ballast" in pi.said()
    assert "waiting for room" not in pi.said()
    pi.make_room()
    pi.wait("daemon is running")


def test_a_pi_that_waits_for_room_ends_when_it_is_told_to(start: Callable[..., FullPi]) -> None:
    pi = start(ballast=False)
    pi.wait("waiting for room")
    pi.process.terminate()
    assert pi.process.wait(30) in (0, -15)
    assert "Traceback" not in pi.said()
