"""What every page of the Pi reads from: one read-only connection a request, the store's copies, the daemon's health."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from flask import current_app, g

from inference import state
from inference import state_read as read
from inference.bundle_store import PROBATION, ActiveRow, BundleStore
from shared.errors import StoreError
from shared.web.bundle_words import NO_WORDS, BundleWords, words_of

logger = logging.getLogger(__name__)

Health = Literal["never", "stopped", "dead", "failing", "no-database", "no-model", "well"]
MISSED_INTERVALS = 3
PATIENCE_S = 60.0  # a cycle over a backlog may take longer than an interval


@dataclass(frozen=True)
class Room:
    """Where things lie, and how to reach them during a request."""

    state_file: Path
    metrics_file: Path
    store_dir: Path
    interval_s: float
    now: Callable[[], float]

    def db(self) -> sqlite3.Connection:
        """The request's read-only connection. Raises StoreError where the daemon has never run."""
        if "pipit_db" not in g:
            g.pipit_db = read.connect_read(self.state_file)
        return cast(sqlite3.Connection, g.pipit_db)

    def close(self, error: BaseException | None = None) -> None:
        """At the end of a request."""
        db = g.pop("pipit_db", None)
        if db is not None:
            db.close()

    @property
    def has_state(self) -> bool:
        """Whether the daemon has ever made its state file."""
        return self.state_file.exists()

    def store(self) -> BundleStore:
        """The store's rows, for reading."""
        return BundleStore(self.db(), self.store_dir)

    def status(self) -> read.Status:
        """What the daemon last said of itself; a machine where it never ran says just that."""
        if not self.has_state:
            return read.Status(0.0, "never ran", None, None, None, None, "", None, None, 0, 0, 0, (), {})
        return read.status(self.db())

    def health(self, status: read.Status) -> Health:
        """How the daemon is, the worst thing first."""
        if not status.updated:
            return "never"
        if status.state == "stopped":
            return "stopped"
        if self.now() - status.updated > MISSED_INTERVALS * self.interval_s + PATIENCE_S:
            return "dead"
        if status.source_error or status.state == "waiting for the database":
            return "no-database"
        if not self.store().actives():
            return "no-model"
        return "failing" if status.last_error else "well"

    def is_on_probation(self, active: ActiveRow) -> bool:
        """Whether a serving version has yet to show that it behaves."""
        row = self.store().known(active.agent, active.version)
        return row is not None and row.state == PROBATION

    def words(self, agent: str, version: str | None = None) -> BundleWords:
        """Titles, advice and ranges of a version (the active one by default); empty where there is no copy of it."""
        if version is None:
            active = self.store().active(agent)
            version = active.version if active else None
        return words_of(self.store_dir, agent, version) if version else NO_WORDS

    def badges(self) -> Mapping[str, int]:
        """Counts for the bar."""
        try:
            return {"incidents": read.count_incidents(self.db(), state="open")} if self.has_state else {}
        except (StoreError, sqlite3.Error):
            logger.warning("badges not counted state=%s", self.state_file)
            return {}

    def wish(self, agent: str, action: str, version: str, by: str) -> int:
        """Ask the daemon to change what serves: the only thing that a page writes."""
        db = state.connect(self.state_file)
        try:
            return BundleStore(db, self.store_dir).wish(agent, action, version, by, self.now())
        except sqlite3.Error as error:
            raise StoreError(f"note a wish: {self.state_file}: {error}; check free space and permissions") from error
        finally:
            db.close()


def this_room() -> Room:
    """The room of the current request's application."""
    return cast(Room, current_app.extensions["pipit_room"])
