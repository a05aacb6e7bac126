"""A bundle: one immutable model version as files, a manifest and a signature over the manifest's bytes.

The order of checks is the promise: the signature over raw bytes first, then the manifest is parsed, then the files it
names are read (each once, no links followed, never more than its stated size) and compared. Nothing in a bundle is
interpreted before that. Every refusal has one of the codes below.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from shared import layout, signing
from shared.errors import BundleError

SCHEMA = 1
MANIFEST = "MANIFEST.json"
SIGNATURE = "MANIFEST.json.sig"
EVERYBODY = "*"
MIB = 1 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # of a machine, as targets call it

# The files of every bundle and the most that each may hold.
LIMITS: Mapping[str, int] = MappingProxyType(
    {
        "model.joblib": 64 * MIB,
        "scorer.npz": 32 * MIB,
        "agent.yaml": 1 * MIB,
        "metadata.json": 4 * MIB,
        "golden.json": 16 * MIB,
        "reference.json": 16 * MIB,
        "report.html": 16 * MIB,
    }
)
FILES = tuple(LIMITS)
_MANIFEST_LIMIT, _SIGNATURE_LIMIT = 64 * 1024, 16 * 1024

# Why a bundle is refused, or given up later: code → what it means. docs/security.md shows this table.
REASONS: Mapping[str, str] = MappingProxyType(
    {
        "unsigned": "The bundle has no signature, or this machine has no allowed signers to check one against.",
        "signature": "The signature is damaged or does not fit the manifest.",
        "namespace": "The signature was made for another purpose than a Pipit bundle.",
        "signer_unknown": "The key that signed is not in the allowed signers file.",
        "signer_revoked": "The key that signed is in the revocation file.",
        "manifest": "The manifest is missing or not the canonical JSON of this schema.",
        "agent": "The bundle is for another agent than the folder it lies in.",
        "version": "The bundle is another version than its folder says, or that version exists with other content.",
        "audience": "The bundle is meant for other machines.",
        "missing_file": "A file that a bundle must have is not there.",
        "extra_file": "The folder or the manifest holds a file that does not belong in a bundle.",
        "size": "A file is not as long as the manifest says.",
        "hash": "A file's content is not what the manifest says.",
        "too_large": "A file is larger than a bundle's file may be.",
        "not_regular": "A link, a device or a folder lies where a plain file or folder must be.",
        "serial_replay": "The bundle was signed before the newest one this machine took from that key: an old one again.",
        "rollback_unsigned": "The link points at an older version; use rollback, which signs it anew.",
        "golden": "The model does not reproduce its own golden rows on this machine.",
        "load": "The model's files cannot be read.",
        "probe_timeout": "Trying the model out took too long.",
        "probe_crashed": "The child process that tried the model out died.",
        "memory": "The model needs more memory than it may have.",
        "too_many_attempts": "The model failed three times without an answer; it is not tried again.",
        "bad": "This version was given up on this machine before; ship a new version.",
        "not_here": "The version is neither in this machine's store nor in its inbox.",
        "no_previous": "There is no former version to go back to.",
        "io": "The disk failed or is full; it is tried again.",
        "promise_errors": "On probation: judging windows failed.",
        "promise_anomalies": "On probation: more anomalies than the bundle promises.",
        "promise_latency": "On probation: slower than the bundle promises.",
        "promise_memory": "On probation: more memory than the bundle promises.",
        "promise_restarts": "On probation: the daemon died again and again.",
        "internal": "A fault in Pipit itself; the log has a traceback.",
    }
)


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What the manifest says of one file."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The signed statement: which version of which agent, for whom, and exactly which bytes."""

    agent: str
    version: str
    serial: int
    audience: tuple[str, ...]
    files: Mapping[str, FileEntry]

    @property
    def model_id(self) -> str:
        """`<agent>_<version>`."""
        return layout.model_id(self.agent, self.version)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files.values())

    def encode(self) -> bytes:
        """The canonical bytes, which are what is signed."""
        return canonical(
            {
                "schema": SCHEMA,
                "agent": self.agent,
                "version": self.version,
                "serial": self.serial,
                "audience": EVERYBODY if self.audience == (EVERYBODY,) else list(self.audience),
                "files": {name: {"size": e.size, "sha256": e.sha256} for name, e in self.files.items()},
            }
        )

    @property
    def sha256(self) -> str:
        """The bundle's identity: two bundles with this in common are the same bytes."""
        return hashlib.sha256(self.encode()).hexdigest()


def canonical(value: object) -> bytes:
    """JSON in the one form that is accepted: sorted keys, no blanks, ASCII, one newline at the end."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def parse_manifest(raw: bytes) -> Manifest:
    """Read a manifest whose signature has been checked.

    Raises:
        BundleError: code manifest, extra_file, missing_file or too_large.
    """
    try:
        fields = json.loads(raw)
        audience = fields["audience"]
        manifest = Manifest(
            agent=_text(fields["agent"], layout.is_agent),
            version=_text(fields["version"], layout.is_version),
            serial=_number(fields["serial"], 1, 1 << 53),
            audience=(EVERYBODY,)
            if audience == EVERYBODY
            else tuple(_text(n, _NAME.fullmatch) for n in _list(audience)),
            files={
                str(name): FileEntry(_number(entry["size"], 0, 1 << 53), _text(entry["sha256"], _is_sha256))
                for name, entry in fields["files"].items()
            },
        )
        same = manifest.encode() == raw
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as cause:
        raise BundleError(
            "manifest", f"manifest: not a manifest of schema {SCHEMA} ({type(cause).__name__})"
        ) from cause
    if not same:
        raise BundleError("manifest", f"manifest: not the canonical JSON of schema {SCHEMA}")
    _check_names(manifest.files)
    for name, entry in manifest.files.items():
        if entry.size > LIMITS[name]:
            raise BundleError(
                "too_large", f"manifest: {name} would be {entry.size} bytes; at most {LIMITS[name]} may be"
            )
    return manifest


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
    _check_names(set(raw) - {MANIFEST, SIGNATURE})
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


def open_bundle(folder: Path) -> dict[str, bytes]:
    """All files of a bundle's folder as raw bytes, for `verify`.

    Raises:
        BundleError: code missing_file, extra_file, not_regular, too_large or io.
    """
    with folder_of(folder) as handle:
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
    _check_names(files)
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


def _check_names(names: Mapping[str, object] | set[str]) -> None:
    for name in FILES:
        if name not in names:
            raise BundleError("missing_file", f"bundle: {name} is missing")
    for name in names:
        if name not in LIMITS:
            raise BundleError("extra_file", f"bundle: {ascii(name)[:80]} does not belong in a bundle")


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


def _text(value: object, fits: Callable[[str], object]) -> str:
    if not isinstance(value, str) or not fits(value):
        raise ValueError("wrong text")
    return value


def _number(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError("wrong number")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list) or not 0 < len(value) <= 1000:
        raise ValueError("wrong list")
    return value


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")
