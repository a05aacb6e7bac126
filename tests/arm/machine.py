"""The emulated arm64 machine that tests/arm/make_root.sh made, as a real part."""

from __future__ import annotations

import os
from pathlib import Path

from tests.services import MissingPartError, Part, version_of


def find_arm() -> Part:
    """QEMU and the packages of a Pi, in the folder that ARM_ROOT names. Raises MissingPartError."""
    folder = Path(os.environ.get("ARM_ROOT") or "/nonexistent")
    qemu = folder / "qemu-aarch64-static"
    if not (folder / "site").is_dir() or not qemu.exists():
        raise MissingPartError("arm64: no emulated machine here (make arm-test makes one)")
    return Part("arm64", qemu, version_of(qemu, "--version"), "qemu, made by make arm-test")
