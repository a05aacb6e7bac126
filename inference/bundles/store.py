"""What this machine knows and keeps of bundles: rows in SQLite, and private copies that only the daemon writes.

`active` is the truth about what serves.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import astuple, fields
from pathlib import Path

from inference.bundles.ledger import Ledger
from inference.bundles.rows import (
    ATTEMPTS,
    BAD,
    CANDIDATE,
    GOOD,
    PROBATION,
    REFUSED,
    RETURNED,
    SCHEMA,
    TRIED,
    ActiveRow,
    BundleRow,
    TransferRow,
    WishRow,
    columns,
)
from inference.bundles.shelf import Shelf
from inference.said import switches
from shared import bundle, layout
from shared.bundle import Manifest
from shared.errors import BundleError

__all__ = [
    "ATTEMPTS",
    "BAD",
    "CANDIDATE",
    "GOOD",
    "PROBATION",
    "REFUSED",
    "RETURNED",
    "SCHEMA",
    "TRIED",
    "ActiveRow",
    "BundleRow",
    "BundleStore",
    "TransferRow",
    "WishRow",
]


class BundleStore(Ledger):
    """Rows and private copies. One thread at a time; sqlite3.Error and OSError pass through."""

    def __init__(self, db: sqlite3.Connection, folder: Path) -> None:
        super().__init__(db)
        self.shelf = Shelf(folder)

    def known(self, agent: str, version: str) -> BundleRow | None:
        """The row of a version."""
        query = f"SELECT {columns(BundleRow)} FROM bundles WHERE agent = ? AND version = ?"  # noqa: S608 (our own column names)
        row = self.db.execute(query, (agent, version)).fetchone()
        return None if row is None else BundleRow(*row)

    def bundles(self, agent: str | None = None) -> list[BundleRow]:
        """All that is known, newest first."""
        query = f"SELECT {columns(BundleRow)} FROM bundles WHERE ? IN ('', agent) ORDER BY agent, serial DESC"  # noqa: S608 (our own column names)
        return [BundleRow(*row) for row in self.db.execute(query, (agent or "",))]

    def active(self, agent: str) -> ActiveRow | None:
        """What serves for an agent."""
        row = self.db.execute(f"SELECT {columns(ActiveRow)} FROM active WHERE agent = ?", (agent,)).fetchone()  # noqa: S608 (our own column names)
        return None if row is None else ActiveRow(*row)

    def actives(self) -> list[ActiveRow]:
        """What serves, for every agent."""
        return [ActiveRow(*row) for row in self.db.execute(f"SELECT {columns(ActiveRow)} FROM active ORDER BY agent")]  # noqa: S608 (our own column names)

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
            f"INSERT INTO bundles ({columns(BundleRow)}) VALUES ({marks})"  # noqa: S608 (our own column names)
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

    def load(self, agent: str, version: str) -> tuple[Manifest, dict[str, bytes]]:
        """A private copy, hashed again and compared with the manifest that was verified when it came.

        Raises:
            BundleError: it is not there or was damaged.
        """
        row = self.known(agent, version)
        if row is None or not self.shelf.path(agent, version).is_dir():
            raise BundleError("not_here", f"store: {layout.model_id(agent, version)} is not in this machine's store")
        raw = bundle.open_bundle(self.shelf.path(agent, version))
        manifest = bundle.verify(raw, None)
        if manifest.sha256 != row.manifest_sha256:
            raise BundleError("hash", f"store: the copy of {manifest.model_id} is not the bundle that was verified")
        return manifest, raw

    def prune(self, keep: int) -> list[str]:
        """Remove old copies: never what is active, former, a challenger or on trial; `keep` more good ones stay. Gives ids."""
        removed, wanted = [], switches.switches(self.db).values()
        for agent in layout.agents_in(self.shelf.folder):
            row = self.active(agent)
            held = {row.version, row.previous} if row else set()
            held |= {each.challenger for each in wanted if each.agent == agent}
            spare = keep
            for version in reversed(layout.versions_in(self.shelf.folder, agent)):
                known = self.known(agent, version)
                state = known.state if known else BAD
                if version in held or state == CANDIDATE:
                    continue
                if state in (GOOD, PROBATION, TRIED) and spare > 0:
                    spare -= 1
                    continue
                self.shelf.drop(agent, version)
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
                with contextlib.suppress(sqlite3.Error):  # what was committed must not look as if it had failed
                    self.db.execute("PRAGMA synchronous=NORMAL")
