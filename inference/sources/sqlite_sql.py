"""The statements that read a SQLite log table, built from the names of its columns."""

# ruff: noqa: S608 (the names are quoted ones of the table itself; values are parameters)

from __future__ import annotations

from collections.abc import Mapping

from inference.source import MESSAGE_CHARS
from shared.frame import MAX_NAME


class Queries:
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
