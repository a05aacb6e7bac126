"""A Pi that is killed, fed garbage, or whose disk fails goes on serving the old model or serves the new one."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference import probe as trial
from inference.bundles import inbox as inbox_of
from shared import bundle, layout, signing
from shared.bundle import FileEntry, Manifest
from shared.errors import BundleError
from tests.fakes import V1, V2, Pi, Workshop, bundle_files, pi_with_v1
from trainer.remote import LocalRemote
from trainer.ship import ship

pytestmark = pytest.mark.faults


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


# Killed at every step


class Deadly:
    """Counts the steps of a reconcile; at the nth the process dies as by SIGKILL."""

    def __init__(self, at: int) -> None:
        self.left = at

    def step(self) -> None:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def arm(self, monkeypatch: pytest.MonkeyPatch, pi: Pi) -> None:
        for owner, name in [
            (os, "rename"),
            (os, "replace"),
            (os, "fsync"),
            (os, "mkdir"),
            (trial, "probe"),
            (pi.slot, "put"),
            (pi, "load"),
        ]:
            monkeypatch.setattr(owner, name, self._before(getattr(owner, name)))
        deadly = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                if not arguments[0].startswith("SELECT"):
                    deadly.step()
                return super().execute(*arguments)

        pi.db.close()
        pi.db = sqlite3.connect(pi.state_file, isolation_level=None, factory=Connection)

    def _before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            self.step()
            return call(*arguments, **options)

        return run


def pi_trying(root: Path, workshop: Workshop, word: str) -> Pi:
    pi = Pi(root, workshop.allowed)
    if word == "hang":
        pi.probe_command = HANGING
        pi.limit(wall_s=0.1)
    return pi


HANGING = ("/bin/sh", "-c", "sleep 60")  # a child that never answers, without the cost of starting Python


@pytest.mark.parametrize("word", ["good", "golden", "crash", "hang"])
def test_a_daemon_killed_at_any_step_ends_with_old_or_new(
    tmp_path: Path, workshop: Workshop, faults: str, word: str
) -> None:
    template = pi_with_v1(tmp_path / "template", workshop)
    signed = workshop.make(V2, word)
    ship(signed, LocalRemote(template.inbox))
    template.db.close()
    step = 1 if faults == "full" else 5
    for number in itertools.count(1, step):
        root = tmp_path / f"pi-{number}"
        shutil.copytree(tmp_path / "template", root, symlinks=True)
        child = os.fork()
        if child == 0:
            try:
                pi = pi_trying(root, workshop, word)
                Deadly(number).arm(pytest.MonkeyPatch(), pi)
                pi.reconcile()
            finally:
                os._exit(0)
        died = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0
        pi = pi_trying(root, workshop, word)
        pi.restart()
        assert pi.serving() in ((V1, V2) if word == "good" else (V1,)), "serving is never without a valid model"
        for _ in range(4):
            pi.reconcile()
        assert pi.reconcile() == [], "it has come to an end"
        assert pi.serving() == (V2 if word == "good" else V1)
        floor = pi.store.floor("wifi", workshop.key.fingerprint)
        active = pi.store.known("wifi", pi.serving() or "")
        assert floor
        assert active
        assert floor[0] == active.serial
        assert pi.receipt()["version"] == V2
        assert pi.receipt()["state"] == ("loaded" if word == "good" else "refused")
        assert not list(pi.settings.store.glob(".tmp-*"))
        pi.db.close()
        shutil.rmtree(root)
        if not died:
            break
    assert number > 15


# Garbage


def sign_again(workshop: Workshop, raw: dict[str, bytes], manifest: bytes | None = None) -> dict[str, bytes]:
    """Signed by the real key, so that what comes after the signature is tried."""
    if manifest is None:
        manifest = raw[bundle.MANIFEST]
    return {
        **raw,
        bundle.MANIFEST: manifest,
        bundle.SIGNATURE: signing.sign(manifest, workshop.key.path, signing.LIBRARY),
    }


def flip(data: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def with_fields(raw: dict[str, bytes], **fields: Any) -> bytes:
    return bundle.canonical({**json.loads(raw[bundle.MANIFEST]), **fields})


def without(raw: dict[str, bytes], name: str) -> dict[str, bytes]:
    return {other: data for other, data in raw.items() if other != name}


KINDS: dict[str, Callable[[dict[str, bytes], random.Random, Workshop], dict[str, bytes]]] = {
    "a bit of a file": lambda r, c, w: {**r, (n := c.choice(bundle.FILES)): flip(r[n], c)},
    "a bit of the manifest": lambda r, c, w: {**r, bundle.MANIFEST: flip(r[bundle.MANIFEST], c)},
    "a bit of the signature": lambda r, c, w: {**r, bundle.SIGNATURE: flip(r[bundle.SIGNATURE], c)},
    "a file cut short": lambda r, c, w: {**r, (n := c.choice(bundle.FILES)): r[n][: c.randrange(len(r[n]))]},
    "a manifest cut short": lambda r, c, w: {**r, bundle.MANIFEST: r[bundle.MANIFEST][: c.randrange(200)]},
    "a signature cut short": lambda r, c, w: {**r, bundle.SIGNATURE: r[bundle.SIGNATURE][: c.randrange(200)]},
    "a file missing": lambda r, c, w: without(r, c.choice(list(r))),
    "a file too many": lambda r, c, w: {**r, f"{c.randrange(10**6)}.so": b""},
    "a file too long": lambda r, c, w: {**r, (n := c.choice(bundle.FILES)): r[n] + c.randbytes(9)},
    "two files swapped": lambda r, c, w: {**r, "agent.yaml": r["golden.json"], "golden.json": r["agent.yaml"]},
    "bytes after the signature": lambda r, c, w: {**r, bundle.SIGNATURE: r[bundle.SIGNATURE] + c.randbytes(3)},
    "blanks in the manifest": lambda r, c, w: sign_again(w, r, r[bundle.MANIFEST].replace(b",", b", ", 1)),
    "random bytes, signed": lambda r, c, w: sign_again(w, r, c.randbytes(c.randrange(300))),
    "deep nesting, signed": lambda r, c, w: sign_again(w, r, b"[" * 30_000 + b"]" * 30_000),
    "another schema": lambda r, c, w: sign_again(w, r, with_fields(r, schema=c.randrange(2, 99))),
    "an odd serial": lambda r, c, w: sign_again(
        w, r, with_fields(r, serial=c.choice([-1, 0, "1", None, 1.5, True, []]))
    ),
    "an odd version": lambda r, c, w: sign_again(w, r, with_fields(r, version=c.choice(["../x", "latest", "", 1]))),
    "another agent": lambda r, c, w: sign_again(w, r, with_fields(r, agent=c.choice(["sshd", "../wifi", "", 7]))),
    "another audience": lambda r, c, w: sign_again(
        w, r, with_fields(r, audience=c.choice([["x"], [], "x", [1], None]))
    ),
    "an unknown field": lambda r, c, w: sign_again(w, r, with_fields(r, more=c.random())),
    "a path for a name": lambda r, c, w: sign_again(
        w, r, with_fields(r, files={"../../x": {"size": 1, "sha256": "0" * 64}})
    ),
    "a huge size": lambda r, c, w: sign_again(
        w, r, with_fields(r, files={n: {"size": 1 << 50, "sha256": "0" * 64} for n in bundle.FILES})
    ),
    "wrong hashes": lambda r, c, w: sign_again(
        w, r, with_fields(r, files={n: {"size": len(r[n]), "sha256": c.randbytes(32).hex()} for n in bundle.FILES})
    ),
    "an old serial": lambda r, c, w: sign_again(w, r, with_fields(r, serial=c.randrange(1, 1000))),
    "no signature": lambda r, c, w: {**r, bundle.SIGNATURE: b""},
}


def test_no_malformed_bundle_is_taken(tmp_path: Path, workshop: Workshop, faults: str) -> None:
    """25 kinds of damage; each is refused with a documented code, and neither disk nor memory grows."""
    pi = pi_with_v1(tmp_path / "pi", workshop)
    raw = dict(workshop.make(V2).raw)
    chance, codes = random.Random(3), set()
    rounds = 2000 if faults == "full" else 200
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    folder = pi.inbox / "wifi" / V2
    for number, kind in zip(range(rounds), itertools.cycle(KINDS), strict=False):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, data in KINDS[kind](raw, chance, workshop).items():
            (folder / name).write_bytes(data)
        layout.swap_link(pi.inbox / "wifi" / "active", V2)
        outcome = pi.one()
        assert outcome.state == "refused", (number, kind)
        assert outcome.code in bundle.REASONS
        assert outcome.code not in ("internal", "io", "bad"), (kind, outcome.reason)
        assert pi.serving() == V1
        codes.add(outcome.code)
    assert len(codes) >= 9, codes
    assert layout.versions_in(pi.settings.store, "wifi") == [V1]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024
    ship(workshop.make("20250610_000000"), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"


# Files that change while they are read


def test_files_swapped_while_they_are_read_never_get_in(tmp_path: Path, workshop: Workshop, faults: str) -> None:
    """Somebody renames good and evil files over each other; what is stored is what was signed, or nothing is."""
    pi = pi_with_v1(tmp_path / "pi", workshop)
    signed = workshop.make(V2, size=50_000)
    ship(signed, LocalRemote(pi.inbox))
    folder, stop = pi.inbox / "wifi" / V2, threading.Event()

    def swap() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            data = signed.raw["scorer.npz"] if number % 2 else bytes(len(signed.raw["scorer.npz"]))
            (pi.inbox / "beside").write_bytes(data)
            os.replace(pi.inbox / "beside", folder / "scorer.npz")

    swapper = threading.Thread(target=swap)
    swapper.start()
    taken, refused = 0, set()
    try:
        for _ in range(1000 if faults == "full" else 100):
            try:
                candidate = inbox_of.receive(pi.inbox, "wifi", V2, pi.store, workshop.allowed, None, "attic")
            except BundleError as error:
                refused.add(error.code)
                continue
            place = pi.store.shelf.keep(candidate.manifest, candidate.raw)
            stored = (place / "scorer.npz").read_bytes()
            assert hashlib.sha256(stored).hexdigest() == candidate.manifest.files["scorer.npz"].sha256
            taken += 1
    finally:
        stop.set()
        swapper.join()
    assert taken > 0
    assert refused <= {"hash", "size", "missing_file"}


# Another machine's, another key's


def test_what_is_not_for_this_machine_is_refused_with_the_right_code(tmp_path: Path, workshop: Workshop) -> None:
    pi = pi_with_v1(tmp_path / "pi", workshop)
    stranger = Workshop(tmp_path / "stranger")
    ship(workshop.make("20250611_000000", audience=("cabin",)), LocalRemote(pi.inbox))
    assert pi.one().code == "audience"
    ship(stranger.make("20250612_000000"), LocalRemote(pi.inbox))
    assert pi.one().code == "signer_unknown"
    assert pi.settings.revoked_keys is not None
    pi.settings.revoked_keys.write_text(workshop.key.public)
    ship(workshop.make("20250613_000000"), LocalRemote(pi.inbox))
    assert pi.one().code == "signer_revoked"
    pi.settings.revoked_keys.unlink()
    assert pi.one().state == "loaded"


def test_a_signature_for_another_purpose_is_refused(
    tmp_path: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    pi = pi_with_v1(tmp_path / "pi", workshop)
    signed = workshop.make(V2)
    with monkeypatch.context() as patch:
        patch.setattr(signing, "NAMESPACE", "file")
        wrong = signing.sign(signed.raw[bundle.MANIFEST], workshop.key.path, signing.LIBRARY)
    ship(type(signed)(signed.manifest, {**signed.raw, bundle.SIGNATURE: wrong}), LocalRemote(pi.inbox))
    assert pi.one().code == "namespace"


def test_every_older_serial_is_a_replay(tmp_path: Path, workshop: Workshop) -> None:
    pi = pi_with_v1(tmp_path / "pi", workshop)
    older = []
    for number in range(5):
        files = bundle_files(size=100 + number)
        version = f"2025062{number}_000000"
        entries = {n: FileEntry(len(d), hashlib.sha256(d).hexdigest()) for n, d in files.items()}
        encoded = Manifest("wifi", version, 10 + number, ("*",), entries).encode()
        older.append((version, sign_again(workshop, files, encoded)))
    for version, raw in older:
        folder = pi.inbox / "wifi" / version
        folder.mkdir()
        for name, data in raw.items():
            (folder / name).write_bytes(data)
        layout.swap_link(pi.inbox / "wifi" / "active", version)
        assert pi.one().code == "serial_replay"
    assert pi.serving() == V1


def test_keys_rotate_without_a_gap(tmp_path: Path, workshop: Workshop) -> None:
    """Two lines, then the new key ships, then the old line goes: what served goes on serving all the while."""
    pi = pi_with_v1(tmp_path / "pi", workshop)
    following = Workshop(tmp_path / "next")
    old, new = workshop.allowed.read_bytes(), following.allowed.read_bytes()
    pi.settings.allowed_signers.write_bytes(old + new)
    ship(workshop.make(V2), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    ship(following.make("20250610_230000"), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    pi.settings.allowed_signers.write_bytes(new)
    ship(workshop.make("20250611_230000"), LocalRemote(pi.inbox))
    assert pi.one().code == "signer_unknown"
    pi.restart()
    assert pi.serving() == "20250610_230000"
    ship(following.make("20250612_230000"), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"


def test_a_leaked_key_that_signed_a_huge_serial_locks_nobody_out(tmp_path: Path, workshop: Workshop) -> None:
    pi = pi_with_v1(tmp_path / "pi", workshop)
    ship(workshop.make(V2, serial=10**12), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded", "the thief has the key"
    ship(workshop.make("20250610_230000"), LocalRemote(pi.inbox))
    assert pi.one().code == "serial_replay", "with that key nothing can be shipped any more"
    following = Workshop(tmp_path / "next")
    pi.settings.allowed_signers.write_bytes(following.allowed.read_bytes())
    assert pi.settings.revoked_keys is not None
    pi.settings.revoked_keys.write_text(workshop.key.public)
    ship(following.make("20250611_230000"), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    ship(workshop.make("20250612_230000", serial=10**13), LocalRemote(pi.inbox))
    assert pi.one().code == "signer_revoked"
    assert pi.serving() == "20250611_230000"
