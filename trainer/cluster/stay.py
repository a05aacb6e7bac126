"""A run at a worker of a cluster: how long it stays, how far it is, and when what it sent is removed.

A worker forgets a run when the run leaves, or when nothing was heard of it for LEASE_S: a laptop that is closed in the
middle leaves no log behind on other machines, and nobody reads on for it.
"""

from __future__ import annotations

import math
import shutil
import threading
import time
from pathlib import Path

from shared.errors import PipitError

LEASE_S = 120.0
LOOK_S = 0.5  # between two looks at the lease


class LeftError(PipitError):
    """The run has gone: nobody waits for the result."""


class Stay:
    """One run at this worker. `read`: the newest reading and how much of its share is read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.read: tuple[int, float] = (-1, 0.0)
        self.stopped = -1  # readings up to this number are not wanted any more
        self.heard = time.monotonic()

    @property
    def over(self) -> bool:
        """Whether it has left, or nothing was heard for too long."""
        return time.monotonic() - self.heard >= LEASE_S

    def check(self, reading: int) -> None:
        """Raises LeftError where nobody waits for this reading."""
        if self.over or reading <= self.stopped:
            raise LeftError("the run has left")


_stays: dict[Path, Stay] = {}
_lock = threading.Lock()


def stay_in(folder: Path) -> Stay:
    """The run that this folder is of, which has been heard of right now. Runs draw their names at random."""
    with _lock:
        if folder not in _stays:
            _stays[folder] = Stay(folder)
            threading.Thread(target=_watch, args=(_stays[folder],), name="pipit-lease", daemon=True).start()
        _stays[folder].heard = time.monotonic()
        return _stays[folder]


def leave(folder: Path) -> None:
    """The run is over: forget it, and remove what it sent."""
    with _lock:
        if folder in _stays:
            _remove(_stays[folder])


def _watch(stay: Stay) -> None:
    while True:
        with _lock:
            if stay.over:
                _remove(stay)
                return
        time.sleep(LOOK_S)


def _remove(stay: Stay) -> None:
    stay.heard = -math.inf
    if _stays.get(stay.folder) is stay:
        del _stays[stay.folder]
        shutil.rmtree(stay.folder, ignore_errors=True)
