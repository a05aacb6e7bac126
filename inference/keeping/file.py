"""The state file itself: opened, made, led forward, moved aside where it is damaged; and its write transactions."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inference.keeping import schema
from inference.keeping.disk import Disk
from shared.errors import StoreError
from shared.forms import Form, bring_forward, refuse_newer

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 5.0


def connect(path: Path) -> sqlite3.Connection:
    """Open the state file, creating it and its tables where missing.

    The connection is in autocommit mode (use `transaction`) and may be used by one thread at a time.

    Raises:
        StoreError: the folder or the file cannot be written, or the file is not a database.
    """
    # here: some open rows through this module
    from inference.bundles import store as bundle_store
    from inference.said import switches
    from inference.telling import channels
    from inference.watching import drifting, performance, validator

    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        db.row_factory = sqlite3.Row
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.execute("PRAGMA cache_size=-512")  # kB: the pages of one transaction; the system caches the file anyway
        parts = [each.SCHEMA for each in (bundle_store, performance, switches, drifting, validator, channels)]
        bring_forward(db, Form("state", "\n".join([schema.SCHEMA, *parts]), schema.LATER, schema.STEPS))
    except (OSError, sqlite3.Error) as error:
        cure = "check the folder's owner, permissions and free space"
        if Disk(path.parent).is_read_only():
            cure = "its file system is mounted read-only: look into `dmesg`, a card that wears out turns read-only"
        raise StoreError(f"open state: {path}: {error}; {cure}") from error
    return db


def check_form(db: sqlite3.Connection, what: str) -> None:
    """Whether this release may work on an open state file; nothing is changed.

    Raises:
        StoreError: a newer release wrote it.
    """
    refuse_newer(db, Form(what, "", schema.LATER, schema.STEPS))


def open_checked(path: Path) -> sqlite3.Connection:
    """`connect`, but a damaged file is moved aside first and a new one is begun: the daemon must come up by itself.

    The rows lost are read again from the log source, and the active model again from the inbox.
    """
    if path.exists() and not _is_sound(path):
        aside = path.with_name(f"{path.name}.damaged-{int(path.stat().st_mtime)}")
        logger.error("state file is damaged, moved aside file=%s aside=%s", path, aside)
        for suffix in ("", "-wal", "-shm"):
            part = path.with_name(path.name + suffix)
            if part.exists():
                os.replace(part, aside.with_name(aside.name + suffix))
    return connect(path)


def _is_sound(path: Path) -> bool:
    """Whether SQLite's quick check passes (24 ms for 1.6 MB; finds 199 of 200 damaged pages)."""
    try:
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            return bool(db.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
        finally:
            db.close()
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            return True
        raise StoreError(f"open state: {path}: {error}; check the file's owner, permissions and free space") from error
    except sqlite3.DatabaseError:
        return False


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """One write transaction: all of it or nothing.

    Raises:
        StoreError: the disk is full, read-only or failing; nothing was changed.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        yield db
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        raise StoreError(f"write state: {error}; check free space and permissions of the state folder") from error
    except BaseException:
        _roll_back(db)
        raise


def _roll_back(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")
