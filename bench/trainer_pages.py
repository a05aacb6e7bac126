"""`python -m bench.trainer_pages`: how long the trainer's pages take, the first time and later, while it trains.

A served trainer (gunicorn, its worker, a training job in its child) is asked over HTTP on this machine by somebody who is
signed in: wall time of whole answers, so that waiting for a processor counts. `--json` for programs, `--idle` without the job.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.visitor import Get, signed_in
from tests import web_data, web_trainer
from tests.services import free_port
from tests.web_client import set_up
from trainer.config import Settings
from trainer.jobs import RUNNING, JobStore
from trainer.tasks.orders import TrainOrder
from trainer.web.app import create_app

EXAMPLE = Path(__file__).parent.parent / "examples" / "wifi-train.csv.gz"
ROUNDS = 9
LIMIT_MS = 50.0
PAGES = (
    "/train", "/fleet", "/", f"/models/wifi/{web_trainer.VERSION}", "/jobs/1", "/history", "/fetch", "/catch-up", "/settings",
    "/api-guide", "/api/v1/health", "/api/v1/models", "/api/v1/targets", "/api/v1/training/tasks",
)  # fmt: skip


@contextmanager
def served(folder: Path, working: bool) -> Iterator[Get]:
    """A trainer with something in it; `working`: while it trains on the example week, again and again."""
    settings = Settings(models_dir=web_trainer.fill(folder), state_dir=folder, exports_dir=folder / "exports")
    shutil.copy(EXAMPLE, settings.exports_dir / EXAMPLE.name)
    set_up(create_app(folder, models_dir=settings.models_dir, now=lambda: web_data.NOW))
    store = JobStore(folder)
    for number in range(8 if working else 0):
        store.submit(TrainOrder((EXAMPLE.name,), note=str(number)), "bench", time.time())
    bind = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ, "TRAINING_STATE_DIR": str(folder), "TRAINING_MODELS_DIR": str(settings.models_dir),
        "TRAINING_EXPORTS_DIR": str(settings.exports_dir), "TRAINING_BIND": bind,
    }  # fmt: skip
    server = subprocess.Popen([sys.executable, "-m", "trainer", "serve"], env=environment, stderr=subprocess.DEVNULL)
    try:
        yield signed_in(bind, lambda: not working or any(job.step == "learn" for job in store.listed(states=[RUNNING])))
    finally:
        server.terminate()
        server.wait(30)


def wall_ms(get: Get, path: str) -> float:
    """Milliseconds of one answer."""
    before = time.perf_counter()
    get(path)
    return (time.perf_counter() - before) * 1e3


def measure(working: bool) -> dict[str, tuple[float, float, float]]:
    """Page → first answer, median and worst of the later ones (ms)."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), working) as get:
        first = {path: wall_ms(get, path) for path in PAGES[1:]}
        first[PAGES[0]] = wall_ms(get, PAGES[0])
        seen: dict[str, list[float]] = {path: [] for path in PAGES}
        for _ in range(ROUNDS):
            for path in PAGES:
                seen[path].append(wall_ms(get, path))
    return {path: (first[path], statistics.median(times), max(times)) for path, times in seen.items()}


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--json", action="store_true")
    asked.add_argument("--idle", action="store_true")
    given = asked.parse_args()
    found = measure(not given.idle)
    if given.json:
        json.dump(
            {path: dict(zip(("first_ms", "ms", "worst_ms"), times, strict=True)) for path, times in found.items()},
            sys.stdout,
        )
        return
    table = Table(
        "page",
        "first answer",
        "later",
        "worst",
        title=f"the trainer's pages {'idle' if given.idle else 'while it trains'}",
    )
    for path, times in found.items():
        table.add_row(path, *(f"{each:.1f} ms" for each in times))
    Console().print(table)
    slow = [path for path, times in found.items() if times[1] > LIMIT_MS]
    print(f"over {LIMIT_MS:g} ms: {', '.join(slow) or 'none'}")


if __name__ == "__main__":
    main()
