"""The trainer's signing key, and the serial number that every signature takes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from shared import layout, signing

KEY = "signing_key"
ALLOWED = "allowed_signers"
_SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs bundles. `made` says that it was made just now."""

    path: Path
    public: str
    made: bool = False

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, as a person compares it."""
        return signing.fingerprint(self.public)

    @property
    def allowed_signers_line(self) -> str:
        """The line that makes a Pi trust this key."""
        return signing.allowed_signers_line(self.public)

    def sign(self, data: bytes) -> bytes:
        """The signature over a manifest's bytes."""
        return signing.sign(data, self.path)


def ensure_key(state_dir: Path, signing_key: Path | None = None, use: str = signing.AUTO) -> SigningKey:
    """The configured key, or the one in the state folder, which is made (with its allowed_signers) when missing.

    Raises:
        ConfigError: a configured key is not there or cannot be read.
    """
    path = signing_key or state_dir / KEY
    made = signing_key is None and not path.exists()
    if made:
        with _lock(state_dir):
            if not path.exists():
                signing.make_key(path, f"pipit trainer on {socket.gethostname()}", use)
    key = SigningKey(path, signing.read_public(path), made)
    if signing_key is None and not (state_dir / ALLOWED).exists():
        layout.write_atomic(state_dir / ALLOWED, f"{key.allowed_signers_line}\n".encode())
    return key


def next_serial(state_dir: Path, now: Callable[[], float]) -> int:
    """The second of signing (UTC), at least one more than the last: a lost state folder locks nobody out."""
    with _lock(state_dir):
        path = state_dir / _SERIAL
        try:
            last = int(path.read_text(encoding="ascii"))
        except (FileNotFoundError, ValueError):
            last = 0
        serial = max(int(now()), last + 1)
        layout.write_atomic(path, f"{serial}\n".encode())
        return serial


@contextlib.contextmanager
def _lock(state_dir: Path) -> Iterator[None]:
    state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(state_dir / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
