"""Which column of somebody's log table is which field: found by name where obvious, else by setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.errors import SourceError
from shared.frame import ALIASES, COLUMNS, REQUIRED

IDS = ("id", "log_id", "row_id", "entry_id", "event_id", "seq")  # what people call a number that grows
WHOLE = ("smallint", "integer", "bigint")
MOMENTS = ("timestamp with time zone", "timestamp without time zone", "date")


def find_columns(there: Iterable[str], configured: Mapping[str, str], table: str) -> dict[str, str | None]:
    """Column of each field, None where an optional one is missing.

    `there` are the columns, with their types where it is a mapping: an `id` that does not grow then yields to another.

    Raises:
        SourceError: a required column is missing, or a configured one does not exist.
    """
    names = list(there)
    types = there if isinstance(there, Mapping) else {}
    lower = {name.lower(): name for name in reversed(names)}
    found: dict[str, str | None] = {}
    for field in COLUMNS:
        usual = [field, *(alias for alias, means in ALIASES.items() if means == field and alias != field)]
        if field == "id":
            usual = sorted(IDS, key=lambda name: types.get(lower.get(name, ""), WHOLE[0]) not in WHOLE)
        wanted = [configured[field]] if field in configured else usual
        found[field] = next((lower[name.lower()] for name in wanted if name.lower() in lower), None)
        if found[field] is None and (field in ("id", *REQUIRED) or field in configured):
            raise SourceError(
                f"open log table {table}: no column for {field} (looked for {', '.join(wanted)}; there are:"
                f" {', '.join(names) or 'none'}); set INFERENCE_COLUMNS={field}=NAME, or make a view"
            )
    return found


def check_types(columns: Mapping[str, str | None], types: Mapping[str, str], table: str) -> None:
    """Refuse columns that rows cannot be read in order of, before the database does so in words of its own.

    Raises:
        SourceError: the id is no whole number, or the timestamp no moment.
    """
    row_id, stamp = str(columns["id"]), str(columns["timestamp"])
    if types[row_id] not in WHOLE:
        raise SourceError(
            f"open log table {table}: its column {row_id} is {types[row_id]}, and rows are read in the order of a whole number"
            f" that grows; ALTER TABLE {table} ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY, and an index on it"
            " (it is found by its name, or by INFERENCE_COLUMNS=id=NAME)"
        )
    if types[stamp] not in MOMENTS:
        cast = f"to_timestamp({stamp})" if types[stamp] in (*WHOLE, "numeric", "real", "double precision") else stamp
        view = f"CREATE VIEW pipit_rows AS SELECT *, {cast}::timestamptz AS moment FROM {table}"  # noqa: S608 (words for people)
        raise SourceError(
            f"open log table {table}: its column {stamp} is {types[stamp]}, and timestamptz (or timestamp, in UTC) is needed;"
            f" make a view: {view}, and set INFERENCE_TABLE=pipit_rows INFERENCE_COLUMNS=timestamp=moment"
        )
