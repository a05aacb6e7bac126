"""Log rows from PostgreSQL: short keyset reads on one kept connection. The only user of psycopg2 on the Pi.

The connection is psycopg2's asynchronous one, waited on with a deadline of our own: a peer that acknowledges packets
and never answers hangs every other way of calling, in spite of keepalives, tcp_user_timeout and statement_timeout.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from inference.cures import DATABASE, cured
from inference.lean import without
from inference.source import BATCH_ROWS, EARLIEST_S, LATEST_S, Batch, Cursor, Head
from inference.sources.columns import check_types, find_columns
from inference.sources.postgres_sql import (
    COLUMNS,
    INDEXES,
    SESSION,
    SLOW_CURSOR,
    SLOW_SPAN,
    Queries,
    micros,
    row_of,
    text_of,
)
from shared.errors import SourceError
from shared.values import Row

# psycopg2 brings an OpenSSL of its own; it loads Python's (5 MB) only to set locks up that no OpenSSL has needed since 1.1.
with without("ssl"):
    import psycopg2
    from psycopg2 import extensions

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
ANSWER_SLACK_S = 2.0  # our own deadline lies this far behind the server's statement_timeout
LOOK_UP_S = 0.5
HOUR_S = 3600.0


class PostgresSource:
    """A LogSource over a PostgreSQL table or view; connects at the first call and again after every error."""

    def __init__(
        self,
        url: str,
        table: str = "log_entries",
        columns: Mapping[str, str] | None = None,
        query_timeout_s: float = 10.0,
        on_wait: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_wait` is called while an answer is waited for, twice a second, and may raise to end the wait."""
        self._on_wait = on_wait
        self._url, self._table, self._configured = url, table, dict(columns or {})
        self._query_timeout_s = query_timeout_s
        self._connection: Any = None
        self._sql: Queries | None = None
        self._head: Head | None = None
        self._secrets = _secrets(url)

    def head(self) -> Head:
        """The table's head and the database's clock."""
        max_id, now, time_us = self._ask(self._queries().head)[0]
        self._head = Head(int(max_id), float(now), None if time_us is None else time_us / 1e6)
        return self._head

    def fetch(self, cursor: Cursor, programs: Sequence[str], limit: int = BATCH_ROWS) -> Batch:
        """The rows that appeared in the cursor's gaps, then the next ones behind it."""
        head = self._head or self.head()
        wanted = {"programs": list(programs), "limit": limit}
        gaps: list[Any] = []
        if cursor.gaps:
            ranges = {"low": [gap.low for gap in cursor.gaps], "high": [gap.high for gap in cursor.gaps]}
            gaps = self._ask(self._queries().gaps, {**wanted, **ranges})
        tail = self._ask(self._queries().tail, {**wanted, "last": cursor.last})
        answers = gaps + tail
        rows = [row_of(answer) for answer in answers if answer[1] is not None]
        bad = sum(1 for answer in answers if answer[3] is not None and answer[1] is None)
        moved = cursor.advanced((answer[0] for answer in gaps), [answer[0] for answer in tail], head.now)
        drained = len(gaps) < limit and (len(tail) < limit or moved.last >= head.max_id)
        return Batch(rows, moved, drained, len(answers), bad)

    def span(self, start: float, end: float, programs: Sequence[str]) -> Iterator[Row]:
        """Rows of [start, end) in order of (time, id), in batches."""
        after, after_id = micros(start), -1
        stop = micros(end)
        while True:
            values = {
                "after": after,
                "after_id": after_id,
                "stop": stop,
                "programs": list(programs),
                "limit": BATCH_ROWS,
            }
            answers = self._ask(self._queries().span, values)
            for answer in answers:
                yield row_of(answer)
            if len(answers) < BATCH_ROWS:
                return
            after_id, after = answers[-1][0], answers[-1][1]

    def first_id_since(self, start: float) -> int | None:
        """The lowest id of the rows of the first hour with time >= start."""
        first = self._ask(self._queries().first_time, {"start": micros(start), "stop": micros(LATEST_S)})
        if not first:
            return None
        hour = {"start": micros(start), "stop": int(first[0][0] + HOUR_S * 1e6)}
        return int(self._ask(self._queries().first_id, hour)[0][0])

    def newest_time(self) -> float | None:
        """The newest usable time, or None in an empty table."""
        found = self._ask(self._queries().newest, {"start": micros(EARLIEST_S), "stop": micros(LATEST_S)})
        return found[0][0] / 1e6 if found else None

    def time_of(self, row_id: int) -> float | None:
        """The usable time of one row, or None where it is not there."""
        found = self._ask(self._queries().time_of, {"id": row_id})
        return None if not found or found[0][0] is None else found[0][0] / 1e6

    def warnings(self) -> list[str]:
        """Missing indexes, with the statement that makes them."""
        sql = self._queries()
        leading = {text_of(name) for (name,) in self._ask(INDEXES, {"table": sql.table})}
        if sql.kind == "v":
            return []  # the indexes are those of the tables behind it
        found = []
        if sql.id_column not in leading:
            found.append(SLOW_CURSOR.format(table=self._table, column=sql.id_column))
        if sql.time_column not in leading:
            found.append(SLOW_SPAN.format(table=self._table, column=sql.time_column))
        return found

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        connection, self._connection, self._sql, self._head = self._connection, None, None, None
        if connection is not None:
            try:
                connection.close()
            except psycopg2.Error as error:
                logger.debug("closing a broken connection error=%s", error)

    # --- the connection ----------------------------------------------------------------------------------------

    def _queries(self) -> Queries:
        if self._sql is None:
            answers = self._ask(COLUMNS, {"table": ".".join(f'"{part}"' for part in self._table.split("."))})
            if not answers:
                raise SourceError(
                    f"open log table: there is no table {self._table} in {describe(self._url)} that this user may see;"
                    " create it, grant SELECT on it, or set INFERENCE_TABLE"
                )
            types = {text_of(name): text_of(kind) for name, kind, _ in answers}
            columns = find_columns(types, self._configured, self._table)
            check_types(columns, types, self._table)
            self._sql = Queries(self._table, columns, types, text_of(answers[0][2]))
        return self._sql

    def _ask(self, query: str, values: Mapping[str, Any] | None = None) -> list[Any]:
        """All rows of one answer, within the deadline.

        Raises:
            SourceError: no connection, no answer in time, or an error from the server; the connection is closed.
        """
        try:
            if self._connection is None or self._connection.closed:
                self._connect()
            cursor = self._connection.cursor()
            cursor.execute(query, values)
            self._wait(self._query_timeout_s + ANSWER_SLACK_S)
            return list(cursor.fetchall())
        except (psycopg2.Error, TimeoutError, OSError) as error:
            self.close()
            raise SourceError(f"read logs: {describe(self._url)}: {self._without_secrets(error)}") from None

    def _connect(self) -> None:
        """Connect, read-only, with every timeout there is."""
        # Kerberos' encryption, which libpq would try first, loads 1 MB that a password or TLS does not need.
        unasked: dict[str, Any] = {} if "gssencmode" in self._url else {"gssencmode": "disable"}
        self._connection = psycopg2.connect(
            self._url,
            async_=True,
            **unasked,
            connect_timeout=int(CONNECT_TIMEOUT_S),
            keepalives=1,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=int(self._query_timeout_s * 1000),
            client_encoding="UTF8",
            application_name="pipit-inference",
        )
        self._wait(CONNECT_TIMEOUT_S)
        # Bytes, decoded by us with errors replaced: a SQL_ASCII database holds whatever was sent to it, and must not be
        # asked to make UTF-8 of it.
        extensions.register_type(extensions.BYTES, self._connection)
        bytes_only = self._connection.get_parameter_status("server_encoding") == "SQL_ASCII"
        values = {"timeout": int(self._query_timeout_s * 1000), "encoding": "SQL_ASCII" if bytes_only else "UTF8"}
        cursor = self._connection.cursor()
        cursor.execute(SESSION, values)
        self._wait(self._query_timeout_s + ANSWER_SLACK_S)

    def _wait(self, timeout_s: float) -> None:
        """Wait until the connection is ready.

        Raises:
            TimeoutError: it is not within `timeout_s`.
        """
        deadline = time.monotonic() + timeout_s
        while (state := self._connection.poll()) != extensions.POLL_OK:
            poller = select.poll()
            poller.register(
                self._connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
            )
            while not poller.poll(min(LOOK_UP_S, max(0.0, deadline - time.monotonic())) * 1000):
                if time.monotonic() >= deadline:
                    raise TimeoutError(f"no answer within {timeout_s:g} s")
                self._look_up()

    def _look_up(self) -> None:
        """Let somebody end the wait; a connection in the middle of an answer is of no use then."""
        try:
            self._on_wait()
        except BaseException:
            self.close()
            raise

    def _without_secrets(self, error: Exception) -> str:
        said = str(error)
        if said.startswith("FATAL"):
            said = said.partition("\n")[0]  # what follows is the same of the try without TLS
        text = " ".join(said.split()) or type(error).__name__
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return cured(text, DATABASE)


def describe(url: str) -> str:
    """The database without user and password."""
    try:
        parts = extensions.parse_dsn(url)
    except psycopg2.Error:
        return "postgresql (the URL cannot be read)"
    return f"postgresql://{parts.get('host', '')}:{parts.get('port', '5432')}/{parts.get('dbname', '')}"


def _secrets(url: str) -> tuple[str, ...]:
    """What must never be printed: the URL, its password in both spellings."""
    try:
        password = extensions.parse_dsn(url).get("password", "")
    except psycopg2.Error:
        password = ""
    raw = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return tuple(sorted({text for text in (url, raw, password) if text}, key=len, reverse=True))
