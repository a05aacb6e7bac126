"""Shipping: a signed bundle into a Pi's inbox, in steps that leave the old version or the new one active, never half.

`ship()` is the protocol over a Remote. Everything that a server can make durable is durable before the next step
relies on it; the link that says what is wanted is swapped last, in one rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared import bundle, layout, signing
from shared.bundle import Manifest
from shared.errors import BundleError, ShipError
from trainer import targets
from trainer.keys import SigningKey
from trainer.receipts import LIMIT, Receipt, parse_receipt
from trainer.remote import Progress, Remote, no_progress
from trainer.targets import Target

LOADED, GOOD, REFUSED, RETURNED = "loaded", "good", "refused", "returned"
ATTEMPTS = 3
_SPACE = 3  # times the bundle: the upload, the version it replaces, and room
_KEEP = 5  # versions that stay in an inbox
_LEFTOVER_S = 24 * 3600.0
_SETTLED_S = 3600.0
_SLOWEST_POLL_S = 5.0


@dataclass(frozen=True, slots=True)
class SignedBundle:
    """A bundle as it goes over the wire, its own signature checked."""

    manifest: Manifest
    raw: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for the Pi's word, and for which: `loaded` (it serves) or `good` (probation has passed)."""

    until: str = LOADED
    timeout_s: float = 180.0
    poll_s: float = 0.2
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    heard: Callable[[str], None] = lambda _state: None  # is told what a receipt says on the way


@dataclass(frozen=True, slots=True)
class Shipped:
    """What shipping did. Without a receipt the bundle lies there and is wished for, and nobody has asked further."""

    target: str
    agent: str
    version: str
    serial: int
    size_bytes: int
    seconds: float
    receipt: Receipt | None

    @property
    def state(self) -> str:
        """`sent`, or what the receipt says."""
        return self.receipt.state if self.receipt else "sent"


def load_signed(models: Path, agent: str, version: str, key: SigningKey) -> SignedBundle:
    """A version of this machine, with its signature checked as a Pi will check it.

    Raises:
        BundleError: it is not whole, or was not signed with this key.
    """
    raw = bundle.open_bundle(layout.bundle_folder(models, agent, version))
    if bundle.SIGNATURE not in raw:
        raise BundleError("unsigned", f"ship: {layout.model_id(agent, version)} has no signature")
    signing_line = f"{key.allowed_signers_line}\n".encode()
    signing.verify(raw[bundle.MANIFEST], raw[bundle.SIGNATURE], signing_line)
    manifest = bundle.verify(raw, None)
    if (manifest.agent, manifest.version) != (agent, version):
        raise BundleError("version", f"ship: the folder of {layout.model_id(agent, version)} holds {manifest.model_id}")
    return SignedBundle(manifest, raw)


def ship(
    signed: SignedBundle, remote: Remote, wait: Wait | None = None, progress: Progress = no_progress
) -> Receipt | None:
    """Bring a bundle into an inbox, make it the one that is wanted, and read the Pi's receipt. May be repeated.

    Raises:
        ShipError: refused on the way; or `unknown` where nobody can know (connection, no receipt in time).
    """
    before = _read_receipt(remote, signed)
    _check_space(remote, signed)
    if not _lies_there(remote, signed):
        part = _upload(remote, signed, progress)
        _put_in_place(remote, part, signed)
    _point_active(remote, signed)
    _tidy(remote, signed)
    return _await_receipt(remote, signed, before, wait) if wait else None


def ship_to(
    signed: SignedBundle,
    target: Target,
    wait: Wait | None = None,
    progress: Progress = no_progress,
    *,
    connect: Callable[[Target], Remote] = targets.connect,
    sleep: Callable[[float], None] = time.sleep,
) -> Shipped:
    """Connect and ship, again from the start when the connection breaks (a bundle is small).

    Raises:
        ShipError: as `ship`, after so many attempts.
    """
    began = time.monotonic()
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with contextlib.closing(connect(target)) as remote:
                receipt = ship(signed, remote, wait, progress)
            break
        except ShipError as error:
            if error.code != "offline" or attempt == ATTEMPTS:
                raise
            sleep(random.uniform(0.2, 1.0) * 2 ** (attempt - 1))
    manifest = signed.manifest
    seconds = time.monotonic() - began
    return Shipped(target.name, manifest.agent, manifest.version, manifest.serial, manifest.size, seconds, receipt)


def raise_if_refused(shipped: Shipped) -> None:
    """A receipt that says no becomes an error: exit 1; "the disk is full, it is tried again" is unknown: exit 3.

    Raises:
        ShipError: with the receipt's code.
    """
    receipt = shipped.receipt
    if receipt and receipt.state in (REFUSED, RETURNED):
        verb = "refuses" if receipt.state == REFUSED else "took back"
        raise ShipError(
            f"ship: {shipped.target} {verb} {layout.model_id(receipt.agent, receipt.version)}: {receipt.reason} "
            f"[{receipt.code}]; {receipt.previous or 'no other version'} serves there",
            receipt.code,
            unknown=receipt.code == "io",
        )


def _check_space(remote: Remote, signed: SignedBundle) -> None:
    free = remote.free_bytes()
    need = _SPACE * signed.manifest.size
    if free is not None and free < need:
        raise ShipError(
            f"ship: the target has {free} bytes free, and {need} are needed (three times the bundle); make room there",
            "space",
        )


def _lies_there(remote: Remote, signed: SignedBundle) -> bool:
    """Is this very bundle in its place already? One that is damaged is moved away."""
    place = _place(signed)
    found = remote.read(f"{place}/{bundle.MANIFEST}", len(signed.raw[bundle.MANIFEST]) + 4096)
    if found is None and not remote.names(place):
        return False
    if found == signed.raw[bundle.MANIFEST] and all(
        _same(remote.read(f"{place}/{name}", len(data) + 1), data) for name, data in signed.raw.items()
    ):
        return True
    if found not in (None, signed.raw[bundle.MANIFEST]) and _is_manifest(found or b""):
        raise ShipError(
            f"ship: {place} is there with other content; a version is never changed: train or sign a new one", "version"
        )
    remote.make_folder(layout.INCOMING)
    remote.rename(place, f"{layout.INCOMING}/{signed.manifest.version}.{uuid.uuid4().hex}.damaged")
    return False


def _upload(remote: Remote, signed: SignedBundle, progress: Progress) -> str:
    """All files into a folder of their own below `incoming`, durable when this returns."""
    part = f"{layout.INCOMING}/{signed.manifest.version}.{uuid.uuid4().hex}"
    remote.make_folder(layout.INCOMING)
    remote.make_folder(part)
    for name, data in signed.raw.items():
        remote.write_new(f"{part}/{name}", data, progress)
    remote.sync_folder(part)
    return part


def _put_in_place(remote: Remote, part: str, signed: SignedBundle) -> None:
    """The finished upload becomes a version; both folders that this changes are made durable."""
    agent = signed.manifest.agent
    remote.make_folder(agent)
    remote.sync_folder(".")
    remote.rename(part, _place(signed))
    remote.sync_folder(agent)
    remote.sync_folder(layout.INCOMING)


def _point_active(remote: Remote, signed: SignedBundle) -> None:
    """Swap the link that says what is wanted; then the stable names, where they are missing."""
    agent = signed.manifest.agent
    _swap_link(remote, agent, layout.ACTIVE, signed.manifest.version)
    for name, target in layout.stable_links(agent).items():
        if remote.read_link(name) != target:
            _swap_link(remote, ".", name, target)


def _swap_link(remote: Remote, folder: str, name: str, target: str) -> None:
    beside = f"{folder}/.{name}.{uuid.uuid4().hex}"
    remote.make_link(target, beside)
    remote.rename(beside, f"{folder}/{name}")
    remote.sync_folder(folder)


def _tidy(remote: Remote, signed: SignedBundle) -> None:
    """Remove what broken uploads left more than a day ago, and all but the newest versions. Failing here is no harm."""
    agent = signed.manifest.agent
    with contextlib.suppress(ShipError):
        entries = remote.names(agent)
        now = max((changed for _, changed in entries), default=0.0)  # by the target's own clock
        for name, changed in remote.names(layout.INCOMING):
            if changed < now - _LEFTOVER_S:
                remote.remove(f"{layout.INCOMING}/{name}")
        wished = remote.read_link(f"{agent}/{layout.ACTIVE}")
        versions = sorted((name for name, _ in entries if layout.is_version(name)), key=layout.version_order)
        settled = {name for name, changed in entries if changed < now - _SETTLED_S}  # no other sender's, just uploaded
        for version in versions[:-_KEEP]:
            if version in settled and version not in (signed.manifest.version, wished):
                aside = f"{layout.INCOMING}/{version}.{uuid.uuid4().hex}.old"
                remote.rename(f"{agent}/{version}", aside)
                remote.remove(aside)


def _await_receipt(remote: Remote, signed: SignedBundle, before: bytes | None, wait: Wait) -> Receipt:
    """Read the receipt back until it says what is waited for, or no."""
    manifest = signed.manifest
    deadline, pause_s = wait.clock() + wait.timeout_s, wait.poll_s
    receipt = None
    while True:
        found = _read_receipt(remote, signed)
        if found is not None and found != before:
            receipt = parse_receipt(found)
            if receipt:
                wait.heard(receipt.state)
            if receipt and (receipt.state in (GOOD, REFUSED, RETURNED) or receipt.state == wait.until):
                return receipt
        if receipt is None:
            _stay_wished(remote, signed)
        if wait.clock() >= deadline:
            said = f"it said {receipt.state}, and not yet {wait.until}" if receipt else "no receipt came"
            raise ShipError(
                f"ship: {manifest.model_id} lies in the inbox, but within {wait.timeout_s:g} s {said}; see "
                "whether the daemon runs there (`pipit-inference status`), then ask again with the same command",
                "timeout",
                True,
            )
        wait.sleep(pause_s)
        pause_s = min(_SLOWEST_POLL_S, 1.2 * pause_s)


def _stay_wished(remote: Remote, signed: SignedBundle) -> None:
    """Another sender may have swapped the link before the Pi saw ours: the newer serial wins, whoever was last."""
    manifest = signed.manifest
    wished = remote.read_link(f"{manifest.agent}/{layout.ACTIVE}")
    if wished == manifest.version:
        return
    theirs = remote.read(f"{manifest.agent}/{wished}/{bundle.MANIFEST}", 65536) if wished else None
    try:
        newer = theirs is not None and bundle.parse_manifest(theirs).serial > manifest.serial
    except BundleError:
        newer = False
    if newer:
        raise ShipError(
            f"ship: somebody else shipped {manifest.agent} {wished} before the target took {manifest.model_id}",
            "superseded",
        )
    _point_active(remote, signed)


def _read_receipt(remote: Remote, signed: SignedBundle) -> bytes | None:
    _, name = layout.receipt_names(signed.manifest.agent, signed.manifest.version)
    return remote.read(f"../{layout.RECEIPTS}/{name}", LIMIT)


def _place(signed: SignedBundle) -> str:
    return f"{signed.manifest.agent}/{signed.manifest.version}"


def _same(found: bytes | None, data: bytes) -> bool:
    return found is not None and hashlib.sha256(found).digest() == hashlib.sha256(data).digest()


def _is_manifest(raw: bytes) -> bool:
    try:
        bundle.parse_manifest(raw)
    except BundleError:
        return False
    return True
