"""The form of a SQLite file: its tables, how an older file becomes one of today, and why a newer one is left alone.

The file's `user_version` counts its form. A table that is new is simply made, a column that is new is added; what neither can
say is a step, taken once, in a transaction of its own. Any number of processes may open a file at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.errors import StoreError

FIRST = 1


@dataclass(frozen=True)
class Form:
    """What a file of one kind looks like today.

    `later`: table → column → its type, for columns that came after the table, with what an older file's rows get.
    `steps`: the first script leads from form 1 to 2, and so on. A release from before a step refuses the file.
    """

    what: str
    schema: str
    later: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    steps: tuple[str, ...] = ()

    @property
    def newest(self) -> int:
        """The form that this release writes."""
        return FIRST + len(self.steps)


def bring_forward(db: sqlite3.Connection, form: Form) -> None:
    """Make a new file's tables, all at once, or lead an older one to today's form; a file that is right is not written.

    The connection must not be in a transaction.

    Raises:
        StoreError: a newer release wrote the file.
        sqlite3.Error: the file cannot be written.
    """
    if _is_empty(db):
        with _alone(db):
            if _is_empty(db):  # nobody else was quicker
                _run(db, form.schema)
                _count(db, form.newest)
    found = refuse_newer(db, form)
    db.executescript(form.schema)
    _add_columns(db, form.later)
    for number, step in enumerate(form.steps[max(found, FIRST) - FIRST :], max(found, FIRST) + 1):
        with _alone(db):
            if _form_of(db) < number:
                _run(db, step)
                _count(db, number)
    if _form_of(db) < form.newest:
        _count(db, form.newest)


def refuse_newer(db: sqlite3.Connection, form: Form) -> int:
    """The form of a file, which this release can lead to today's.

    Raises:
        StoreError: a newer release wrote it.
    """
    found = _form_of(db)
    if found > form.newest:
        raise StoreError(
            f"open {form.what}: the file is of a newer release (form {found}; this one knows up to {form.newest})."
            " Install that release again, or put back the backup made before it"
        )
    return found


def _is_empty(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None


def _form_of(db: sqlite3.Connection) -> int:
    """0 for a file from before forms were counted."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _count(db: sqlite3.Connection, number: int) -> None:
    db.execute(f"PRAGMA user_version = {number}")


@contextmanager
def _alone(db: sqlite3.Connection) -> Iterator[None]:
    """One transaction that no other writer is in."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _run(db: sqlite3.Connection, script: str) -> None:
    """The statements of a script, inside the transaction that is open (`executescript` would end it)."""
    statement = ""
    for part in script.split(";"):
        statement += part + ";"
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""


def _add_columns(db: sqlite3.Connection, later: Mapping[str, Mapping[str, str]]) -> None:
    if not any(_missing(db, table, columns) for table, columns in later.items()):
        return
    with _alone(db):
        for table, columns in later.items():
            for name in _missing(db, table, columns):  # nobody else was quicker
                db.execute(f"ALTER TABLE {table} ADD COLUMN {name} {columns[name]}")


def _missing(db: sqlite3.Connection, table: str, columns: Mapping[str, str]) -> list[str]:
    there = {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
    return [name for name in columns if name not in there]
