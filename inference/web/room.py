"""What every page of the Pi reads from: one read-only connection a request, the store's copies, the daemon's health."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from flask import current_app, g

from inference import state
from inference.bundles.store import PROBATION, ActiveRow, BundleRow, BundleStore
from inference.config import Settings
from inference.keeping import reading as read
from inference.watching.report import PerformanceLimits
from shared import layout
from shared.errors import RequestError, StoreError
from shared.web.bundle_words import NO_WORDS, BundleWords, words_of

logger = logging.getLogger(__name__)

Health = Literal["never", "stopped", "dead", "failing", "no-database", "no-model", "well"]
MISSED_INTERVALS = 3
HEARING = ("well", "failing", "no-database", "no-model")  # the daemon runs, so it takes wishes up
LOOK_S = 0.1
PATIENCE_S = 60.0  # a cycle over a backlog may take longer than an interval


@dataclass(frozen=True)
class Room:
    """Where things lie, and how to reach them during a request."""

    state_file: Path
    metrics_file: Path
    store_dir: Path
    interval_s: float
    now: Callable[[], float]
    settings: Settings

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
            return {"incidents": read.count_incidents(self.db(), state="open", muted=False)} if self.has_state else {}
        except (StoreError, sqlite3.Error):
            logger.warning("badges not counted state=%s", self.state_file)
            return {}

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A connection for the few things that pages write: wishes, switches, marks, mutes, budgets, measurements.

        Raises:
            StoreError: the daemon has never run, or the file cannot be written.
        """
        if not self.has_state:
            raise StoreError("write state: the daemon has not run on this machine yet; start `pipit-inference run`")
        db = state.connect(self.state_file)
        try:
            yield db
        except sqlite3.Error as error:
            raise StoreError(f"write state: {self.state_file}: {error}; check free space and permissions") from error
        finally:
            db.close()

    def wish(self, agent: str, action: str, version: str, by: str) -> int:
        """Ask the daemon to change what serves."""
        with self.write() as db:
            return BundleStore(db, self.store_dir).wish(agent, action, version, by, self.now())

    def outcome_of(self, wish: int, wait_s: float) -> str | None:
        """What came of a wish; waits for the daemon's answer where it is running, at most `wait_s`."""
        deadline = time.monotonic() + (wait_s if self.health(self.status()) in HEARING else 0.0)
        while True:
            db = read.connect_read(self.state_file)
            try:
                outcome = BundleStore(db, self.store_dir).wish_outcome(wish)
            finally:
                db.close()
            if outcome is not None or time.monotonic() >= deadline:
                return outcome
            time.sleep(LOOK_S)

    def find(self, reference: str, agent: str | None = None) -> BundleRow:
        """The version that somebody means by a bare version, `<agent>_<version>` or `<agent>/<version>`.

        Raises:
            RequestError: it is not known here, or not unique.
        """
        rows = self.store().bundles() if self.has_state else []
        found = [
            row
            for row in rows
            if agent in (None, row.agent)
            and reference in (row.version, layout.model_id(row.agent, row.version), f"{row.agent}/{row.version}")
        ]
        if len(found) > 1:
            names = ", ".join(layout.model_id(row.agent, row.version) for row in found)
            raise RequestError(f"version {reference} is not unique: {names}; name one of these")
        if not found:
            raise RequestError(f"model {reference[:100]!r} is not known on this machine", missing=True)
        return found[0]

    @property
    def limits(self) -> PerformanceLimits:
        """From what on performance is warned about."""
        own = self.settings
        return PerformanceLimits(
            own.anomaly_rate_limit, own.latency_limit_ms, own.memory_limit_mb, own.false_alarm_limit, self.interval_s
        )


def this_room() -> Room:
    """The room of the current request's application."""
    return cast(Room, current_app.extensions["pipit_room"])
