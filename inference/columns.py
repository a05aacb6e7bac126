"""Which column of somebody's log table is which field: found by name where obvious, else by setting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.errors import SourceError
from shared.frame import ALIASES, COLUMNS, REQUIRED


def find_columns(there: Iterable[str], configured: Mapping[str, str], table: str) -> dict[str, str | None]:
    """Column of each field, None where an optional one is missing.

    Raises:
        SourceError: a required column is missing, or a configured one does not exist.
    """
    names = list(there)
    lower = {name.lower(): name for name in reversed(names)}
    found: dict[str, str | None] = {}
    for field in COLUMNS:
        usual = [field, *(alias for alias, means in ALIASES.items() if means == field and alias != field)]
        wanted = [configured[field]] if field in configured else usual
        found[field] = next((lower[name.lower()] for name in wanted if name.lower() in lower), None)
        if found[field] is None and (field in ("id", *REQUIRED) or field in configured):
            raise SourceError(
                f"open log table {table}: no column for {field} (looked for {', '.join(wanted)}; there are:"
                f" {', '.join(names) or 'none'}); set INFERENCE_COLUMNS={field}=NAME, or make a view"
            )
    return found
