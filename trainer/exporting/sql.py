"""The statement of an export, for any table with the columns of a log: which column is which, and the COPY itself."""

# ruff: noqa: S608 (names come from the database's own catalogue and are quoted; values are parameters)

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.errors import ExportError
from shared.frame import ALIASES, COLUMNS, REQUIRED

_PARTS = re.compile(r'"(?:[^"]|"")+"(?=\.|$)|[^.]+')
_PART = re.compile(r'"((?:[^"]|"")+)"|.+', re.DOTALL)


def find_columns(cursor: Any, table: str, configured: dict[str, str]) -> dict[str, str | None]:
    """Column of each field by name, alias or setting; None where an optional one is missing.

    Raises:
        ExportError: there is no such table for this user, or a required column is missing.
    """
    cursor.execute("SELECT to_regclass(%s)::text", (quoted_table(table),))
    if cursor.fetchone()[0] is None:
        cursor.execute("SELECT current_database()")
        raise ExportError(
            f"export: there is no table {table} in database {cursor.fetchone()[0]}; name the right one (schema.table), or "
            "make a view log_entries over yours"
        )
    cursor.execute(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped "
        "ORDER BY attnum",
        (quoted_table(table),),
    )
    there = [name for (name,) in cursor.fetchall()]
    lower = {name.lower(): name for name in reversed(there)}
    found: dict[str, str | None] = {}
    for field in COLUMNS:
        usual = [field, *(alias for alias, means in ALIASES.items() if means == field and alias != field)]
        wanted = [configured[field]] if field in configured else usual
        found[field] = next((lower[name.lower()] for name in wanted if name.lower() in lower), None)
        if found[field] is None and (field in REQUIRED or field in configured):
            raise ExportError(
                f"export: table {table} has no column for {field} (looked for {', '.join(wanted)}; there are "
                f"{', '.join(there) or 'none'}); make a view with that column"
            )
    return found


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def quoted_table(table: str) -> str:
    """`table` or `schema.table` as SQL writes it; a part with a dot in it is given as SQL does, in double quotes.

    Raises:
        ExportError: it has more parts than these two.
    """
    parts = [_PART.fullmatch(part) for part in _PARTS.findall(table)]
    names = [part[1].replace('""', '"') if part and part[1] else part[0] if part else "" for part in parts]
    if ".".join(part[0] for part in parts if part) != table:
        names = table.split(".")
    if not 1 <= len(names) <= 2 or not all(names):
        raise ExportError(
            f"export: {table!r} is no table; write table or schema.table, and a name with a dot in it in double quotes"
        )
    return ".".join(quoted(name) for name in names)


def copy_statement(
    table: str, names: Mapping[str, str | None], start_s: float, end_s: float, programs: tuple[str, ...]
) -> tuple[str, dict[str, object]]:
    """The COPY with its parameters: rows of [start, end) in order of time, in the columns of an export."""

    def column(field: str, otherwise: str = "NULL") -> str:
        name = names[field]
        return otherwise if name is None else quoted(name).replace("%", "%%")

    stamp = column("timestamp")
    shown = f"""to_char({stamp}::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
    host = f"coalesce({column('host')}::text, '-')"
    cells = [
        column("id", "row_number() OVER ()"),
        shown,
        host,
        column("program"),
        column("pid"),
        column("severity"),
        column("message"),
    ]
    where = f"isfinite({stamp}) AND {stamp}::timestamptz >= to_timestamp(%(start)s)"
    where += f" AND {stamp}::timestamptz < to_timestamp(%(end)s)"
    if programs:
        where += f" AND {column('program')}::text = ANY(%(programs)s)"
    source = quoted_table(table).replace("%", "%%")
    order = stamp if names["id"] is None else f"{stamp}, {column('id')}"
    select = f"SELECT {', '.join(cells)} FROM {source} WHERE {where} ORDER BY {order}"
    values: dict[str, object] = {"start": start_s, "end": end_s, "programs": list(programs)}
    return f"COPY ({select}) TO STDOUT WITH (FORMAT csv, ENCODING 'UTF8')", values
