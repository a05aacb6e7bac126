"""The fenced blocks of the documents, and where each can be carried out.

```sh             on the laptop: executed in an empty folder with settings of its own, $PROJECT is the repository
```sh pi          on an installed Pi, as somebody with sudo: executed in a throw-away one
```sh database    where PostgreSQL is: executed on a real one
```sh by-hand     needs another machine, a person or a network: its shell grammar, commands and options are checked
```               not one of these: lines that call pipit-… or make are checked like by-hand
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One block: its document, line, words behind the fence, and text."""

    document: Path
    line: int
    kind: str
    text: str

    @property
    def name(self) -> str:
        """document:line, as a test's name."""
        return f"{self.document.name}:{self.line}"


def documents() -> list[Path]:
    """Everything that people read."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(kind: str | None = None) -> list[Block]:
    """The blocks of all documents, of one kind where given."""
    found = []
    for document in documents():
        text = document.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(Block(document, line, match[1].strip(), match[2]))
    return [block for block in found if kind is None or block.kind == kind]


def calls(block: Block) -> Iterator[tuple[str, list[str]]]:
    """(pipit-trainer, pipit-inference or make; its words) of each line that calls one of them."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    for raw in text.splitlines():
        line = re.sub(r"^\S+\$\s+", "", re.sub(r"\s+(#|…).*$", "", raw.strip()))
        for part in re.split(r"\s(?:&&|\|\||[|;])\s", line):
            match = re.match(r"(?:sudo )?(?:\S*/)?(pipit-trainer|pipit-inference|make)\b(.*)", part.strip())
            if match and not re.search(r"[\[\]|…]", match[2]):  # a grammar, not a call
                yield match[1], shlex.split(match[2].split(" > ")[0].split(" >> ")[0])
