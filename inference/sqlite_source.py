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

from inference.columns import find_columns
from inference.source import BATCH_ROWS, EARLIEST_S, LATEST_S, MESSAGE_CHARS, Batch, Cursor, Head
from shared.errors import SourceError
from shared.frame import MAX_NAME, parse_severity, parse_time
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
        self._sql: _Queries | None = None
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

    def _queries(self) -> _Queries:
        if self._sql is None:
            names = [row[1] for row in self._ask(f'PRAGMA table_info("{self._table}")')]
            if not names:
                raise SourceError(
                    f"open log table: there is no table {self._table} in {self._path}; set INFERENCE_TABLE"
                )
            columns = find_columns(names, self._configured, self._table)
            # Texts sort behind all numbers, so an index answers whether there is one.
            texts = self._ask(f'SELECT 1 FROM "{self._table}" WHERE "{columns["timestamp"]}" >= \'\' LIMIT 1')
            self._sql = _Queries(self._table, columns, has_texts=bool(texts))
        return self._sql

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


class _Queries:
    """The statements for one table, built once from the names of its columns."""

    def __init__(self, table: str, columns: Mapping[str, str | None], has_texts: bool) -> None:
        quoted = {field: None if name is None else f't."{name}"' for field, name in columns.items()}
        self.id_column, self.time_column = str(columns["id"]), str(columns["timestamp"])
        row_id, stamp, program = quoted["id"], quoted["timestamp"], bare_program(_short(quoted["program"]))
        texts = [
            _short(quoted["host"]),
            program,
            _short(quoted["pid"]),
            _short(quoted["severity"]),
            f"substr({quoted['message']}, 1, {MESSAGE_CHARS})",
        ]
        wanted = f"({program}) IN (SELECT value FROM json_each(:programs))"
        picked = ", ".join([str(row_id), *(f"CASE WHEN {wanted} THEN {text} END" for text in (stamp, *texts))])
        # Numbers are compared bare, so that an index helps; texts have to be read one by one.
        moment = f"pipit_time({stamp})" if has_texts else str(stamp)
        between = f"{moment} >= :start AND {moment} < :stop"

        head = f'(SELECT max({row_id}) AS id FROM "{table}" t)'
        newest = f'(SELECT {stamp} FROM "{table}" t WHERE {row_id} = h.id LIMIT 1)'
        self.head = f"SELECT coalesce(h.id, 0), {newest} FROM {head} h"
        self.tail = f'SELECT {picked} FROM "{table}" t WHERE {row_id} > :last ORDER BY {row_id} LIMIT :limit'
        self.gaps = (
            f'SELECT {picked} FROM json_each(:gaps) g CROSS JOIN "{table}" t'
            f" ON {row_id} BETWEEN g.value ->> 0 AND g.value ->> 1 ORDER BY {row_id} LIMIT :limit"
        )
        self.span = (
            f'SELECT {row_id}, {moment} AS moment, {", ".join(texts)} FROM "{table}" t WHERE {between}'
            f" AND ({moment}, {row_id}) > (:start, :after_id) AND {wanted} ORDER BY moment, {row_id} LIMIT :limit"
        )
        self.time_of = f'SELECT {stamp} FROM "{table}" t WHERE {row_id} = :id LIMIT 1'
        self.first_time = f'SELECT min({moment}) FROM "{table}" t WHERE {between}'
        self.first_id = f'SELECT min({row_id} + 0) FROM "{table}" t WHERE {between}'
        self.newest = f'SELECT max({moment}) FROM "{table}" t WHERE {between}'


def _short(column: str | None) -> str:
    """A column's text, no longer than a name can be: whoever writes lines must not fill the memory with one."""
    return "NULL" if column is None else f"substr({column}, 1, {MAX_NAME})"


def bare_program(column: str) -> str:
    """The program of a column that may hold a syslog tag: `hostapd[270]:` is `hostapd`."""
    bare = f"rtrim({column}, ':')"
    cut = f"substr({bare}, 1, instr({bare} || '[', '[') - 1)"
    return f"CASE WHEN substr({column}, -1) IN (':', ']') THEN {cut} ELSE {column} END"


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
        str(host) if host else "-",
        str(program),
        "" if pid is None else str(pid),
        NO_SEVERITY if severity is None else parse_severity(str(severity)),
        "" if message is None else str(message),
    )
