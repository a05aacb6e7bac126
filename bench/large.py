"""`python -m bench.large`: a training of 1.5 million rows, beside only making the windows of the same export.

Both as processes of their own, in turn; seconds by the clock, CPU seconds with all helpers, and the largest process.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.busy_log import write_busy_log

ROUNDS = 3
COPIES, WEEKS = 15, 4
EXTRACT = """
import sys; from pathlib import Path
from shared.agent import builtin_agents; from shared.features import FeatureExtractor, windows
from shared.frame import open_export; from shared.memory import peak_bytes
for _ in windows(open_export(Path(sys.argv[1])).rows(), FeatureExtractor(builtin_agents()["wifi"])): pass
"""
TRAIN = """
import sys; from pathlib import Path
from shared.agent import builtin_agents; from shared.memory import peak_bytes
from trainer.model_config import load_model_config; from trainer.pipeline import train
train([Path(sys.argv[1])], builtin_agents()["wifi"], load_model_config())
"""
FIGURES = """
import resource
both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(sum(one.ru_utime + one.ru_stime for one in both), peak_bytes() / 1e6)
"""


def large(table: Table) -> None:
    """Add the rows of this benchmark."""
    with tempfile.TemporaryDirectory(prefix="pipit-bench-") as folder:
        log = Path(folder) / "large.csv"
        rows = write_busy_log(log, copies=COPIES, weeks=WEEKS)
        measured = [(_run(EXTRACT, log), _run(TRAIN, log)) for _ in range(ROUNDS)]
    extract, train = (_medians([pair[i] for pair in measured]) for i in (0, 1))
    table.add_row(
        f"train on {rows:,} rows", f"{train[0]:.1f} s, {train[1]:.1f} s CPU, {train[2]:.0f} MB",
        f"windows alone {extract[0]:.1f} s: {train[0] / extract[0]:.1f} × the time, {train[1] / extract[1]:.1f} × the CPU",
        "with evaluation on held-out days",
    )  # fmt: skip


def _run(code: str, log: Path) -> tuple[float, float, float]:
    """(seconds, CPU seconds, peak MB) of a process."""
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code + FIGURES, str(log)], capture_output=True, text=True, check=True)
    cpu, peak = done.stdout.split()[-2:]
    return time.perf_counter() - before, float(cpu), float(peak)


def _medians(figures: Sequence[tuple[float, float, float]]) -> tuple[float, float, float]:
    seconds, cpu, peak = (statistics.median(column) for column in zip(*figures, strict=True))
    return seconds, cpu, peak


def main() -> None:
    """Run it alone."""
    table = Table(title="A large export", title_justify="left")
    for heading in ("what", "figure", "beside", "note"):
        table.add_column(heading)
    large(table)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
