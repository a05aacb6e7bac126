"""docs/api.md lists every call that the code has."""

from __future__ import annotations

from tests.api_tables import DOCUMENT, tables, written


def test_the_tables_of_the_document_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert written(text) == text, "run `python -m tests.api_tables`"


def test_the_document_has_every_table() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [name for name in tables() if f"<!-- table: {name} -->" not in text] == []
