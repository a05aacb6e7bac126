"""Two trainers ship to one Pi at the same time, 200 versions each, and the Pi reconciles all the while."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from inference import probe as trial
from inference.probe import ProbeReport
from shared import bundle, layout, signing
from shared.bundle import FileEntry, Manifest
from shared.errors import ShipError
from tests.fakes import Pi, Workshop, bundle_files
from trainer.remote import LocalRemote
from trainer.ship import SignedBundle, Wait, ship

pytestmark = pytest.mark.faults


def signed_in_memory(workshop: Workshop, version: str, serial: int) -> SignedBundle:
    files = bundle_files("good", 200)
    entries = {name: FileEntry(len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items()}
    encoded = Manifest("wifi", version, serial, ("*",), entries).encode()
    signature = signing.sign(encoded, workshop.key.path, signing.LIBRARY)
    raw = {**files, bundle.MANIFEST: encoded, bundle.SIGNATURE: signature}
    return SignedBundle(bundle.parse_manifest(encoded), raw)


def send_all(mine: list[SignedBundle], inbox: Path) -> int:
    """What a sender's process does: each version until the Pi has it or a newer one came. Its exit code."""
    for signed in mine:
        try:
            ship(signed, LocalRemote(inbox), Wait("loaded", 30.0, 0.002))
        except ShipError as error:
            if error.code != "superseded":
                return 1
    return 0


def test_the_active_serial_never_falls_and_the_highest_serves_in_the_end(
    tmp_path: Path, faults: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = 200 if faults == "full" else 20
    workshop = Workshop(tmp_path)
    pi = Pi(tmp_path / "pi", workshop.allowed, windows=0)
    monkeypatch.setattr(trial, "probe", lambda *_: ProbeReport(0.0, 0.0, 0.0))
    children = []
    for sender in range(2):
        mine = [
            signed_in_memory(workshop, layout.version_at(10_000 * sender + n), 1 + 2 * n + sender)
            for n in range(rounds)
        ]
        if (child := os.fork()) == 0:
            os._exit(send_all(mine, pi.inbox))
        children.append(child)
    serials, deadline = [0], time.monotonic() + 100
    while children:
        assert time.monotonic() < deadline
        pi.reconcile()
        pi.clock.pass_(1)
        serving = pi.slot.get("wifi")
        assert serving is not None or serials == [0]
        if serving is not None and serving.serial != serials[-1]:
            assert serving.serial > serials[-1], "the active serial fell"
            serials.append(serving.serial)
        for child in list(children):
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                assert os.waitstatus_to_exitcode(status) == 0
                children.remove(child)
    pi.reconcile()
    assert pi.slot.get("wifi") is not None
    assert serials[-1] == 2 * rounds, "the highest of all serves in the end"
    assert len(serials) > rounds / 2
