"""The signed statement of a bundle: which version of which agent, for whom, and exactly which bytes; why one is refused."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared import layout
from shared.errors import BundleError

SCHEMA = 1
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
        "no_active": "As a challenger: nothing serves that it could be compared with; ship it to serve.",
        "is_active": "As a challenger: it is the version that serves.",
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
    check_names(manifest.files)
    for name, entry in manifest.files.items():
        if entry.size > LIMITS[name]:
            raise BundleError(
                "too_large", f"manifest: {name} would be {entry.size} bytes; at most {LIMITS[name]} may be"
            )
    return manifest


def check_names(names: Collection[str]) -> None:
    """Are these the names of a bundle's files, all of them and no other?

    Raises:
        BundleError: code missing_file or extra_file.
    """
    for name in FILES:
        if name not in names:
            raise BundleError("missing_file", f"bundle: {name} is missing")
    for name in names:
        if name not in LIMITS:
            raise BundleError("extra_file", f"bundle: {ascii(name)[:80]} does not belong in a bundle")


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
