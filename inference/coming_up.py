"""Coming up on a full disk: the ballast is given back, or the daemon waits, says so, and tries again.

SQLite needs some room (32 kB beside the file, at least) before it opens a state file at all. A daemon that ended instead
would be started again a few times by systemd and then be left alone, long before somebody has made room.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import time
from collections.abc import Callable

from inference.keeping.disk import Disk
from inference.systemd import Notifier
from shared.errors import PipitError

logger = logging.getLogger(__name__)

TRY_AGAIN_S = 2.0
SAY_AGAIN_S = 600.0
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def come_up(run: Callable[[], None], disk: Disk, notifier: Notifier, sleep: Callable[[float], None]) -> None:
    """Run the daemon; as often as it fails to start for want of room, wait and run it again.

    Raises:
        PipitError, OSError, sqlite3.Error: it failed for another reason.
    """
    said_at = None
    while True:
        try:
            return run()
        except (PipitError, OSError, sqlite3.Error) as error:
            if not _wants_room(error, disk):
                raise
            why = str(error)
        if disk.drop_ballast():
            logger.warning("the disk is full, ballast given back to start folder=%s", disk.folder)
            continue
        if said_at is None or time.monotonic() - said_at > SAY_AGAIN_S:
            said_at = time.monotonic()
            logger.error("waiting for room on the disk of %s, then it starts by itself error=%s", disk.folder, why)
        notifier.ready(f"waiting for room on the disk of {disk.folder}")
        notifier.alive(f"waiting for room on the disk of {disk.folder}")
        sleep(TRY_AGAIN_S)


def _wants_room(error: Exception, disk: Disk) -> bool:
    """Whether it was the disk that failed, and because it is full."""
    cause = error.__cause__ if isinstance(error, PipitError) else error
    if isinstance(cause, OSError):
        return cause.errno in NO_ROOM
    if isinstance(cause, sqlite3.Error):  # it has many names for a full disk, some only of the failing of a write
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or disk.is_full()
    return False
