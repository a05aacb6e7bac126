"""Reading an inbox that belongs to somebody else: what its links wish for, and taking a bundle in.

Only the text of a link is read, and only when it names a version; folders are opened by handle without following links.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.bundles.store import GOOD, PROBATION, BundleStore
from shared import bundle, layout
from shared.bundle import Manifest
from shared.errors import BundleError

MOST_LINKS = 8  # decided on in one pass: whoever writes the inbox must not keep the daemon from its work


@dataclass(frozen=True, slots=True)
class Link:
    """An agent's `active` or `challenger` link as it was found.

    `mark` changes whenever somebody puts the link there anew, `context` whenever anything changes that a refusal may
    have rested on.
    """

    agent: str
    version: str | None  # None: it is no link, or names no version
    mark: str
    context: str
    name: str = layout.ACTIVE

    @property
    def key(self) -> str:
        """Under which the decision on it is remembered; no agent's name has a slash."""
        return self.agent if self.name == layout.ACTIVE else f"{self.agent}/{self.name}"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A bundle whose every byte has been compared with a trusted signature."""

    manifest: Manifest
    raw: Mapping[str, bytes]
    signer: str


def new_links(inbox: Path, store: BundleStore, trust: tuple[Path | None, ...]) -> list[Link]:
    """The links that nothing has been decided on yet, or that were refused on grounds that have changed since.

    Those of agents that serve come first, and only so many at once.
    """
    found: list[Link] = []
    for agent, name in itertools.product(_agents(inbox, store), (layout.ACTIVE, layout.CHALLENGER)):
        if len(found) >= MOST_LINKS:
            break
        link = _look(inbox, agent, name, trust)
        if link is None:
            continue
        seen = store.link_seen(link.key)
        if seen is None or seen[0] != link.mark or (not seen[2] and seen[1] != link.context):
            found.append(link)
    return found


def manifest_sha256(inbox: Path, agent: str, version: str) -> str:
    """Hash of the manifest as it lies there, for telling somebody about a bundle that was refused; "" for none."""
    try:
        with (
            bundle.folder_of(inbox) as root,
            bundle.folder_of(agent, root) as home,
            bundle.folder_of(version, home) as folder,
        ):
            raw = bundle.read_head(folder).get(bundle.MANIFEST)
    except BundleError:
        return ""
    return hashlib.sha256(raw).hexdigest() if raw is not None else ""


def receive(
    inbox: Path,
    agent: str,
    version: str,
    store: BundleStore,
    allowed_signers: Path,
    revoked_keys: Path | None,
    machine: str,
) -> Candidate:
    """Take a bundle in: signature, audience, names, serial, then each file once.

    Raises:
        BundleError: with the reason's code.
    """
    with (
        bundle.folder_of(inbox) as root,
        bundle.folder_of(agent, root) as home,
        bundle.folder_of(version, home) as folder,
    ):
        raw = bundle.read_head(folder)
        manifest, signer = bundle.verify_manifest(raw, allowed_signers, revoked_keys, machine=machine)
        if signer is None:
            raise BundleError("unsigned", "bundle: nobody's signature was checked")
        _check_place(manifest, agent, version)
        _check_serial(manifest, signer.fingerprint, store)
        bundle.check_listing(folder)
        for name, entry in manifest.files.items():
            raw[name] = bundle.read_file(folder, name, bundle.LIMITS[name], entry.size)
            bundle.verify_file(manifest, name, raw[name])
    return Candidate(manifest, raw, signer.fingerprint)


def _check_place(manifest: Manifest, agent: str, version: str) -> None:
    if manifest.agent != agent:
        raise BundleError("agent", f"bundle: it is a model of {manifest.agent}, but lies in the folder of {agent}")
    if manifest.version != version:
        raise BundleError("version", f"bundle: it is version {manifest.version}, but its folder says {version}")


def _check_serial(manifest: Manifest, signer: str, store: BundleStore) -> None:
    """Nothing older than the newest that this key brought, and no second content for a version that was good."""
    known = store.known(manifest.agent, manifest.version)
    if known and known.manifest_sha256 != manifest.sha256 and known.state in (GOOD, PROBATION):
        raise BundleError("version", f"bundle: {manifest.model_id} exists here with other content; ship a new version")
    floor = store.floor(manifest.agent, signer)
    if floor is None or manifest.serial > floor[0] or (manifest.serial, manifest.sha256) == floor:
        return
    if known and known.manifest_sha256 == manifest.sha256:
        raise BundleError(
            "rollback_unsigned",
            f"bundle: {manifest.model_id} is older than what was activated here (serial {manifest.serial}, floor "
            f"{floor[0]}); to go back use `pipit-trainer rollback --to TARGET {manifest.version}` or here "
            f"`pipit-inference models activate {manifest.version}`",
        )
    raise BundleError(
        "serial_replay",
        f"bundle: {manifest.model_id} has serial {manifest.serial}, and this machine took {floor[0]} from that key "
        "already; if it is wanted, sign it anew with `pipit-trainer rollback`",
    )


def _agents(inbox: Path, store: BundleStore) -> list[str]:
    serving = [row.agent for row in store.actives()]
    try:
        return list(dict.fromkeys([*serving, *layout.some_agents(inbox)]))
    except OSError:
        return []  # an unreadable inbox wishes for nothing; `check` tells people about it


def _look(inbox: Path, agent: str, name: str, trust: tuple[Path | None, ...]) -> Link | None:
    path = inbox / agent / name
    try:
        info = os.lstat(path)
        text = os.readlink(path) if stat.S_ISLNK(info.st_mode) else ""
    except OSError:
        return None
    version = text if layout.is_version(text) else None
    if version and not os.path.lexists(inbox / agent / version):
        return None  # a damaged upload is being replaced; the link means something again when that is done
    mark = f"{text[:64]!a} {info.st_ino} {info.st_mtime_ns}"
    return Link(agent, version, mark, _context(inbox / agent / version if version else None, trust), name)


def _context(folder: Path | None, trust: tuple[Path | None, ...]) -> str:
    """A short hash over names, sizes and times of all that a decision rests on."""
    seen = hashlib.sha256()
    paths = [path for path in trust if path is not None]
    if folder is not None:
        paths.append(folder)
        try:
            with os.scandir(folder) as entries:
                paths += sorted(Path(entry.path) for _, entry in zip(range(64), entries, strict=False))
        except OSError:
            pass  # its absence shows in the lstat below
    for path in paths:
        try:
            info = os.lstat(path)
            seen.update(f"{os.fsencode(path)!r} {info.st_ino} {info.st_mtime_ns} {info.st_size}\n".encode())
        except OSError:
            seen.update(f"{os.fsencode(path)!r} missing\n".encode())
    return seen.hexdigest()[:16]
