"""Wishes, what was decided on links of the inbox, and the record of transfers: the book that `reconcile` keeps."""

from __future__ import annotations

import sqlite3

from inference.bundles.rows import PROBATION, BundleRow, TransferRow, WishRow, columns
from shared.layout import CHALLENGER, receipt_names


class Ledger:
    """One thread at a time; sqlite3.Error passes through."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def wish(self, agent: str, action: str, version: str | None, by: str, now: float) -> int:
        """Ask the daemon to activate a version or to roll back; `reconcile` takes it from here."""
        query = "INSERT INTO wishes (agent, action, version, by, at) VALUES (?, ?, ?, ?, ?)"
        return int(self.db.execute(query, (agent, action, version, by, now)).lastrowid or 0)

    def open_wishes(self) -> list[WishRow]:
        """The clicks that nothing has come of yet, oldest first."""
        query = f"SELECT {columns(WishRow)} FROM wishes WHERE done_at IS NULL ORDER BY id"  # noqa: S608 (our own column names)
        return [WishRow(*row) for row in self.db.execute(query)]

    def has_wishes(self) -> bool:
        """Is a click waiting?"""
        return self.db.execute("SELECT 1 FROM wishes WHERE done_at IS NULL LIMIT 1").fetchone() is not None

    def has_probation(self) -> bool:
        """Is anything that serves being watched?"""
        query = "SELECT 1 FROM active JOIN bundles USING (agent, version) WHERE state = ? LIMIT 1"
        return self.db.execute(query, (PROBATION,)).fetchone() is not None

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

    def forget_link(self, agent: str) -> None:
        """Decide anew on the link, even where nobody puts it there again."""
        self.db.execute("DELETE FROM links_seen WHERE agent = ?", (agent,))

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

    def transfers(
        self,
        agent: str | None = None,
        limit: int = 100,
        *,
        version: str | None = None,
        state: str | None = None,
        since: float = 0.0,
    ) -> list[TransferRow]:
        """What became of bundles, newest first; of one agent, version or state where given."""
        given = {k: v for k, v in {"agent": agent, "version": version, "state": state}.items() if v}
        conditions = "".join(f" AND {name} = ?" for name in given)
        query = f"SELECT {columns(TransferRow)} FROM transfers WHERE at >= ?{conditions} ORDER BY id DESC LIMIT ?"  # noqa: S608 (our own column names)
        return [TransferRow(*row) for row in self.db.execute(query, (since, *given.values(), limit))]

    def unreported(self) -> list[TransferRow]:
        """Transfers whose receipt is not written yet, oldest first."""
        query = f"SELECT {columns(TransferRow)} FROM transfers WHERE reported = 0 ORDER BY id"  # noqa: S608 (our own column names)
        return [TransferRow(*row) for row in self.db.execute(query)]

    def reported(self, transfer: int) -> None:
        """Its receipt is written."""
        self.db.execute("UPDATE transfers SET reported = 1 WHERE id = ?", (transfer,))

    def forget_transfers(self, before: float) -> int:
        """Remove the transfers older than a moment; gives how many."""
        return self.db.execute("DELETE FROM transfers WHERE at < ? AND reported = 1", (before,)).rowcount


def forget_refused(db: sqlite3.Connection, most_versions: int, most_transfers: int) -> list[str]:
    """Keep the newest refused bundles and transfers only; gives the names of the receipts of those forgotten."""
    db.execute(
        "DELETE FROM transfers WHERE state = 'refused' AND reported = 1 AND id <= (SELECT max(id) FROM transfers) - ?",
        (most_transfers,),
    )
    old = db.execute(
        "DELETE FROM bundles WHERE state = 'refused' AND (agent, version) NOT IN"
        " (SELECT agent, version FROM bundles WHERE state = 'refused' ORDER BY updated DESC, rowid DESC LIMIT ?)"
        " RETURNING agent, version",
        (most_versions,),
    ).fetchall()
    names = [receipt_names(row[0], row[1])[1] for row in old]
    for agent in {str(row[0]) for row in old}:
        if db.execute("SELECT 1 FROM bundles WHERE agent = ? LIMIT 1", (agent,)).fetchone() is None:
            db.execute("DELETE FROM links_seen WHERE agent IN (?, ?)", (agent, f"{agent}/{CHALLENGER}"))
            names.append(receipt_names(agent, "")[0])
    return names
