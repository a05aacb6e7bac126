"""The parts of docs/agents.md that are held against the code: its tables, its blocks, and the example's file."""

from __future__ import annotations

import re
from pathlib import Path

from tests.doc_blocks import ROOT, blocks

PAGE = ROOT / "docs" / "agents.md"
EXAMPLE = ROOT / "examples" / "agents"
_TABLE = re.compile(r"<!-- (?P<what>[a-z: ]+) -->\n(?P<rows>(?:\|.*\n)+)<!-- end -->")
_CELL = re.compile(r"(?<!\\)\|")


def tables(what: str) -> list[list[list[str]]]:
    """The cells of every table that is marked so, head and rule left out."""
    text = PAGE.read_text(encoding="utf-8")
    found = [match["rows"] for match in _TABLE.finditer(text) if match["what"] == what]
    return [[cells(row) for row in rows.splitlines()[2:]] for rows in found]


def table(what: str) -> list[list[str]]:
    """The rows of all tables that are marked so."""
    return [row for rows in tables(what) for row in rows]


def cells(row: str) -> list[str]:
    """A row's cells."""
    return [cell.strip() for cell in _CELL.split(row.strip().strip("|"))]


def code(cell: str) -> str:
    """The code that a cell begins with: `lines()`."""
    match = re.match(r"`([^`]+)`", cell)
    assert match, f"no code in {cell!r}"
    return match[1]


def page_blocks(kind: str) -> list[str]:
    """The page's fenced blocks of a kind."""
    return [block.text for block in blocks(kind) if block.document == PAGE]


def lines_table() -> list[list[str]]:
    """The table of lines, events and fields."""
    text = PAGE.read_text(encoding="utf-8").split("| line | event | fields |\n")[1]
    rows = text.split("\n\n")[0].splitlines()[1:]
    return [cells(row) for row in rows]


def first_file() -> bytes:
    """The agent file that the page's first command writes."""
    match = re.search(
        r"cat > agents/dhcp\.yaml <<'END'\n(.*?)^END$", page_blocks("sh run")[0], re.DOTALL | re.MULTILINE
    )
    assert match
    return match[1].encode()


def week() -> Path:
    """The calm week."""
    return EXAMPLE / "dhcp-week.csv.gz"
