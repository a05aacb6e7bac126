"""How much memory this process uses, from Linux's own account of it."""

from __future__ import annotations

from pathlib import Path


def peak_bytes() -> int:
    """The most resident memory so far. (getrusage's figure counts a parent's memory from before exec as well.)"""
    return _field("VmHWM")


def _field(name: str) -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    for line in status.splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0
