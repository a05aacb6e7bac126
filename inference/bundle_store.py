"""What this machine knows and keeps of bundles: rows in SQLite, and private copies that only the daemon writes.

`active` is the truth about what serves. A bundle's state is one of: candidate (being tried), probation, good, returned
(given up on probation), bad (never tried again), refused (not even tried).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from shared import bundle, layout
from shared.bundle import Manifest
from shared.errors import BundleError

CANDIDATE, PROBATION, GOOD, RETURNED, BAD, REFUSED = "candidate", "probation", "good", "returned", "bad", "refused"
ATTEMPTS = 3

SCHEMA = """
CREATE TABLE IF NOT EXISTS bundles (
    agent TEXT NOT NULL, version TEXT NOT NULL, manifest_sha256 TEXT NOT NULL, serial INTEGER NOT NULL,
    signer TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, code TEXT NOT NULL DEFAULT '',
    reason TEXT NOT NULL DEFAULT '', size INTEGER NOT NULL, received REAL NOT NULL, updated REAL NOT NULL,
    PRIMARY KEY (agent, version));
CREATE TABLE IF NOT EXISTS active (
    agent TEXT PRIMARY KEY, version TEXT NOT NULL, previous TEXT, since REAL NOT NULL, promise TEXT NOT NULL DEFAULT '{}',
    windows INTEGER NOT NULL DEFAULT 0, anomalies INTEGER NOT NULL DEFAULT 0, errors INTEGER NOT NULL DEFAULT 0,
    latency_ms REAL NOT NULL DEFAULT 0, memory_mb REAL NOT NULL DEFAULT 0, starts INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS floors (
    agent TEXT NOT NULL, signer TEXT NOT NULL, serial INTEGER NOT NULL, manifest_sha256 TEXT NOT NULL,
    PRIMARY KEY (agent, signer));
CREATE TABLE IF NOT EXISTS wishes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, action TEXT NOT NULL, version TEXT, by TEXT NOT NULL,
    at REAL NOT NULL, done_at REAL, outcome TEXT);
CREATE TABLE IF NOT EXISTS links_seen (
    agent TEXT PRIMARY KEY, link TEXT NOT NULL, context TEXT NOT NULL, accepted INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS transfers (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, agent TEXT NOT NULL, version TEXT NOT NULL,
    serial INTEGER NOT NULL, manifest_sha256 TEXT NOT NULL, signer TEXT NOT NULL, way TEXT NOT NULL,
    size INTEGER NOT NULL, state TEXT NOT NULL, code TEXT NOT NULL, reason TEXT NOT NULL, previous TEXT,
    reported INTEGER NOT NULL DEFAULT 0);
"""


@dataclass(frozen=True, slots=True)
class BundleRow:
    """What is known of one version."""

    agent: str
    version: str
    manifest_sha256: str
    serial: int
    signer: str
    state: str
    attempts: int
    code: str
    reason: str
    size: int
    received: float
    updated: float


@dataclass(frozen=True, slots=True)
class ActiveRow:
    """What serves for an agent, and how its probation goes."""

    agent: str
    version: str
    previous: str | None
    since: float
    promise: str
    windows: int
    anomalies: int
    errors: int
    latency_ms: float
    memory_mb: float
    starts: int


@dataclass(frozen=True, slots=True)
class WishRow:
    """What somebody clicked or typed: `action` is activate or rollback."""

    id: int
    agent: str
    action: str
    version: str | None
    by: str
    at: float


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One thing that became of a bundle; what receipts are made of."""

    id: int
    at: float
    agent: str
    version: str
    serial: int
    manifest_sha256: str
    signer: str
    way: str
    size: int
    state: str
    code: str
    reason: str
    previous: str | None


class BundleStore:
    """Rows and private copies. One thread at a time; sqlite3.Error and OSError pass through."""

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        self.db = db
        self.folder = folder

    # Rows

    def known(self, agent: str, version: str) -> BundleRow | None:
        """The row of a version."""
        query = f"SELECT {_columns(BundleRow)} FROM bundles WHERE agent = ? AND version = ?"  # noqa: S608 (our own column names)
        row = self.db.execute(query, (agent, version)).fetchone()
        return None if row is None else BundleRow(*row)

    def bundles(self, agent: str | None = None) -> list[BundleRow]:
        """All that is known, newest first."""
        query = f"SELECT {_columns(BundleRow)} FROM bundles WHERE ? IN ('', agent) ORDER BY agent, serial DESC"  # noqa: S608 (our own column names)
        return [BundleRow(*row) for row in self.db.execute(query, (agent or "",))]

    def active(self, agent: str) -> ActiveRow | None:
        """What serves for an agent."""
        row = self.db.execute(f"SELECT {_columns(ActiveRow)} FROM active WHERE agent = ?", (agent,)).fetchone()  # noqa: S608 (our own column names)
        return None if row is None else ActiveRow(*row)

    def actives(self) -> list[ActiveRow]:
        """What serves, for every agent."""
        return [ActiveRow(*row) for row in self.db.execute(f"SELECT {_columns(ActiveRow)} FROM active ORDER BY agent")]  # noqa: S608 (our own column names)

    def floor(self, agent: str, signer: str) -> tuple[int, str] | None:
        """Serial and manifest of the newest bundle that was activated from this key."""
        query = "SELECT serial, manifest_sha256 FROM floors WHERE agent = ? AND signer = ?"
        row = self.db.execute(query, (agent, signer)).fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def add_candidate(self, manifest: Manifest, signer: str, now: float) -> None:
        """Note a verified bundle; one that is known already keeps its state and its attempts."""
        self.db.execute(
            "INSERT INTO bundles (agent, version, manifest_sha256, serial, signer, state, size, received, updated)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (agent, version) DO UPDATE SET"
            " manifest_sha256 = excluded.manifest_sha256, serial = excluded.serial, signer = excluded.signer,"
            " state = excluded.state, size = excluded.size, received = excluded.received, updated = excluded.updated,"
            " attempts = 0, code = '', reason = '' WHERE manifest_sha256 != excluded.manifest_sha256"
            " OR state = 'refused'",
            (
                manifest.agent,
                manifest.version,
                manifest.sha256,
                manifest.serial,
                signer,
                CANDIDATE,
                manifest.size,
                now,
                now,
            ),
        )

    def add_refused(self, row: BundleRow) -> None:
        """Note a bundle that did not get in. What is known of a better one of that name is not touched."""
        marks = ", ".join("?" * len(fields(BundleRow)))
        self.db.execute(
            f"INSERT INTO bundles ({_columns(BundleRow)}) VALUES ({marks})"  # noqa: S608 (our own column names)
            " ON CONFLICT (agent, version) DO UPDATE SET"
            " manifest_sha256 = excluded.manifest_sha256, serial = excluded.serial, signer = excluded.signer,"
            " code = excluded.code, reason = excluded.reason, updated = excluded.updated WHERE state = 'refused'",
            astuple(row),
        )

    def count_attempt(self, agent: str, version: str, now: float) -> None:
        """One more try, noted before it is made, so that a try that kills the daemon counts too."""
        self.db.execute(
            "UPDATE bundles SET attempts = attempts + 1, updated = ? WHERE agent = ? AND version = ?",
            (now, agent, version),
        )

    def set_state(self, agent: str, version: str, state: str, now: float, code: str = "", reason: str = "") -> None:
        """Where a bundle stands now, and why."""
        self.db.execute(
            "UPDATE bundles SET state = ?, code = ?, reason = ?, updated = ? WHERE agent = ? AND version = ?",
            (state, code, reason, now, agent, version),
        )

    def commit_active(
        self, manifest: Manifest, signer: str, state: str, promise: Mapping[str, object], now: float
    ) -> str | None:
        """The one step that changes what serves: active, previous and floor, all or nothing. Gives the former one."""
        agent, version = manifest.agent, manifest.version
        with self.durable():
            before = self.active(agent)
            previous = before.version if before and before.version != version else before.previous if before else None
            self.set_state(agent, version, state, now)
            self.db.execute("UPDATE bundles SET attempts = 0 WHERE agent = ? AND version = ?", (agent, version))
            self.db.execute(
                "INSERT OR REPLACE INTO active (agent, version, previous, since, promise) VALUES (?, ?, ?, ?, ?)",
                (agent, version, previous, now, json.dumps(promise)),
            )
            self.db.execute(
                "INSERT INTO floors (agent, signer, serial, manifest_sha256) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (agent, signer) DO UPDATE SET serial = excluded.serial,"
                " manifest_sha256 = excluded.manifest_sha256 WHERE excluded.serial > serial",
                (agent, signer, manifest.serial, manifest.sha256),
            )
        return previous

    def fall_back(self, agent: str, to: str | None, state: str, code: str, reason: str, now: float) -> None:
        """Give the active version up for another (or for none), in one step. The floor stays."""
        with self.durable():
            before = self.active(agent)
            if before is not None:
                self.set_state(agent, before.version, state, now, code, reason)
            if to is None:
                self.db.execute("DELETE FROM active WHERE agent = ?", (agent,))
            else:
                self.db.execute(
                    "INSERT OR REPLACE INTO active (agent, version, previous, since) VALUES (?, ?, NULL, ?)",
                    (agent, to, now),
                )

    def count_start(self, agent: str) -> int:
        """How often the daemon has come up with this active version without being able to say it is well."""
        self.db.execute("UPDATE active SET starts = starts + 1 WHERE agent = ?", (agent,))
        row = self.db.execute("SELECT starts FROM active WHERE agent = ?", (agent,)).fetchone()
        return int(row[0]) if row else 0

    def reset_starts(self, agent: str) -> None:
        """It is well."""
        self.db.execute("UPDATE active SET starts = 0 WHERE agent = ?", (agent,))

    # Wishes and what was seen of the inbox

    def wish(self, agent: str, action: str, version: str | None, by: str, now: float) -> int:
        """Ask the daemon to activate a version or to roll back; `reconcile` takes it from here."""
        query = "INSERT INTO wishes (agent, action, version, by, at) VALUES (?, ?, ?, ?, ?)"
        return int(self.db.execute(query, (agent, action, version, by, now)).lastrowid or 0)

    def open_wishes(self) -> list[WishRow]:
        """The clicks that nothing has come of yet, oldest first."""
        query = f"SELECT {_columns(WishRow)} FROM wishes WHERE done_at IS NULL ORDER BY id"  # noqa: S608 (our own column names)
        return [WishRow(*row) for row in self.db.execute(query)]

    def close_wish(self, wish: int, outcome: str, now: float) -> None:
        """Say what came of a click."""
        self.db.execute("UPDATE wishes SET done_at = ?, outcome = ? WHERE id = ?", (now, outcome, wish))

    def wish_outcome(self, wish: int) -> str | None:
        """What came of a click; None as long as nothing did."""
        row = self.db.execute("SELECT outcome FROM wishes WHERE id = ? AND done_at IS NOT NULL", (wish,)).fetchone()
        return None if row is None else str(row[0])

    def link_seen(self, agent: str) -> tuple[str, str, bool] | None:
        """The link that was decided on last: its identity, what the decision rested on, whether it was a yes."""
        query = "SELECT link, context, accepted FROM links_seen WHERE agent = ?"
        row = self.db.execute(query, (agent,)).fetchone()
        return None if row is None else (str(row[0]), str(row[1]), bool(row[2]))

    def see_link(self, agent: str, link: str, context: str, accepted: bool) -> None:
        """Remember the decision on a link, so that the poll does not repeat it."""
        self.db.execute("INSERT OR REPLACE INTO links_seen VALUES (?, ?, ?, ?)", (agent, link, context, accepted))

    # Transfers

    def add_transfer(
        self, row: BundleRow, way: str, state: str, previous: str | None, now: float, code: str = "", reason: str = ""
    ) -> None:
        """Note what became of a bundle; a receipt is due from now on."""
        self.db.execute(
            "INSERT INTO transfers (at, agent, version, serial, manifest_sha256, signer, way, size, state, code, reason,"
            " previous) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now,
                row.agent,
                row.version,
                row.serial,
                row.manifest_sha256,
                row.signer,
                way,
                row.size,
                state,
                code,
                reason,
                previous,
            ),
        )

    def transfers(self, agent: str | None = None, limit: int = 100) -> list[TransferRow]:
        """What became of bundles, newest first."""
        query = f"SELECT {_columns(TransferRow)} FROM transfers WHERE ? IN ('', agent) ORDER BY id DESC LIMIT ?"  # noqa: S608 (our own column names)
        return [TransferRow(*row) for row in self.db.execute(query, (agent or "", limit))]

    def unreported(self) -> list[TransferRow]:
        """Transfers whose receipt is not written yet, oldest first."""
        query = f"SELECT {_columns(TransferRow)} FROM transfers WHERE reported = 0 ORDER BY id"  # noqa: S608 (our own column names)
        return [TransferRow(*row) for row in self.db.execute(query)]

    def reported(self, transfer: int) -> None:
        """Its receipt is written."""
        self.db.execute("UPDATE transfers SET reported = 1 WHERE id = ?", (transfer,))

    def forget_transfers(self, before: float) -> int:
        """Remove the transfers older than a moment; gives how many."""
        return self.db.execute("DELETE FROM transfers WHERE at < ? AND reported = 1", (before,)).rowcount

    # Private copies

    def path(self, agent: str, version: str) -> Path:
        """Where the private copy of a version lies."""
        return layout.bundle_folder(self.folder, agent, version)

    def keep(self, manifest: Manifest, raw: Mapping[str, bytes]) -> Path:
        """Write a verified bundle beside its place, make it durable and rename it there."""
        place = self.path(manifest.agent, manifest.version)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside, aside = (self.folder / f".tmp-{uuid.uuid4().hex}" for _ in range(2))
        try:
            beside.mkdir(mode=0o700)
            for name, data in raw.items():
                layout.write_new(beside / name, data, mode=0o600)
            layout.sync_folder(beside)
            if place.exists():
                os.rename(place, aside)
            os.rename(beside, place)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        layout.sync_folder(place.parent)
        layout.sync_folder(self.folder)
        return place

    def load(self, agent: str, version: str) -> tuple[Manifest, dict[str, bytes]]:
        """A private copy, hashed again and compared with the manifest that was verified when it came.

        Raises:
            BundleError: it is not there or was damaged.
        """
        row = self.known(agent, version)
        if row is None or not self.path(agent, version).is_dir():
            raise BundleError("not_here", f"store: {layout.model_id(agent, version)} is not in this machine's store")
        raw = bundle.open_bundle(self.path(agent, version))
        manifest = bundle.verify(raw, None)
        if manifest.sha256 != row.manifest_sha256:
            raise BundleError("hash", f"store: the copy of {manifest.model_id} is not the bundle that was verified")
        return manifest, raw

    def sweep(self) -> None:
        """Remove what a kill left behind; at start only."""
        if self.folder.is_dir():
            for left in self.folder.glob(".tmp-*"):
                shutil.rmtree(left, ignore_errors=True)

    def prune(self, keep: int) -> list[str]:
        """Remove old copies: never what is active, former or on trial; `keep` more good ones stay. Gives their ids."""
        removed = []
        for agent in layout.agents_in(self.folder):
            row = self.active(agent)
            held = {row.version, row.previous} if row else set()
            spare = keep
            for version in reversed(layout.versions_in(self.folder, agent)):
                known = self.known(agent, version)
                state = known.state if known else BAD
                if version in held or state == CANDIDATE:
                    continue
                if state in (GOOD, PROBATION) and spare > 0:
                    spare -= 1
                    continue
                aside = self.folder / f".tmp-{uuid.uuid4().hex}"
                os.rename(self.path(agent, version), aside)
                shutil.rmtree(aside, ignore_errors=True)
                removed.append(layout.model_id(agent, version))
        return removed

    @contextlib.contextmanager
    def durable(self) -> Iterator[None]:
        """One transaction that is on the disk when it returns."""
        self.db.execute("PRAGMA synchronous=FULL")
        try:
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise
        finally:
            if not self.db.in_transaction:
                self.db.execute("PRAGMA synchronous=NORMAL")


def _columns(row: type[Any]) -> str:
    return ", ".join(field.name for field in fields(row))
