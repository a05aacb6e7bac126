"""The tables of what this machine knows of bundles, and their rows as values.

A bundle's state is one of: candidate (being tried), tried (judged beside another, has never served), probation, good,
returned (given up on probation), bad (never tried again), refused (not even tried).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

CANDIDATE, PROBATION, GOOD, RETURNED, BAD, REFUSED = "candidate", "probation", "good", "returned", "bad", "refused"
TRIED = "tried"
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


def columns(row: type[Any]) -> str:
    """The column names of a row's table, in the order of its fields."""
    return ", ".join(field.name for field in fields(row))
