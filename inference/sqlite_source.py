"""Log rows from a table in a SQLite file: the embedded default, and the same contract as PostgreSQL's.

SQLite has one writer at a time, so ids appear in order; gaps come from deleted rows only. Timestamps are ISO 8601 text
(as exports have them) or seconds since the epoch; one column may hold both.
"""

# ruff: noqa: S608 (the names are quoted ones of the table itself; values are parameters)

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.source import BATCH_ROWS, EARLIEST_S, LATEST_S, Batch, Cursor, Head
from inference.sources.columns import find_columns
from inference.sources.sqlite_sql import Queries
from shared.errors import SourceError
from shared.frame import parse_severity, parse_time
from shared.values import NO_SEVERITY, Row

HOUR_S = 3600.0
BUSY_TIMEOUT_S = 5.0

# AUTOINCREMENT: ids must never be used twice, the cursor would pass the second row by.
TABLE = """
CREATE TABLE IF NOT EXISTS log_entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL NOT NULL, host TEXT, program TEXT, pid TEXT, severity INTEGER,
    message TEXT);
CREATE INDEX IF NOT EXISTS log_entries_by_time ON log_entries (timestamp);
"""


def create_table(path: Path) -> None:
    """Make the embedded log table where it is missing.

    Raises:
        SourceError: the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(TABLE)
        finally:
            db.close()
    except (OSError, sqlite3.Error) as error:
        raise SourceError(
            f"create log table: {path}: {error}; check the folder's permissions and free space"
        ) from error


class SqliteSource:
    """A LogSource over a SQLite file, opened read-only at the first call and again after every error."""

    def __init__(
        self,
        path: Path,
        table: str = "log_entries",
        columns: Mapping[str, str] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path, self._table, self._configured, self._clock = path, table, dict(columns or {}), now
        self._db: sqlite3.Connection | None = None
        self._sql: Queries | None = None
        self._head: Head | None = None

    def head(self) -> Head:
        """The table's head and this machine's clock."""
        max_id, newest = self._ask(self._queries().head)[0]
        self._head = Head(int(max_id), self._clock(), _moment(newest))
        return self._head

    def fetch(self, cursor: Cursor, programs: Sequence[str], limit: int = BATCH_ROWS) -> Batch:
        """The rows that appeared in the cursor's gaps, then the next ones behind it."""
        head = self._head or self.head()
        wanted = {"programs": json.dumps(list(programs)), "limit": limit}
        gaps: list[Any] = []
        if cursor.gaps:
            ranges = json.dumps([[gap.low, gap.high] for gap in cursor.gaps])
            gaps = self._ask(self._queries().gaps, {**wanted, "gaps": ranges})
        tail = self._ask(self._queries().tail, {**wanted, "last": cursor.last})
        rows, bad = [], 0
        for answer in gaps + tail:
            if answer[3] is None:
                continue
            moment = _moment(answer[1])
            if moment is None:
                bad += 1
            else:
                rows.append(_row(answer, moment))
        moved = cursor.advanced((answer[0] for answer in gaps), [answer[0] for answer in tail], head.now)
        drained = len(gaps) < limit and (len(tail) < limit or moved.last >= head.max_id)
        return Batch(rows, moved, drained, len(gaps) + len(tail), bad)

    def span(self, start: float, end: float, programs: Sequence[str]) -> Iterator[Row]:
        """Rows of [start, end) in order of (time, id), in batches."""
        after, after_id = start, -1
        while True:
            values = {"start": after, "after_id": after_id, "stop": end, "programs": json.dumps(list(programs))}
            answers = self._ask(self._queries().span, {**values, "limit": BATCH_ROWS})
            for answer in answers:
                yield _row(answer, answer[1])
            if len(answers) < BATCH_ROWS:
                return
            after_id, after = answers[-1][0], answers[-1][1]

    def first_id_since(self, start: float) -> int | None:
        """The lowest id of the rows of the first hour with time >= start."""
        first = self._ask(self._queries().first_time, {"start": start, "stop": LATEST_S})[0][0]
        if first is None:
            return None
        return int(self._ask(self._queries().first_id, {"start": start, "stop": first + HOUR_S})[0][0])

    def newest_time(self) -> float | None:
        """The newest usable time, or None in an empty table."""
        found = self._ask(self._queries().newest, {"start": EARLIEST_S, "stop": LATEST_S})[0][0]
        return None if found is None else float(found)

    def time_of(self, row_id: int) -> float | None:
        """The usable time of one row, or None where it is not there."""
        found = self._ask(self._queries().time_of, {"id": row_id})
        return _moment(found[0][0]) if found else None

    def warnings(self) -> list[str]:
        """A missing index on the timestamp, an id that is not the table's key."""
        sql = self._queries()
        indexes = [row[1] for row in self._ask(f'PRAGMA index_list("{self._table}")') if not row[4]]
        leading = {self._ask(f'PRAGMA index_info("{name}")')[0][2] for name in indexes}
        keys = [row[1] for row in self._ask(f'PRAGMA table_info("{self._table}")') if row[5] == 1]
        found = []
        if sql.id_column not in {*leading, *keys}:
            found.append(f"no index of {self._table} leads with {sql.id_column}: every cycle reads the whole table")
        if sql.time_column not in leading:
            found.append(f"no index of {self._table} leads with {sql.time_column}: starting and late rows are slow")
        return found

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        db, self._db, self._sql, self._head = self._db, None, None, None
        if db is not None:
            db.close()

    def _queries(self) -> Queries:
        if self._sql is None:
            names = [row[1] for row in self._ask(f'PRAGMA table_info("{self._table}")')]
            if not names:
                raise SourceError(
                    f"open log table: there is no table {self._table} in {self._path}; set INFERENCE_TABLE"
                )
            columns = find_columns(names, self._configured, self._table)
            self._check_id(str(columns["id"]))
            # Texts sort behind all numbers, so an index answers whether there is one.
            texts = self._ask(f'SELECT 1 FROM "{self._table}" WHERE "{columns["timestamp"]}" >= \'\' LIMIT 1')
            self._sql = Queries(self._table, columns, has_texts=bool(texts))
        return self._sql

    def _check_id(self, row_id: str) -> None:
        kind = self._ask(f'SELECT typeof("{row_id}") FROM "{self._table}" LIMIT 1')
        if kind and kind[0][0] != "integer":
            raise SourceError(
                f"open log table {self._table}: its column {row_id} is {kind[0][0]}, and rows are read in the order of a whole"
                " number that grows; make it INTEGER PRIMARY KEY AUTOINCREMENT, or name another: INFERENCE_COLUMNS=id=NAME"
            )

    def _ask(self, query: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of one answer.

        Raises:
            SourceError: the file is missing, locked too long, damaged, or not a database.
        """
        try:
            if self._db is None:
                self._db = self._open()
            return self._db.execute(query, values or {}).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise SourceError(f"read logs: {self._path}: {error}") from None

    def _open(self) -> sqlite3.Connection:
        if not self._path.exists():
            raise SourceError(f"open log table: there is no file {self._path}; check INFERENCE_DATABASE_URL")
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        db = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA cache_size=-512")  # kB; the default of 2 MB holds rows that are not asked for again
        db.text_factory = lambda raw: str(raw, "utf-8", "replace")
        db.create_function("pipit_time", 1, _moment, deterministic=True)
        return db


def _moment(value: object) -> float | None:
    """Seconds since the epoch of a stored timestamp, or None where it is not a usable one."""
    try:
        moment = float(value) if isinstance(value, (int, float)) else parse_time(str(value))
    except ValueError:
        return None
    return moment if EARLIEST_S <= moment < LATEST_S else None


def _row(answer: Sequence[Any], moment: float) -> Row:
    row_id, _, host, program, pid, severity, message = answer
    return (
        int(row_id),
        float(moment),
        _text(host) or "-",
        _text(program),
        _text(pid),
        NO_SEVERITY if severity is None else parse_severity(_text(severity)),
        _text(message),
    )


def _text(value: object) -> str:
    """A cell as text, whatever was put there: SQLite keeps bytes in a column of texts."""
    return str(value, "utf-8", "replace") if isinstance(value, bytes) else "" if value is None else str(value)
