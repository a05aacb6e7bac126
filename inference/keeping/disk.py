"""Room on the disk: when to stop writing, and a ballast to throw off when it is full all the same.

A SQLite file on a full disk can be read but not even pruned: deleting needs room too. So the daemon stops before, and keeps
4 MB that it can give back.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

logger = logging.getLogger(__name__)

FREE_SHARE = 0.05
ENOUGH_BYTES = 1 << 30  # on a large disk this much is room enough, whatever its share
FULL_BYTES = 256 << 10  # with less SQLite may not even open a file
BALLAST = "ballast"
BALLAST_BYTES = 4 << 20


class Disk:
    """The disk that the state folder is on."""

    def __init__(self, folder: Path) -> None:
        self._ballast = folder / BALLAST
        self.folder = folder

    def is_nearly_full(self) -> bool:
        """Less than 5 % and less than 1 GB are free, or it cannot be told."""
        try:
            usage = shutil.disk_usage(self.folder)
        except OSError:
            return True
        return usage.free < min(FREE_SHARE * usage.total, ENOUGH_BYTES)

    def is_full(self) -> bool:
        """Nothing can be written; False where it cannot be told."""
        try:
            return shutil.disk_usage(self.folder).free < FULL_BYTES
        except OSError:
            return False

    def is_read_only(self) -> bool:
        """The file system takes no writes at all, as that of a card that wears out."""
        try:
            return bool(os.statvfs(self.folder).f_flag & os.ST_RDONLY)
        except OSError:
            return False

    def free_text(self) -> str:
        """How much is free, for people."""
        usage = shutil.disk_usage(self.folder)
        return f"{usage.free / 1e6:,.0f} MB of {usage.total / 1e9:,.1f} GB free"

    def load_ballast(self) -> bool:
        """Put 4 MB aside while there is room; whether they are there."""
        if self._ballast.exists():
            return True
        if self.is_nearly_full():
            return False
        try:
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, BALLAST_BYTES)
        except OSError as error:
            logger.warning("no ballast put aside error=%s", error)
            self._ballast.unlink(missing_ok=True)
            return False
        return True

    def drop_ballast(self) -> bool:
        """Give the 4 MB back, so that old rows can be deleted; whether there were any."""
        there = self._ballast.exists()
        self._ballast.unlink(missing_ok=True)
        return there
