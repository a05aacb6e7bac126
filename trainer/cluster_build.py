"""Which Pipit runs on a machine: only equal ones find equal numbers in a log."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

import shared

PACKAGES = ("shared", "trainer")


@dataclass(frozen=True)
class Build:
    """What has to be alike on two machines. code: a hash over the program's files, wherever they lie."""

    pipit: str
    code: str
    python: str
    numpy: str
    re2: str

    def differs(self, other: Build) -> str:
        """What is another here than there, in words: `numpy is 2.2.1, not 2.3.0`; empty where nothing is."""
        names = [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]
        return ", ".join(f"{name} is {getattr(self, name)}, not {getattr(other, name)}" for name in names)


@lru_cache(maxsize=1)
def build() -> Build:
    """Of the Pipit that runs here."""
    root = Path(shared.__file__).parent.parent
    code = hashlib.sha256()
    for path in sorted(path for package in PACKAGES for path in (root / package).rglob("*.py")):
        code.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return Build(shared.__version__, code.hexdigest()[:12], python, np.__version__, version("google-re2"))
