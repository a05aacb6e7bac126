"""The tables of the state file, and the steps from the forms that former releases wrote."""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent TEXT NOT NULL, host TEXT NOT NULL, window_start REAL NOT NULL, window_end REAL NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0, model_version TEXT NOT NULL, role TEXT NOT NULL, rows INTEGER NOT NULL,
    score REAL, rarity REAL, is_anomaly INTEGER NOT NULL, type TEXT, severity TEXT, confidence REAL,
    description TEXT NOT NULL, found_by TEXT NOT NULL, features TEXT NOT NULL, explanation TEXT NOT NULL,
    incident_id INTEGER, scored_at REAL NOT NULL, sampled INTEGER NOT NULL DEFAULT 0, nearest TEXT,
    UNIQUE (agent, host, window_start));
DROP INDEX IF EXISTS verdicts_by_end;
CREATE INDEX IF NOT EXISTS verdicts_in_short ON verdicts (window_end, host, window_start, rows, rarity, is_anomaly);
CREATE INDEX IF NOT EXISTS verdicts_by_incident ON verdicts (incident_id) WHERE incident_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS lines (
    verdict_id INTEGER NOT NULL, n INTEGER NOT NULL, time REAL NOT NULL, program TEXT NOT NULL, message TEXT NOT NULL,
    telling INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (verdict_id, n)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, agent TEXT NOT NULL, host TEXT NOT NULL,
    type TEXT NOT NULL, severity TEXT NOT NULL, started REAL NOT NULL, peak REAL NOT NULL, ended REAL NOT NULL,
    windows INTEGER NOT NULL, score REAL, rarity REAL, confidence REAL NOT NULL, description TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('open', 'ended')), found_by TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS incidents_by_end ON incidents (ended);
CREATE TABLE IF NOT EXISTS hosts (
    agent TEXT NOT NULL, host TEXT NOT NULL, last_row REAL NOT NULL, PRIMARY KEY (agent, host)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memory (agent TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cursor (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS status (key TEXT PRIMARY KEY, value TEXT NOT NULL, updated REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reopen (
    agent TEXT NOT NULL, host TEXT NOT NULL, window_start REAL NOT NULL, rows INTEGER NOT NULL, due REAL NOT NULL,
    PRIMARY KEY (agent, host, window_start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
    id INTEGER PRIMARY KEY AUTOINCREMENT, incident_id INTEGER NOT NULL, incident_key TEXT NOT NULL,
    agent TEXT NOT NULL, host TEXT NOT NULL, type TEXT NOT NULL, started REAL NOT NULL, ended REAL NOT NULL,
    mark TEXT NOT NULL CHECK (mark IN ('false', 'confirmed')), by TEXT NOT NULL, at REAL NOT NULL,
    expires REAL NOT NULL, note TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS marks_by_incident ON marks (incident_id);
CREATE TABLE IF NOT EXISTS mutes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, agent TEXT NOT NULL, type TEXT NOT NULL, host TEXT,
    by TEXT NOT NULL, at REAL NOT NULL, until REAL NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS budgets (
    agent TEXT PRIMARY KEY, per_week REAL NOT NULL, by TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, key TEXT NOT NULL UNIQUE, severity TEXT NOT NULL,
    title TEXT NOT NULL, body TEXT NOT NULL, created REAL NOT NULL, due REAL NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'waiting'
    CHECK (state IN ('waiting', 'sent', 'failed')), error TEXT NOT NULL DEFAULT '', sent REAL,
    taken TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS outbox_waiting ON outbox (due) WHERE state = 'waiting';
"""

# Columns that came after the first version of a table, with what an older file's rows get.
LATER = {
    "verdicts": {"sampled": "INTEGER NOT NULL DEFAULT 0", "nearest": "TEXT"},
    "lines": {"telling": "INTEGER NOT NULL DEFAULT 0"},
    "outbox": {"taken": "TEXT NOT NULL DEFAULT ''"},
}

# What a new table or column cannot say: the first script leads from form 1 to 2, and so on.
STEPS: tuple[str, ...] = ()
