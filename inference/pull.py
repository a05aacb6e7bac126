"""Fetching a bundle from the trainer: for a Pi that nobody can reach from outside.

The files are put into the inbox as a trainer would put them, and the daemon is asked to activate the version. From there
on it is the same path: signature, audience, serial, trial, commit, probation, receipt.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

from inference.bundles.trainer_api import Offer, TrainerApi
from shared import bundle, layout
from shared.errors import BundleError, ConfigError, RequestError, StoreError

HEAD_LIMITS = {bundle.MANIFEST: 64 * 1024, bundle.SIGNATURE: 16 * 1024}
_SPACE = 3  # times the bundle


def choose(offers: list[Offer], reference: str, agent: str | None) -> Offer:
    """The offer that a person means by `latest`, a bare version, or `wifi_<version>`.

    Raises:
        RequestError: the trainer has none such. ConfigError: several agents have one.
    """
    usable = [offer for offer in offers if agent in (None, offer.agent) and not offer.fault]
    if reference == layout.LATEST:
        found = list({offer.agent: offer for offer in reversed(usable)}.values())
    else:
        found = [
            offer for offer in usable if reference in (offer.version, offer.model_id, f"{offer.agent}/{offer.version}")
        ]
    if len(found) > 1:
        raise ConfigError(f"pull: {reference} is not unique: {', '.join(o.model_id for o in found)}; name one of these")
    if not found:
        raise RequestError(f"pull: the trainer has no usable version {reference!r}", missing=True)
    return found[0]


def fetch(api: TrainerApi, offer: Offer, inbox: Path, progress: Callable[[int], None] = lambda _count: None) -> bool:
    """Bring a version into the inbox; False when that very bundle lies there already. A broken fetch leaves nothing.

    Raises:
        ShipError: the trainer cannot be reached, or refuses. StoreError: the inbox cannot be written.
        BundleError: code version, when another bundle of that name lies there.
    """
    manifest = api.file(offer.model_id, bundle.MANIFEST, HEAD_LIMITS[bundle.MANIFEST])
    place = layout.bundle_folder(inbox, offer.agent, offer.version)
    if _lies_there(place, manifest):
        return False
    part = inbox / layout.INCOMING / f"{offer.version}.{uuid.uuid4().hex}"
    try:
        _check_space(inbox, offer)
        _make_folder(part.parent, inbox)
        _make_folder(part, inbox)
        layout.write_new(part / bundle.MANIFEST, manifest)
        for name, limit in {bundle.SIGNATURE: HEAD_LIMITS[bundle.SIGNATURE], **bundle.LIMITS}.items():
            data = api.file(offer.model_id, name, limit)
            layout.write_new(part / name, data)
            progress(len(data))
        layout.sync_folder(part)
        _make_folder(place.parent, inbox)
        part.rename(place)
        for folder in (place.parent, part.parent, inbox):
            layout.sync_folder(folder)
    except OSError as cause:
        raise StoreError(
            f"pull: {inbox} cannot be written ({cause.strerror}); check its owner and free space, or run as that owner"
        ) from cause
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return True


def _lies_there(place: Path, manifest: bytes) -> bool:
    """Is this bundle in its place already? A damaged one of the same manifest is moved out of the way."""
    try:
        found = bundle.open_bundle(place)
    except BundleError as error:
        if error.code == "missing_file" and not os.path.lexists(place):
            return False
        found = {}
    if found.get(bundle.MANIFEST) == manifest:
        try:
            bundle.verify(found, None)
        except BundleError:
            found = {}
        else:
            return True
    if found:
        raise BundleError(
            "version", f"pull: another bundle called {place.name} lies in {place.parent}; a version never changes"
        )
    aside = place.parent.parent / layout.INCOMING / f"{place.name}.{uuid.uuid4().hex}.damaged"
    try:
        _make_folder(aside.parent, place.parent.parent)
        place.rename(aside)
    except OSError as cause:
        raise StoreError(f"pull: the damaged {place} cannot be moved away ({cause.strerror})") from cause
    return False


def _make_folder(folder: Path, inbox: Path) -> None:
    """Make a folder that the inbox's owner may write too, so that a trainer can go on shipping into it."""
    if not folder.is_dir():
        folder.mkdir()
        if os.geteuid() == 0:
            owner = inbox.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)


def _check_space(inbox: Path, offer: Offer) -> None:
    free = os.statvfs(inbox)
    if free.f_bavail * free.f_frsize < _SPACE * offer.size_bytes:
        raise StoreError(f"pull: {offer.size_bytes} bytes are needed three times over, and {inbox} has less; make room")
