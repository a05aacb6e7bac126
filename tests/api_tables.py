"""The tables of docs/api.md, from the sites' own lists of operations: `python -m tests.api_tables` rewrites them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from inference.web import api as pi
from shared.web.openapi import CONVERTERS, Operation
from trainer.web import api as trainer

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "api.md"


def tables() -> dict[str, str]:
    """Every table of the document by the name in its markers."""
    return {"pi": "\n".join(_part(pi.OPERATIONS)), "trainer": "\n".join(_part(trainer.operations(0)))}


def written(text: str) -> str:
    """The document with every table between its markers made anew."""
    made = tables()

    def fill(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{made[match[1]]}\n<!-- end -->" if match[1] in made else match[0]

    return re.sub(r"<!-- table: ([a-z-]+) -->\n.*?<!-- end -->", fill, text, flags=re.DOTALL)


def _part(operations: Iterable[Operation]) -> Iterable[str]:
    tag = ""
    for each in operations:
        if each.tag != tag:
            tag = each.tag
            yield from ("", f"**{tag}**", "", "| call | needs | what it does |", "| --- | --- | --- |")
        path = CONVERTERS.sub(r"{\g<name>}", each.path)
        needs = "nothing" if each.is_public else "read" if each.is_read else "admin"
        summary = each.summary.replace("|", "\\|")
        yield f"| `{each.method} {path}` | {needs} | {summary} |"


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
