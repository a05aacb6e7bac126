"""The steps of shipping in an inbox: each leaves it so that a cut right after it does no harm."""

from __future__ import annotations

import contextlib
import hashlib
import uuid

from shared import bundle, layout
from shared.errors import BundleError, ShipError
from trainer.remote import Progress, Remote
from trainer.shipping.signed import SignedBundle

_SPACE = 3  # times the bundle: the upload, the version it replaces, and room
_KEEP = 5  # versions that stay in an inbox
_LEFTOVER_S = 24 * 3600.0
_SETTLED_S = 3600.0


def check_space(remote: Remote, signed: SignedBundle) -> None:
    free = remote.free_bytes()
    need = _SPACE * signed.manifest.size
    if free is not None and free < need:
        raise ShipError(
            f"ship: the target has {free} bytes free, and {need} are needed (three times the bundle); make room there",
            "space",
        )


def lies_there(remote: Remote, signed: SignedBundle) -> bool:
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


def upload(remote: Remote, signed: SignedBundle, progress: Progress) -> str:
    """All files into a folder of their own below `incoming`, durable when this returns."""
    part = f"{layout.INCOMING}/{signed.manifest.version}.{uuid.uuid4().hex}"
    remote.make_folder(layout.INCOMING)
    remote.make_folder(part)
    for name, data in signed.raw.items():
        remote.write_new(f"{part}/{name}", data, progress)
    remote.sync_folder(part)
    return part


def put_in_place(remote: Remote, part: str, signed: SignedBundle) -> None:
    """The finished upload becomes a version; both folders that this changes are made durable."""
    agent = signed.manifest.agent
    remote.make_folder(agent)
    remote.sync_folder(".")
    remote.rename(part, _place(signed))
    remote.sync_folder(agent)
    remote.sync_folder(layout.INCOMING)


def point_link(remote: Remote, signed: SignedBundle, link: str = layout.ACTIVE) -> None:
    """Swap the link that says what is wanted; then, where it is to serve, the stable names that are missing."""
    agent = signed.manifest.agent
    _swap_link(remote, agent, link, signed.manifest.version)
    if link != layout.ACTIVE:
        return
    for name, target in layout.stable_links(agent).items():
        if remote.read_link(name) != target:
            _swap_link(remote, ".", name, target)


def _swap_link(remote: Remote, folder: str, name: str, target: str) -> None:
    beside = f"{folder}/.{name}.{uuid.uuid4().hex}"
    remote.make_link(target, beside)
    remote.rename(beside, f"{folder}/{name}")
    remote.sync_folder(folder)


def tidy(remote: Remote, signed: SignedBundle) -> None:
    """Remove what broken uploads left more than a day ago, and all but the newest versions. Failing here is no harm."""
    agent = signed.manifest.agent
    with contextlib.suppress(ShipError):
        entries = remote.names(agent)
        now = max((changed for _, changed in entries), default=0.0)  # by the target's own clock
        for name, changed in remote.names(layout.INCOMING):
            if changed < now - _LEFTOVER_S:
                remote.remove(f"{layout.INCOMING}/{name}")
        wished = {remote.read_link(f"{agent}/{link}") for link in (layout.ACTIVE, layout.CHALLENGER)}
        versions = sorted((name for name, _ in entries if layout.is_version(name)), key=layout.version_order)
        settled = {name for name, changed in entries if changed < now - _SETTLED_S}  # no other sender's, just uploaded
        for version in versions[:-_KEEP]:
            if version in settled and version not in {signed.manifest.version, *wished}:
                aside = f"{layout.INCOMING}/{version}.{uuid.uuid4().hex}.old"
                remote.rename(f"{agent}/{version}", aside)
                remote.remove(aside)


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
