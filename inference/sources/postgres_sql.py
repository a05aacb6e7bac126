"""The statements that read a PostgreSQL log table, built from the names of its columns, and rows from their answers."""

# ruff: noqa: S608 (the names come from the database's own catalogue and are quoted; values are parameters)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from inference.source import EARLIEST_S, LATEST_S, MESSAGE_CHARS
from shared.frame import MAX_NAME, parse_severity
from shared.values import NO_SEVERITY, Row

SESSION = (
    "SET default_transaction_read_only = on; SET TimeZone = 'UTC'; SET statement_timeout = %(timeout)s;"
    " SET client_encoding = %(encoding)s"
)
COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, NULL)::text, c.relkind::text
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.oid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
INDEXES = """
SELECT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indrelid = to_regclass(%(table)s) AND i.indisvalid AND i.indpred IS NULL"""

SLOW_CURSOR = (
    "no index of {table} leads with {column}: every cycle reads the whole table; CREATE INDEX ON {table} ({column})"
)
SLOW_SPAN = (
    "no index of {table} leads with {column}: starting and late rows are slow; CREATE INDEX ON {table} ({column}, id)"
)


class Queries:
    """The statements for one table, built once from the names of its columns."""

    def __init__(self, table: str, columns: Mapping[str, str | None], types: Mapping[str, str], kind: str) -> None:
        quoted = {field: None if name is None else f't."{name}"' for field, name in columns.items()}
        self.table = ".".join(f'"{part}"' for part in table.split("."))
        self.kind = kind
        self.id_column, self.time_column = str(columns["id"]), str(columns["timestamp"])
        row_id, stamp, program = quoted["id"], quoted["timestamp"], bare_program(_short(quoted["program"]))
        zoned = types[self.time_column] == "timestamp with time zone"
        epoch = "timestamptz 'epoch'" if zoned else "timestamp 'epoch'"

        def moment(name: str) -> str:
            return f"({epoch} + %({name})s * interval '1 microsecond')"

        # Infinity and absurd years would raise on the client: they become NULL here, and are counted.
        sane = f"{stamp} >= {epoch} AND {stamp} < {epoch} + {micros(LATEST_S)} * interval '1 microsecond'"
        stamp_us = f"(extract(epoch FROM {stamp}) * 1000000)::bigint"
        texts = [
            _short(quoted["host"]),
            program,
            _short(quoted["pid"]),
            _short(quoted["severity"]),
            f"left({quoted['message']}::text, {MESSAGE_CHARS})",
        ]
        wanted = f"({program}) = ANY(%(programs)s)"
        chosen = ", ".join(f"CASE WHEN {wanted} THEN {text} END" for text in texts)
        picked = f"{row_id}, CASE WHEN {wanted} AND {sane} THEN {stamp_us} END, {chosen}"

        newest = f"(SELECT max({row_id}) AS id FROM {self.table} t) h"
        self.head = (
            f"SELECT coalesce(h.id, 0), extract(epoch FROM clock_timestamp())::float8, (SELECT CASE WHEN {sane} THEN"
            f" {stamp_us} END FROM {self.table} t WHERE {row_id} = h.id LIMIT 1) FROM {newest}"
        )
        self.tail = f"SELECT {picked} FROM {self.table} t WHERE {row_id} > %(last)s ORDER BY {row_id} LIMIT %(limit)s"
        self.gaps = (
            f"SELECT {picked} FROM unnest(%(low)s::bigint[], %(high)s::bigint[]) AS g(low, high)"
            f" JOIN {self.table} t ON {row_id} BETWEEN g.low AND g.high ORDER BY {row_id} LIMIT %(limit)s"
        )
        self.span = (
            f"SELECT {row_id}, {stamp_us}, {', '.join(texts)} FROM {self.table} t WHERE {stamp} >= {moment('after')}"
            f" AND ({stamp}, {row_id}) > ({moment('after')}, %(after_id)s) AND {stamp} < {moment('stop')}"
            f" AND {wanted} ORDER BY {stamp}, {row_id} LIMIT %(limit)s"
        )
        self.time_of = (
            f"SELECT CASE WHEN {sane} THEN {stamp_us} END FROM {self.table} t WHERE {row_id} = %(id)s LIMIT 1"
        )
        since = f"FROM {self.table} t WHERE {stamp} >= {moment('start')} AND {stamp} < {moment('stop')}"
        self.first_time = f"SELECT {stamp_us} {since} ORDER BY {stamp} LIMIT 1"
        # "+ 0" keeps the planner from walking the index on id through years of older rows.
        self.first_id = f"SELECT min({row_id} + 0) {since}"
        self.newest = f"SELECT {stamp_us} {since} ORDER BY {stamp} DESC LIMIT 1"


def _short(column: str | None) -> str:
    """A column's text, no longer than a name can be: whoever writes lines must not fill the memory with one."""
    return "NULL::text" if column is None else f"left({column}::text, {MAX_NAME})"


def bare_program(column: str) -> str:
    """The program of a column that may hold a syslog tag: `hostapd[270]:` is `hostapd`."""
    return (
        f"CASE WHEN right({column}, 1) IN (':', ']') THEN regexp_replace({column}, '(\\[[^]]*\\])?:?$', '')"
        f" ELSE {column} END"
    )


def micros(time_s: float) -> int:
    """Whole microseconds, inside the range of usable times."""
    return round(min(max(time_s, EARLIEST_S), LATEST_S) * 1e6)


def row_of(answer: Sequence[Any]) -> Row:
    """The row of an answer to `tail`, `gaps` or `span`."""
    row_id, micros, host, program, pid, severity, message = answer
    return (
        int(row_id),
        micros / 1e6,
        text_of(host) if host else "-",
        text_of(program),
        text_of(pid) if pid else "",
        NO_SEVERITY if severity is None else parse_severity(text_of(severity)),
        text_of(message) if message else "",
    )


def text_of(value: bytes | str) -> str:
    """A column's text; what is no UTF-8 is replaced."""
    return value if isinstance(value, str) else str(value, "utf-8", "replace")
