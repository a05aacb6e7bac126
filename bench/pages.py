"""`python -m bench.pages`: server time of every page of a Pi that keeps 100,000 verdicts, beside a Pi that keeps few.

Then the resident memory of the web worker, under gunicorn, after it has shown them all to a browser's worth of requests.
A page is asked for through the application itself, signed in, without a network between; CPU seconds, medians of rounds in
which the pages take turns. `--json` for programs, `--verdicts N` for another amount.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flask.testing import FlaskClient
from rich.console import Console
from rich.table import Table

from bench.visitor import signed_in
from inference import state
from inference.incidents import Incidents
from inference.source import Cursor
from inference.web.app import create_app
from shared.values import Line, Moved, Verdict
from tests import web_data, web_more
from tests.services import free_port
from tests.web_client import with_session

NOW, SPAN_S, DAYS = web_data.NOW, 300.0, 7
ROUNDS = 9
FEATURES = {f"feature_{n}": 1.5 * n for n in range(24)}  # as many as a real window has, so that rows are as large
PAGES = (
    "/", "/?span=7d", "/incidents", "/incidents/1", "/models", f"/models/wifi/{web_data.ACTIVE}",
    f"/models/wifi/{web_data.PREVIOUS}/activate", "/agents", "/performance", "/notifications", "/transfers", "/settings",
    "/access", "/api-guide", "/api/v1/health", "/api/v1/status", "/api/v1/incidents", "/api/v1/verdicts",
)  # fmt: skip


def verdicts(count: int, hosts: int, chance: random.Random) -> Iterator[list[Verdict]]:
    """A week of windows of so many hosts, span by span; one in a thousand is an anomaly."""
    spans = -(-count // hosts)
    last = NOW // SPAN_S * SPAN_S
    for n in range(spans, 0, -1):
        start = last - n * (DAYS * 86_400 / spans // SPAN_S * SPAN_S or SPAN_S)
        yield [_verdict(f"host-{host:03d}", start, chance) for host in range(hosts)]


def _verdict(host: str, start: float, chance: random.Random) -> Verdict:
    strange = chance.random() < 0.001
    lines = (
        (Line(start, "hostapd", "wlan0: AP-STA-POSSIBLE-PSK-MISMATCH 06:58:23:99:05:bf", True),) * 20 if strange else ()
    )
    return Verdict(
        "wifi", host, start, start + SPAN_S, "station", chance.randint(1, 30), 0.4,
        9_000.0 if strange else 1 + 300 * chance.random() ** 3,
        strange, "psk_bruteforce" if strange else None, "critical" if strange else None, 0.9 if strange else None,
        "Somebody is guessing the WiFi password (89 attempts)" if strange else "", FEATURES,
        (Moved("psk_attempts", 136.0, 0.0, 2.0, 1.9),) * 6 if strange else (), web_data.ACTIVE, "model", lines,
    )  # fmt: skip


def fill(folder: Path, count: int, hosts: int = 50) -> None:
    """A Pi's state with `count` verdicts, through the daemon's own writer."""
    web_data.fill(folder, days=0.05)
    web_more.fill_more(folder)
    db, incidents, chance = state.connect(folder / "state.db"), Incidents(), random.Random(5)
    keeper = state.State(db)
    batch: list[Verdict] = []
    for span in verdicts(count, hosts, chance):
        batch += span
        if len(batch) >= 5_000:
            keeper.commit(Cursor(0, 1), batch, {}, incidents, {"wifi": batch[-1].window_end}, NOW)
            batch = []
    keeper.commit(Cursor(0, 1), batch, {}, incidents, {"wifi": NOW}, NOW)
    db.close()


def a_client(folder: Path) -> FlaskClient:
    """Somebody who is signed in."""
    return with_session(create_app(folder, now=lambda: NOW, place="pi-attic"))


def cpu_of(client: FlaskClient, path: str) -> float:
    """CPU seconds of one answer."""
    before = time.process_time()
    answer = client.get(path)
    took = time.process_time() - before
    if answer.status_code != 200:
        raise SystemExit(f"{path} answers {answer.status_code}")
    return took


def measure(client: FlaskClient) -> dict[str, tuple[float, float]]:
    """Page → (first answer, median of the later ones), CPU seconds."""
    first = {path: cpu_of(client, path) for path in PAGES}
    seen: dict[str, list[float]] = {path: [] for path in PAGES}
    for _ in range(ROUNDS):
        for path in PAGES:
            seen[path].append(cpu_of(client, path))
    return {path: (first[path], statistics.median(times)) for path, times in seen.items()}


def worker_mb(folder: Path) -> float:
    """Resident memory of the web worker after every page, three times; MB."""
    bind = f"127.0.0.1:{free_port()}"
    environment = {**os.environ, "INFERENCE_STATE_DIR": str(folder), "INFERENCE_BIND": bind}
    server = subprocess.Popen([sys.executable, "-m", "inference", "web"], env=environment, stderr=subprocess.DEVNULL)
    try:
        get = signed_in(bind)
        for path in PAGES * 3:
            get(path)
        (worker,) = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{worker}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0
    finally:
        server.terminate()
        server.wait(30)


def main() -> None:
    """Fill, measure, print."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--verdicts", type=int, default=100_000)
    asked.add_argument("--json", action="store_true")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        many, few = Path(folder, "many"), Path(folder, "few")
        many.mkdir()
        few.mkdir()
        fill(many, given.verdicts)
        fill(few, 1_000)
        small, large = measure(a_client(few)), measure(a_client(many))
        resident = worker_mb(many)
    if given.json:
        told = {
            path: {"first_ms": a * 1e3, "ms": b * 1e3, "ratio": b / small[path][1]} for path, (a, b) in large.items()
        }
        json.dump({"pages": told, "worker_mb": resident}, sys.stdout, indent=1)
        return
    table = Table(
        "page", "first answer", "later answers", "with 1,000 verdicts", "ratio", title=f"{given.verdicts:,} verdicts"
    )
    for path, (begun, usual) in large.items():
        base = small[path][1]
        table.add_row(
            path, f"{begun * 1e3:.1f} ms", f"{usual * 1e3:.1f} ms", f"{base * 1e3:.1f} ms", f"{usual / base:.1f}"
        )
    Console().print(table)
    print(f"the web worker holds {resident:.0f} MB after three rounds of all pages")


if __name__ == "__main__":
    main()
