"""A figure that stands in several documents is the same in all: who measures anew changes it everywhere, or a test says where."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "CHANGELOG.md", "docs/performance.md", "docs/detection.md", "docs/comparison.md")
# what → how each document writes it; the groups are the figure.
FIGURES = {
    "processor time of a row": r"([\d.]+) µs CPU a row",
    "csv.reader alone": r"`csv\.reader` alone ([\d.]+) µs",
    "memory of a long log": r"(?:memory flat at|peak memory at ten times the rows \|) ([\d.]+) MB",
    "one window scored": r"one window scored[^|]*\| ([\d.]+) ms",
    "one window by scikit-learn": r"scikit-learn ([\d.]+) ms in the same run",
    "from shipping to serving": r"(?:until it serves|publish → serving[^|]*) \| ([\d.]+) s",
    "a large training": r"training of 1[.,]5[^|.]*?(?:\|| takes) (\d+) s on two cores[^.]*?(\d+) MB",
    "a bundle": r"(?:take|fifth smaller \() ?(\d+) kB",
    "visible episodes found": r"(?:a log can show[^|]*\| |\*\*ours\*\*[^|]*\| )(\d+)(?: of |/)(\d+)",
    "silences found": r"(?:, and |\*\*ours\*\*[^|]*\|[^|]*\| )(\d+)(?: of |/)(\d+)(?: silences| \|)",
    "false incidents": r"(?:silences, |\*\*ours\*\*(?:[^|]*\|){3} )(\d+)(?: false| \|)",
    "host-weeks": r"(\d+) host-weeks[;.]",
}


@pytest.mark.parametrize("what", FIGURES)
def test_a_figure_is_the_same_wherever_it_stands(what: str) -> None:
    found = [
        (document, match.groups())
        for document in DOCUMENTS
        for match in re.finditer(FIGURES[what], (ROOT / document).read_text(encoding="utf-8"))
    ]
    assert len({document for document, _ in found}) > 1, f"{what} is told in one place only, or in other words: {found}"
    assert len({figure for _, figure in found}) == 1, found
