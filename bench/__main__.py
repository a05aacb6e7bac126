"""`make bench`: the figures of docs/performance.md, each beside a peer or a floor measured in the same run.

Medians of several rounds that take turns, since machines are noisy; CPU seconds of the process where not said otherwise.
"""

from __future__ import annotations

import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bench.busy_log import EXAMPLE, write_busy_log
from bench.large import large
from bench.shipping import shipping
from shared.agent import builtin_agents
from shared.features import FeatureExtractor, windows
from shared.frame import open_export
from shared.judge import Judge
from shared.model import Model, load_model
from trainer.model_config import load_model_config
from trainer.pipeline import TrainReport, train

ROUNDS = 5
WIFI = builtin_agents()["wifi"]


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds that `work` takes in this process."""
    before = time.process_time()
    work()
    return time.process_time() - before


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Median CPU seconds of each, measured A B C, A B C, …"""
    seen: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            seen[name].append(cpu(work))
    return {name: statistics.median(times) for name, times in seen.items()}


def extraction(folder: Path, table: Table) -> None:
    """Rows to windows with the whole wifi agent, beside a loop that only reads the CSV; peak memory at ten times the rows."""
    small, large = folder / "small.csv", folder / "large.csv"
    rows = write_busy_log(small, copies=12)
    write_busy_log(large, copies=12, weeks=10)

    def floor() -> None:
        with small.open(newline="", encoding="utf-8") as file:
            for _ in csv.reader(file):
                pass

    def read() -> None:
        for _ in open_export(small).rows():
            pass

    counted: list[int] = []

    def extract() -> None:
        counted.append(sum(1 for _ in windows(open_export(small).rows(), FeatureExtractor(WIFI))))

    times = in_turn({"floor": floor, "read": read, "extract": extract})
    per_row = {name: seconds / rows * 1e6 for name, seconds in times.items()}
    what = f"{rows:,} rows, {rows / counted[0]:.0f} a window"
    table.add_row(
        "rows → windows", f"{per_row['extract']:.2f} µs CPU a row", f"csv.reader alone {per_row['floor']:.2f} µs", what
    )
    table.add_row(
        "  of which reading", f"{per_row['read']:.2f} µs", f"{per_row['read'] / per_row['floor']:.1f} × csv.reader", ""
    )
    peak = [_peak_mb(path) for path in (small, large)]
    table.add_row(
        "peak memory at 10 × rows",
        f"{peak[1]:.1f} MB",
        f"{peak[1] / peak[0]:.3f} × that of 1 × ({peak[0]:.1f} MB)",
        "≤ 1.1",
    )


def _peak_mb(path: Path) -> float:
    code = (
        "import sys;from pathlib import Path;from shared.memory import peak_bytes\n"
        "from shared.agent import builtin_agents;from shared.features import FeatureExtractor,windows\n"
        "from shared.frame import open_export\n"
        "for _ in windows(open_export(Path(sys.argv[1])).rows(),FeatureExtractor(builtin_agents()['wifi'])): pass\n"
        "print(peak_bytes() / 1e6)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return float(done.stdout)


def trained(table: Table) -> tuple[Model, TrainReport]:
    """Train on the example week."""
    reports: list[TrainReport] = []
    seconds = cpu(lambda: reports.append(train([EXAMPLE], WIFI, load_model_config())))
    facts = reports[0].facts
    table.add_row("train", f"{seconds:.1f} s CPU", "", f"{facts.rows:,} rows, {sum(facts.windows.values()):,} windows")
    size = sum(len(data) for name, data in reports[0].files.items() if name != "model.joblib") / 1000
    table.add_row(
        "bundle without model.joblib",
        f"{size:.0f} kB",
        f"scorer.npz {len(reports[0].files['scorer.npz']) / 1000:.0f} kB",
        "",
    )
    return load_model(reports[0].files), reports[0]


def scoring(model: Model, report: TrainReport, table: Table) -> None:
    """One window scored by the plain arrays and by the scikit-learn Pipeline that they were made from."""
    import io

    import joblib

    pipeline = joblib.load(io.BytesIO(report.files["model.joblib"]))
    switch = pipeline[-1]
    rng = np.random.default_rng(1)
    forest = model.forests["station"]
    z = rng.uniform(-1, 10, (1000, forest.median.size))
    rows = np.hstack([np.full((1000, 1), switch.roles.index("station")), z])
    difference = float(np.abs(forest.score(z) + pipeline.score_samples(rows)).max())
    one, one_row = z[:1], rows[:1]
    times = in_turn(
        {
            "plain": lambda: [forest.score(one) for _ in range(200)],
            "sklearn": lambda: [pipeline.score_samples(one_row) for _ in range(20)],
        }
    )
    plain, sklearn = times["plain"] / 200 * 1e3, times["sklearn"] / 20 * 1e3
    table.add_row(
        "one window scored",
        f"{plain:.3f} ms",
        f"scikit-learn {sklearn:.2f} ms: {sklearn / plain:.0f} ×",
        f"|Δ| {difference:.1e}",
    )
    explain = in_turn({"attribute": lambda: [forest.attribute(z[0]) for _ in range(200)]})["attribute"] / 200 * 1e3
    table.add_row("one window explained", f"{explain:.3f} ms", "", "path attribution")


def judging(model: Model, folder: Path, table: Table) -> None:
    """What a cycle computes for 200 rows of a busy network: rows added, windows closed, scored and judged."""
    rows = list(open_export(folder / "small.csv").rows())
    judge, times, closed = Judge(model), [], 0
    for start in range(40_000, 120_000, 200):
        span = rows[start : start + 200]
        before = time.process_time()
        for row in span:
            judge.add(row)
        closed += len(judge.close(span[-1][1] - 30))
        times.append((time.process_time() - before) * 1e3)
    note = f"{closed / len(times):.1f} windows judged each time"
    table.add_row("200 rows judged", f"{statistics.mean(times):.2f} ms CPU", "without fetching and storing", note)


def daemon(table: Table) -> None:
    """Resident memory of a serving daemon and the CPU of a cycle, measured by bench/daemon.py in a process of its own."""
    script = Path(__file__).parent / "daemon.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    if done.returncode:
        table.add_row("daemon", "not measured", done.stderr.strip().splitlines()[-1] if done.stderr else "", "")
        return
    for row in json.loads(done.stdout):
        table.add_row(*row)


def main() -> None:
    """Run everything and print one table."""
    table = Table(title="Pipit, measured on this machine", title_justify="left")
    for heading in ("what", "figure", "beside", "note"):
        table.add_column(heading)
    with tempfile.TemporaryDirectory(prefix="pipit-bench-") as folder:
        extraction(Path(folder), table)
        model, report = trained(table)
        scoring(model, report, table)
        judging(model, Path(folder), table)
    large(table)
    daemon(table)
    shipping(table)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
