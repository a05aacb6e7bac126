"""Which Pipit runs on a machine: only equal ones find equal numbers in a log."""

from __future__ import annotations

import ast
import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import numpy as np

import shared

ROOT = Path(shared.__file__).parent.parent
READS = "trainer.cluster.worker"  # what a worker runs; all that it imports counts


@dataclass(frozen=True)
class Build:
    """What has to be alike on two machines. code: a hash over the files that reading needs, wherever they lie."""

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
    code = hashlib.sha256()
    for path in sorted(_needed(READS)):
        code.update(path.as_posix().encode() + b"\0" + (ROOT / path).read_bytes())
    python = ".".join(platform.python_version_tuple()[:2])
    return Build(shared.__version__, code.hexdigest()[:12], python, np.__version__, version("google-re2"))


def _needed(module: str) -> set[Path]:
    """The files of ours that a module imports, and these import in turn, within functions too."""
    found: set[Path] = set()
    waiting = [_file_of(module)]
    while waiting:
        path = waiting.pop()
        if path is not None and path not in found:
            found.add(path)
            waiting += [_file_of(name) for name in _imported(ROOT / path)]
    return found


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(module: str) -> Path | None:
    """Where a module of ours lies, below ROOT; None: it is none."""
    path = Path(*module.split("."))
    if path.parts[0] not in ("shared", "trainer"):
        return None
    files = (path.with_suffix(".py"), path / "__init__.py")
    return next((file for file in files if (ROOT / file).is_file()), None)
