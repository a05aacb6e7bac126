"""Leaving out what libraries import without needing it: on a small Pi every megabyte of the daemon counts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """Inside, importing this module raises ImportError, unless it has been imported before."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]  # the import system's own sign for "not there"
    try:
        yield
    finally:
        del sys.modules[module]


def python_hashes_only() -> None:
    """Let hashlib use Python's own SHA-2 and BLAKE2, for good: OpenSSL's would load a second OpenSSL (4 MB)."""
    if "_hashlib" not in sys.modules:
        sys.modules["_hashlib"] = None  # type: ignore[assignment]
