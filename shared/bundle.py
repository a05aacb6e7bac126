"""A bundle: one immutable model version as files, a manifest and a signature over the manifest's bytes.

The order of checks is the promise: the signature over raw bytes first, then the manifest is parsed, then the files it
names are read (each once, no links followed, never more than its stated size) and compared. Nothing in a bundle is
interpreted before that. Every refusal has one of the codes below.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from shared import layout, signing
from shared.errors import BundleError
from shared.manifest import (
    EVERYBODY,
    FILES,
    LIMITS,
    REASONS,
    FileEntry,
    Manifest,
    canonical,
    check_names,
    parse_manifest,
)

__all__ = [
    "EVERYBODY",
    "FILES",
    "LIMITS",
    "MANIFEST",
    "REASONS",
    "SIGNATURE",
    "FileEntry",
    "Manifest",
    "canonical",
    "check_listing",
    "folder_of",
    "open_bundle",
    "parse_manifest",
    "read_file",
    "read_head",
    "verify",
    "verify_file",
    "verify_manifest",
    "write_bundle",
]

MANIFEST = "MANIFEST.json"
SIGNATURE = "MANIFEST.json.sig"
_MANIFEST_LIMIT, _SIGNATURE_LIMIT = 64 * 1024, 16 * 1024


def verify_manifest(
    raw: Mapping[str, bytes],
    allowed_signers: Path | None,
    revoked_keys: Path | None = None,
    *,
    machine: str | None = None,
    use: str = signing.AUTO,
) -> tuple[Manifest, signing.Signer | None]:
    """The manifest, after its signature (over the raw bytes, before anything is parsed) and its audience.

    Without `allowed_signers` the signature is not looked at (hashes only): for reading on the machine that made it.
    `machine` is this machine's name as targets call it; None passes every audience.

    Raises:
        BundleError: with the reason's code.
    """
    if MANIFEST not in raw:
        raise BundleError("manifest", f"bundle: no {MANIFEST}; this is no bundle or a half copied one")
    signer = None
    if allowed_signers is not None:
        if not raw.get(SIGNATURE):
            raise BundleError("unsigned", f"bundle: no {SIGNATURE}; ship it with `pipit-trainer ship`, which signs")
        revoked = b"" if revoked_keys is None else _read_setting(revoked_keys, missing=b"")
        signer = signing.verify(raw[MANIFEST], raw[SIGNATURE], _read_setting(allowed_signers), revoked, use)
    manifest = parse_manifest(raw[MANIFEST])
    if machine is not None and EVERYBODY not in manifest.audience and machine not in manifest.audience:
        raise BundleError(
            "audience",
            f"bundle: {manifest.model_id} is for {', '.join(manifest.audience)}, and this machine is called {machine}",
        )
    return manifest, signer


def verify_file(manifest: Manifest, name: str, data: bytes) -> None:
    """Compare one file with the manifest.

    Raises:
        BundleError: code size or hash.
    """
    entry = manifest.files[name]
    if len(data) != entry.size:
        raise BundleError("size", f"bundle: {name} has {len(data)} bytes, the manifest says {entry.size}")
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise BundleError("hash", f"bundle: the content of {name} is not what the manifest says")


def verify(
    raw: Mapping[str, bytes],
    allowed_signers: Path | None,
    revoked_keys: Path | None = None,
    *,
    machine: str | None = None,
    use: str = signing.AUTO,
) -> Manifest:
    """Check a whole bundle as `open_bundle` gave it.

    Raises:
        BundleError: with the reason's code.
    """
    manifest, _ = verify_manifest(raw, allowed_signers, revoked_keys, machine=machine, use=use)
    check_names(set(raw) - {MANIFEST, SIGNATURE})
    for name in manifest.files:
        verify_file(manifest, name, raw[name])
    return manifest


@contextlib.contextmanager
def folder_of(path: Path | str, within: int | None = None) -> Iterator[int]:
    """A handle of a bundle's folder; what goes wrong becomes a refusal."""
    with contextlib.ExitStack() as stack:
        try:
            handle = stack.enter_context(layout.open_folder(path, within))
        except FileNotFoundError as cause:
            raise BundleError("missing_file", f"bundle: there is no folder {os.path.basename(path)}") from cause
        except OSError as cause:
            raise _refusal(cause, f"the folder {os.path.basename(path)}") from cause
        yield handle


def read_file(folder: int, name: str, limit: int, expected: int | None = None) -> bytes:
    """Read a plain file of a folder, once: no link is followed, no device or pipe is waited for.

    Where a size is expected, at most one byte more is read; `verify_file` then says what is wrong.

    Raises:
        BundleError: code missing_file, not_regular, too_large or io.
    """
    try:
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise BundleError("not_regular", f"bundle: {name} is no plain file")
            data = file.read((limit if expected is None else min(limit, expected)) + 1)
    except FileNotFoundError as cause:
        raise BundleError("missing_file", f"bundle: {name} is missing; the upload may not be complete") from cause
    except OSError as cause:
        raise _refusal(cause, name) from cause
    if len(data) > limit:
        raise BundleError("too_large", f"bundle: {name} is larger than {limit} bytes")
    return data


def check_listing(folder: int) -> None:
    """Only a bundle's own files may lie in its folder.

    Raises:
        BundleError: code extra_file.
    """
    allowed = {*FILES, MANIFEST, SIGNATURE}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name not in allowed:
                raise BundleError("extra_file", f"bundle: {ascii(entry.name)[:80]} does not belong in a bundle")


def read_head(folder: int) -> dict[str, bytes]:
    """Manifest and signature, as far as they are there."""
    head: dict[str, bytes] = {}
    for name, limit in ((MANIFEST, _MANIFEST_LIMIT), (SIGNATURE, _SIGNATURE_LIMIT)):
        try:
            head[name] = read_file(folder, name, limit)
        except BundleError as error:
            if error.code != "missing_file":
                raise
    return head


def open_bundle(folder: Path | str, within: int | None = None) -> dict[str, bytes]:
    """All files of a bundle's folder (below the folder of a handle where given) as raw bytes, for `verify`.

    Raises:
        BundleError: code missing_file, extra_file, not_regular, too_large or io.
    """
    with folder_of(folder, within) as handle:
        check_listing(handle)
        raw = read_head(handle)
        raw.update((name, read_file(handle, name, limit)) for name, limit in LIMITS.items())
    return raw


def write_bundle(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    agent: str,
    version: str,
    serial: int,
    audience: Sequence[str],
    sign: Callable[[bytes], bytes],
) -> Manifest:
    """Write a signed bundle beside its place and rename it there; gives its manifest.

    Raises:
        BundleError: the files are not a bundle's, or the version exists already.
        ConfigError: the key does not sign.
    """
    check_names(files)
    entries = {name: FileEntry(len(files[name]), hashlib.sha256(files[name]).hexdigest()) for name in FILES}
    manifest = Manifest(agent, version, serial, tuple(audience), entries)
    encoded = manifest.encode()
    parse_manifest(encoded)
    if folder.exists():
        raise BundleError("version", f"bundle: {folder} exists already; a version is never changed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    beside.mkdir()
    try:
        for name, data in {**files, MANIFEST: encoded, SIGNATURE: sign(encoded)}.items():
            layout.write_new(beside / name, data)
        layout.sync_folder(beside)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    layout.sync_folder(folder.parent)
    return manifest


def _refusal(cause: OSError, what: str) -> BundleError:
    if cause.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.EISDIR):
        return BundleError("not_regular", f"bundle: {what} is a link or a device, not what it should be")
    return BundleError("io", f"bundle: cannot read {what}: {cause.strerror}")


def _read_setting(path: Path, missing: bytes | None = None) -> bytes:
    """The allowed signers or the revoked keys. Without allowed signers nothing can be trusted."""
    try:
        return path.read_bytes()
    except FileNotFoundError as cause:
        if missing is not None:
            return missing
        raise BundleError(
            "unsigned",
            f"signature: no allowed signers file at {path}; put the line there that `pipit-trainer keys show` prints",
        ) from cause
    except OSError as cause:
        raise BundleError("unsigned", f"signature: cannot read {path}: {cause.strerror}") from cause
