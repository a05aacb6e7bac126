"""How much memory this process uses, from Linux's own account of it, and how threads share it."""

from __future__ import annotations

import ctypes
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h


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


def one_arena() -> None:
    """Let every thread take from one heap, which gives back what is freed, where the C library can (glibc).

    By default each thread gets a heap of its own and keeps 128 kB to 64 MB of what it has freed: with four threads a web
    worker held 10 MB that nobody used. To be called before the threads begin.
    """
    try:
        libc = ctypes.CDLL(None)
        libc.mallopt(M_ARENA_MAX, 1)
        libc.mallopt(M_TRIM_THRESHOLD, 64 * 1024)
    except (AttributeError, OSError):
        return


def give_back_arrays() -> None:
    """Let arrays of a megabyte and more have memory of their own, which goes back when they do (glibc).

    By default that bound rises with what was freed before, and a training keeps the holes of its largest arrays: 15 MB
    of 270.
    """
    try:
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    except (AttributeError, OSError):
        return
