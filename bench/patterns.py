"""What an agent's patterns cost a line, anchored and not: `python -m bench.patterns`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import re2

from shared.agent import builtin_agents
from shared.frame import open_export

EXPORT = Path(__file__).resolve().parents[1] / "examples" / "wifi-train.csv.gz"
ROUNDS = 3
MOST_LINES = 20_000


def cost_us(patterns: Sequence[str], lines: Sequence[bytes]) -> float:
    """Processor time of one line in µs, the best of a few rounds after one to warm up."""
    anchored = all(pattern.startswith("^") for pattern in patterns)
    found = re2.Set.MatchSet() if anchored else re2.Set.SearchSet()
    for pattern in patterns:
        found.Add(pattern)
    found.Compile()
    match, best = found.Match, float("inf")
    for _ in range(ROUNDS + 1):
        began = time.process_time()
        for line in lines:
            match(line)
        best = min(best, time.process_time() - began)
    return best / len(lines) * 1e6


def main() -> None:
    """Print a line for each set of patterns."""
    spec = builtin_agents()["wifi"]
    patterns = [pattern for event in spec.events for pattern in event.patterns]
    lines = [row[6].encode() for row, _ in zip(open_export(EXPORT).rows(), range(MOST_LINES), strict=False)]
    for title, some, few in (
        ("one pattern", patterns[:1], lines),
        (f"all {len(patterns)} of wifi", patterns, lines),
        ("all of them and one without ^", [*patterns, "odd thing"], lines),
        ("all of them, none with ^", [pattern.removeprefix("^") for pattern in patterns], lines[:2_000]),
    ):
        print(f"{title:<32} {cost_us(some, few):8.2f} µs a line")


if __name__ == "__main__":
    main()
