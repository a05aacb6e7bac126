"""The sender is killed, cut off, or writes to a disk that fails: the inbox always wishes for a whole version."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared import bundle, layout, signing
from shared.bundle import FileEntry, Manifest
from shared.errors import BundleError, ShipError
from tests.fakes import V1, V2, Workshop, bundle_files
from tests.paper_disk import PaperDisk, Recorder, wished
from tests.sshd_server import SshdServer
from trainer import targets
from trainer.remote import LocalRemote, Remote
from trainer.sftp import SftpRemote
from trainer.ship import SignedBundle, ship, ship_to
from trainer.targets import Target, parse_target

pytestmark = pytest.mark.faults


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def signed_in_memory(workshop: Workshop, version: str, serial: int, size: int = 60_000) -> SignedBundle:
    files = bundle_files(version, size)
    entries = {name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    manifest = Manifest("wifi", version, serial, ("*",), entries)
    encoded = manifest.encode()
    signature = signing.sign(encoded, workshop.key.path, signing.LIBRARY)
    return SignedBundle(manifest, {**files, bundle.MANIFEST: encoded, bundle.SIGNATURE: signature})


def read_active(inbox: Path) -> str | None:
    """The version that is wished for, after every byte of it has been compared."""
    while True:
        version = layout.active_version(inbox, "wifi")
        if version is None:
            return None
        try:
            manifest = bundle.verify(bundle.open_bundle(inbox / "wifi" / version), None)
            assert manifest.version == version
            return version
        except BundleError:
            if layout.active_version(inbox, "wifi") == version:
                raise  # nobody changed the link meanwhile: this is what a Pi would see


# The sender is killed


def test_a_sender_killed_at_any_moment_never_leaves_half_a_version(
    workshop: Workshop, inbox: Path, faults: str
) -> None:
    """Children forked from here ship one version each and are killed after a random while; we read all the time."""
    rounds = 450 if faults == "full" else 60
    chance, killed, reads = random.Random(7), 0, 0
    start = 1_750_000_000
    ship(signed_in_memory(workshop, layout.version_at(start), 1), LocalRemote(inbox))
    for number in range(1, rounds + 1):
        signed = signed_in_memory(workshop, layout.version_at(start + number), number + 1)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                ship(signed, LocalRemote(inbox))
            os._exit(0)
        deadline = time.monotonic() + chance.uniform(0.0, 0.03)
        while time.monotonic() < deadline:
            assert read_active(inbox) is not None
            reads += 1
        os.kill(child, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        assert read_active(inbox) is not None
    assert killed > rounds // 10
    last = signed_in_memory(workshop, layout.version_at(start + rounds + 1), rounds + 2)
    ship(last, LocalRemote(inbox))
    assert read_active(inbox) == last.manifest.version


def test_a_sender_killed_over_a_real_server_never_leaves_half_a_version(
    workshop: Workshop, own_sshd: SshdServer, faults: str
) -> None:
    """The same over OpenSSH: what the server had already been told goes on after the kill, and must be no half either."""
    rounds = 50 if faults == "full" else 8
    target = parse_target("attic", own_sshd.url, own_sshd.identity, own_sshd.known_hosts)
    chance, killed, reads, start = random.Random(11), 0, 0, 1_760_000_000
    began = time.monotonic()
    ship_to(signed_in_memory(workshop, layout.version_at(start), 1, 300_000), target)
    longest = time.monotonic() - began
    for number in range(1, rounds + 1):
        signed = signed_in_memory(workshop, layout.version_at(start + number), number + 1, 300_000)
        child = os.fork()
        if child == 0:
            with contextlib.suppress(BaseException):
                ship_to(signed, target)
            os._exit(0)
        deadline = time.monotonic() + chance.uniform(0.2, 1.1) * longest
        while time.monotonic() < deadline:
            assert read_active(own_sshd.inbox) is not None
            reads += 1
        os.kill(child, signal.SIGKILL)
        killed += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        assert read_active(own_sshd.inbox) is not None
    assert killed > rounds // 4
    assert reads > rounds
    last = signed_in_memory(workshop, layout.version_at(start + rounds + 1), rounds + 2)
    ship_to(last, target)
    assert read_active(own_sshd.inbox) == last.manifest.version


# The power goes


def test_power_lost_between_any_two_operations_leaves_old_or_new(workshop: Workshop) -> None:
    """Every crash point times every subset of what was not synced, over the real sender's own operations."""
    disk = PaperDisk()
    remote: Remote = Recorder(disk)
    old, new = (signed_in_memory(workshop, version, serial, 10) for version, serial in ((V1, 1), (V2, 2)))
    ship(old, remote)
    begin = len(disk.ops)
    settled = {n for n, op in enumerate(disk.ops) if op[0] not in ("sync", "fsync")}
    ship(new, remote)
    contents = {V1: dict(old.raw), V2: dict(new.raw)}
    states, found = 0, set()
    for count in range(begin, len(disk.ops) + 1):
        safe, open_ops = disk.durable(count)
        open_ops = [n for n in open_ops if n not in settled]
        for size in range(len(open_ops) + 1):
            for kept in itertools.combinations(open_ops, size):
                result = wished(disk.replay(settled | safe | set(kept), count), contents)
                assert result in (V1, V2), f"{result} after {count - begin} operations, kept {kept}"
                found.add(result)
                states += 1
    safe, _ = disk.durable(len(disk.ops))
    assert wished(disk.replay(settled | safe, len(disk.ops)), contents) == V2, "what was acknowledged is not lost"
    assert found == {V1, V2}
    assert states > 500


def test_the_paper_disk_finds_what_a_careless_sender_does(workshop: Workshop) -> None:
    """The model is worth something: without syncing folders it finds a dangling link."""

    class Careless(Recorder):
        def sync_folder(self, path: str) -> None:
            pass

    disk = PaperDisk()
    signed = signed_in_memory(workshop, V1, 1, 10)
    ship(signed, Careless(disk))
    safe, open_ops = disk.durable(len(disk.ops))
    links = {n for n in open_ops if disk.ops[n][0] == "move" and disk.ops[n][4] == "active"}
    folders = {n for n in open_ops if disk.ops[n][0] == "name" and disk.ops[n][2] == "wifi"}
    assert wished(disk.replay(safe | links | folders, len(disk.ops)), {V1: dict(signed.raw)}) == "dangling"


# The disk fails


class Failing:
    """A Remote whose nth operation fails, as a full or broken disk would; the operation may have half happened."""

    def __init__(self, inner: Remote, fail_at: int, half: bool) -> None:
        self.inner, self.left, self.half = inner, fail_at, half

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self.inner, name)

        def run(*arguments: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                if self.half and name == "write_new":
                    call(arguments[0], arguments[1][: len(arguments[1]) // 2])
                elif self.half:
                    call(*arguments)
                raise ShipError(f"ship: {name}: No space left on device", "io")
            return call(*arguments)

        return run


@pytest.mark.parametrize("half", [False, True])
def test_a_disk_that_fails_at_any_operation_leaves_a_whole_version_and_the_next_try_succeeds(
    workshop: Workshop, inbox: Path, half: bool
) -> None:
    ship(signed_in_memory(workshop, layout.version_at(1), 1, 100), LocalRemote(inbox))
    for number in itertools.count(1):
        signed = signed_in_memory(workshop, layout.version_at(1000 + number), number + 1, 100)
        failing: Any = Failing(LocalRemote(inbox), number, half)
        with contextlib.suppress(ShipError):
            ship(signed, failing)
        assert read_active(inbox) is not None
        ship(signed, LocalRemote(inbox))
        assert read_active(inbox) == signed.manifest.version
        if failing.left > 0:
            break
    assert number > 25


# The connection is cut


class Cut(SftpRemote):
    """An SFTP connection that is cut when the nth request has been sent."""

    def __init__(self, target: Target, cut_after: int) -> None:
        super().__init__(target)
        self.left = cut_after
        send = self._sftp._send_packet  # type: ignore[attr-defined]

        def count(*arguments: Any) -> None:
            send(*arguments)
            self.left -= 1
            if self.left == 0:
                transport = self._client.get_transport()
                assert transport
                with contextlib.suppress(OSError):
                    transport.sock.shutdown(socket.SHUT_RDWR)

        self._sftp._send_packet = count  # type: ignore[attr-defined]


def test_a_connection_cut_after_any_request_leaves_a_whole_version_and_the_retry_succeeds(
    workshop: Workshop, own_sshd: SshdServer, faults: str
) -> None:
    target = parse_target("attic", own_sshd.url, own_sshd.identity, own_sshd.known_hosts)
    step = 1 if faults == "full" else 6
    ship_to(signed_in_memory(workshop, layout.version_at(1), 1, 100), target)
    for number in itertools.count(1, step):
        signed = signed_in_memory(workshop, layout.version_at(1000 + number), number + 1, 100)
        cut: list[Cut] = []

        def connect(where: Target, after: int = number, made: list[Cut] = cut) -> Remote:
            if made:
                return targets.connect(where)
            made.append(Cut(where, after))
            return made[0]

        def look(_seconds: float) -> None:
            assert read_active(own_sshd.inbox) is not None

        ship_to(signed, target, connect=connect, sleep=look)
        assert read_active(own_sshd.inbox) == signed.manifest.version
        if cut[0].left > 0:
            break
    assert number > 40


# Two senders


def test_two_senders_at_once_never_make_the_wish_invalid(workshop: Workshop, inbox: Path, faults: str) -> None:
    rounds = 200 if faults == "full" else 25
    children = []
    for sender in range(2):
        mine = [
            signed_in_memory(workshop, layout.version_at(10_000 * sender + n), 1 + 2 * n + sender, 500)
            for n in range(rounds)
        ]
        child = os.fork()
        if child == 0:
            code = 0
            try:
                for signed in mine:
                    ship(signed, LocalRemote(inbox))
            except BaseException:
                code = 1
            os._exit(code)
        children.append(child)
    reads = 0
    while children:
        read_active(inbox)
        reads += 1
        for child in list(children):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert os.waitstatus_to_exitcode(status) == 0
                children.remove(child)
    assert read_active(inbox) is not None
    assert reads > 10
