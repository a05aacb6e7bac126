"""What a serving daemon weighs and what a cycle costs: real PostgreSQL, real Redis, a trained model. Prints JSON rows.

resident    a daemon over PostgreSQL and Redis after it judged the example's live slice
cycle       CPU of one cycle that reads 200 fresh rows, and of one in which the windows of some 70 hosts end: judged and
            saved, in this process. A daemon that looks once a minute has four of the first for one of the second.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg2
from psycopg2.extras import execute_values

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.busy_log import EXAMPLE  # noqa: E402
from inference import state  # noqa: E402 (the path must be set first: this runs as a script)
from inference.cycle import CycleReport, Limits, Standing, run_cycle  # noqa: E402
from inference.judging.judges import Judges  # noqa: E402
from inference.models import ModelSlot, Serving  # noqa: E402
from inference.postgres import PostgresSource  # noqa: E402
from inference.source import Cursor, Head  # noqa: E402
from shared.frame import open_export  # noqa: E402
from shared.judge import Judge  # noqa: E402
from shared.model import load_model  # noqa: E402
from shared.values import Row, iso  # noqa: E402
from tests.daemon_process import DaemonProcess, Trained, example_rows, fill, train  # noqa: E402
from tests.postgres_server import PostgresServer, find_postgres  # noqa: E402
from tests.services import RedisServer, find_redis, running, wait_until  # noqa: E402

ROWS, SPANS, SPAN_S, DAY_S = 200, 288, 300, 86_400
FIRST_DAY = 1_773_100_800.0
INSERT = "INSERT INTO log_entries (id, timestamp, host, program, pid, severity, message) VALUES %s"


def main() -> None:
    """Measure both and print them."""
    with (
        tempfile.TemporaryDirectory(prefix="pipit-bench-") as folder,
        running(PostgresServer(find_postgres())) as server,
    ):
        model = train(Path(folder))
        table = [*resident(Path(folder), model, server), *cycles(Path(folder), model, server)]
    print(json.dumps(table))


def resident(folder: Path, model: Trained, server: PostgresServer) -> list[list[str]]:
    """Memory of the daemon's process as the kernel counts it: resident, and what is its alone."""
    dsn = server.create_database()
    fill(dsn, recent(example_rows()))
    with running(RedisServer(find_redis())) as redis:
        settings = {
            "INBOX": model.models, "ALLOWED_SIGNERS": model.allowed_signers, "INTERVAL_S": 0.2, "START": "all",
            "DATABASE_URL": dsn, "REDIS_URL": redis.url,
        }  # fmt: skip
        with daemon(DaemonProcess(folder / "pi", settings)) as pi:
            windows, cycles_later = served(pi)
            memory = rollup(pi)
    note = f"{windows} windows judged, {cycles_later} cycles later; aim ≤ 55 MB"
    return [["daemon resident", f"{memory['Rss']:.1f} MB", f"its own alone {memory['Private']:.1f} MB", note]]


@contextlib.contextmanager
def daemon(process: DaemonProcess) -> Iterator[DaemonProcess]:
    """Started, and ended by its pid."""
    process.start()
    try:
        yield process
    finally:
        process.kill(signal.SIGTERM)


def served(pi: DaemonProcess) -> tuple[int, int]:
    """Wait until everything is judged and some idle cycles have passed."""
    wait_until(lambda: bool(pi.status()) and pi.status()["last_day"]["windows"] > 0, "windows to be judged", 60)
    began = time.time()
    wait_until(lambda: (pi.status()["daemon"]["last_run"] or 0) > began + 5, "idle cycles", 60)
    return int(pi.status()["last_day"]["windows"]), 25


def rollup(pi: DaemonProcess) -> dict[str, float]:
    """Rss and Private (MB) of the daemon."""
    assert pi.process is not None
    sizes: dict[str, float] = {}
    for line in Path(f"/proc/{pi.process.pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, size = line.split()[:2]
        sizes[name.rstrip(":")] = int(size) * 1024 / 1e6
    return {"Rss": sizes["Rss"], "Private": sizes["Private_Clean"] + sizes["Private_Dirty"]}


def recent(rows: list[Row]) -> list[Row]:
    """The same rows, as if the last had come an hour ago."""
    shift = (time.time() - 3600 - rows[-1][1]) // 300 * 300
    return [(row[0], row[1] + shift, *row[2:]) for row in rows]


def cycles(folder: Path, model: Trained, server: PostgresServer) -> list[list[str]]:
    """CPU of cycles over 200 rows of one busy span each."""
    spans = busy()
    dsn = server.create_database()
    files = {path.name: path.read_bytes() for path in model.bundle.iterdir() if path.name != "model.joblib"}
    serving = Serving("wifi", model.bundle.name, 1, "0" * 64, load_model(files), 0.0)
    slot = ModelSlot()
    slot.put(serving)
    db = state.connect(folder / "bench.db")
    source = Stepping(PostgresSource(dsn), dsn, spans)
    kept, judges = state.State(db), Judges(slot, lambda each: Judge(each.model))
    standing = Standing(Cursor(0, 0), kept.open_incidents())

    def cycle() -> tuple[CycleReport, float]:
        judges.refresh(source, standing.cursor, kept.memory)
        before = time.process_time()
        report = run_cycle(source, judges, standing, kept, lambda report: None, lambda: source.now, Limits())
        return report, (time.process_time() - before) * 1e3

    reading, judging = [], []  # (rows, ms), (windows, ms)
    for number in range(SPANS):
        rows = source.step()
        _, read_ms = cycle()
        source.end_span()
        report, judge_ms = cycle()
        if number >= 10 and not report.anomalies and ROWS * 0.7 < rows < ROWS * 1.3:
            reading.append((rows, read_ms))
            judging.append((report.windows, judge_ms))
    (rows, read), (windows, judged) = (map(statistics.median, zip(*each, strict=True)) for each in (reading, judging))
    note = "fetched from PostgreSQL, folded into windows, cursor saved; aim ≤ 2 ms"
    return [
        [f"cycle that reads {rows:.0f} rows", f"{read:.2f} ms CPU", f"{read / rows * 1e3:.1f} µs a row", note],
        [
            f"cycle that ends {windows:.0f} windows", f"{judged:.2f} ms CPU", f"{judged / windows:.3f} ms a window",
            "no anomaly; judged and saved",
        ],
    ]  # fmt: skip


def busy() -> list[list[Row]]:
    """Spans of a busy network: the example's calm days of the week at once, its hosts again and again under other names."""
    spans: dict[int, list[Row]] = {}
    for row in open_export(EXAMPLE).rows():
        day, second = divmod(row[1], DAY_S)
        moved = (0, FIRST_DAY + second, f"{row[2]}-{day:.0f}", *row[3:])
        spans.setdefault(int(second // SPAN_S), []).append(moved)
    return [sorted(spans.get(n, []), key=lambda row: row[1]) for n in range(SPANS)]


class Stepping:
    """The table as it fills up, and a clock that stands at the newest row until the span is ended."""

    def __init__(self, source: PostgresSource, dsn: str, spans: list[list[Row]]) -> None:
        self._source, self._dsn, self._spans, self.now, self._id = source, dsn, iter(spans), 0.0, 0
        fill(dsn, [])
        self._writer = psycopg2.connect(dsn)

    def step(self) -> int:
        """One span more; how many rows it has."""
        rows = [(self._id + n, *row[1:]) for n, row in enumerate(next(self._spans), 1)]
        self._id += len(rows)
        if rows:
            values = [(row[0], iso(row[1]), *row[2:]) for row in rows]
            execute_values(self._writer.cursor(), INSERT, values, page_size=1000)
            self._writer.commit()
            self.now = rows[-1][1]
        return len(rows)

    def end_span(self) -> None:
        """Let the clock pass the end of the newest span and its grace."""
        self.now = (self.now // SPAN_S + 1) * SPAN_S + 31

    def head(self) -> Head:
        return replace(self._source.head(), now=self.now)

    def __getattr__(self, name: str) -> object:
        return getattr(self._source, name)


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
