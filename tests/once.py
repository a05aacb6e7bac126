"""Something costly that is made once for a whole run, however many processes share the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder of this process with what `make(folder)` put into one: the first process of the run makes it, while the
    others wait, and each takes a copy that it may change.
    """
    own = factory.getbasetemp()
    shared = (own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own) / f"{name}-made"
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            part = shared.with_suffix(".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            make(part)
            part.rename(shared)
    return Path(shutil.copytree(shared, own / name, symlinks=True, dirs_exist_ok=True))
