"""`python -m bench.cluster`: a large export read with two workers of a Dask cluster on this machine, beside reading alone.

On one machine the workers share its cores with the processes that read anyway, so this shows what a cluster costs; what
several machines would save is told by the largest of 1 to 12 shares, read one after the other. In turn, medians.
"""

from __future__ import annotations

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.busy_log import write_busy_log
from bench.large import COPIES, WEEKS
from shared.agent import builtin_agents
from tests.dask_server import DaskCluster, find_dask
from tests.services import running
from trainer.cluster.connection import Dask
from trainer.cluster.team import ClusterTeam
from trainer.windows.reading import Share, Task, _dealt, read, read_share
from trainer.windows.source import Source

ROUNDS = 3
SHARES = (1, 2, 4, 6, 12)
WIFI = builtin_agents()["wifi"]
TICK = os.sysconf("SC_CLK_TCK")
Cost = tuple[float, float]  # (seconds, CPU seconds of all processes)


def main() -> None:
    """Run it."""
    table = Table(title="Reading with a cluster", title_justify="left")
    for heading in ("what", "figure", "beside reading alone"):
        table.add_column(heading)
    with tempfile.TemporaryDirectory(prefix="pipit-bench-") as folder:
        log = Path(folder) / "large.csv"
        rows = write_busy_log(log, copies=COPIES, weeks=WEEKS)
        os.chdir(folder)  # the workers have another working directory: below this path they find no export
        _compare(table, log, rows)
        _shares(table, log, rows)
    Console(width=150).print(table)


def _compare(table: Table, log: Path, rows: int) -> None:
    with running(DaskCluster(find_dask(), workers=2)) as cluster:
        ways: dict[str, Callable[[], object]] = {
            "alone": lambda: read(Source([log], None, None), WIFI, "salt"),
            "with two workers that see the export": lambda: _with(cluster, log),
            "with two workers that it is sent to": lambda: _with(cluster, Path("/proc/self/cwd") / log.name),
        }
        found: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                found[name].append(_cost(way, cluster))
    medians = {
        name: tuple(statistics.median(column) for column in zip(*one, strict=True)) for name, one in found.items()
    }
    seconds, cpu = medians["alone"]
    for name, (s, c) in medians.items():
        beside = f"{s / seconds:.2f} × the time, {c / cpu:.2f} × the CPU"
        table.add_row(f"{rows:,} rows {name}", f"{s:.1f} s, {c:.1f} s CPU", beside)


def _with(cluster: DaskCluster, log: Path) -> None:
    team = ClusterTeam(Dask(cluster.address, None))
    try:
        read(Source([log], None, None), WIFI, "salt", team=team)
    finally:
        team.close()


def _cost(work: Callable[[], object], cluster: DaskCluster) -> Cost:
    began, before = time.perf_counter(), _cpu(cluster)
    work()
    return time.perf_counter() - began, _cpu(cluster) - before


def _cpu(cluster: DaskCluster) -> float:
    """CPU seconds so far: of this process, of its helpers that have ended, of scheduler and workers."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    own = sum(one.ru_utime + one.ru_stime for one in both)
    assert cluster.process is not None
    for process in (cluster.process, *cluster.workers):
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        own += (int(fields[11]) + int(fields[12])) / TICK
    return own


def _shares(table: Table, log: Path, rows: int) -> None:
    """CPU of the largest of N shares: what the slowest of N equal processes would need."""
    task, largest = Task(WIFI, "salt", (), None), {}
    for of in SHARES:
        hosts, costs = _dealt(Source([log], None, None), of), []
        for number in range(of):
            before = time.process_time()
            read_share(Source([log], None, None), task, Share(number, of, hosts))
            costs.append(time.process_time() - before)
        largest[of] = max(costs)
    for of, cost in largest.items():
        table.add_row(
            f"the largest of {of} shares", f"{cost:.1f} s CPU, {cost / rows * 1e6:.1f} µs a row of the export",
            f"{largest[1] / cost:.1f} × as fast as one process, {largest[2] / cost:.1f} × as two",
        )  # fmt: skip


if __name__ == "__main__":
    main()
