"""What floods cost the daemon's judging: CPU and memory of each, in a child process of its own. Prints lines.

one host      1,000,000 lines of one host in one window, read from PostgreSQL through whole cycles
many hosts    400,000 different lines of 200 hosts in a window, six windows one after the other
made-up       100,000 host names in an hour
long          30,000 lines of 4,000 characters, all different, in each of six windows
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from inference import state  # noqa: E402 (the path must be set first: this runs as a script)
from inference.cycle import Limits, Standing, run_cycle  # noqa: E402
from inference.judging.judges import Judges  # noqa: E402
from inference.models import ModelSlot, Serving  # noqa: E402
from inference.postgres import PostgresSource  # noqa: E402
from inference.source import Cursor  # noqa: E402
from shared.judge import Judge  # noqa: E402
from shared.model import Model, load_model  # noqa: E402
from shared.values import Row  # noqa: E402
from tests.daemon_process import TABLE, train  # noqa: E402
from tests.postgres_server import PostgresServer, find_postgres  # noqa: E402
from tests.services import running  # noqa: E402

BEGIN, SPAN_S, LINES = 1_773_144_000.0, 300.0, 1_000_000
JOIN = "wlan0: STA 02:{:02x}:{:02x}:{:02x}:{:02x}:01 IEEE 802.11: authenticated"


def main() -> None:
    """Measure each and print it."""
    with (
        tempfile.TemporaryDirectory(prefix="pipit-bench-") as folder,
        running(PostgresServer(find_postgres())) as server,
    ):
        bundle = train(Path(folder)).bundle
        model = load_model({path.name: path.read_bytes() for path in bundle.iterdir() if path.name != "model.joblib"})
        dsn = flooded(server)
        apart("one host", lambda: from_table(model, dsn, Path(folder)))
        apart("many hosts", lambda: judged(model, [many(n) for n in range(6)]))
        apart("made-up", lambda: judged(model, [made_up(n) for n in range(12)]))
        apart("long", lambda: judged(model, [long(n) for n in range(6)]))


def apart(name: str, work: Callable[[], None]) -> None:
    """Do it in a child, and say what it added to the child's memory and how much CPU it took."""
    sys.stdout.flush()
    if child := os.fork():
        os.waitpid(child, 0)
        return
    before, began = resident_mb(), time.process_time()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{name:<12} CPU {time.process_time() - began:6.2f} s   memory +{max(0.0, peak - before):.0f} MB", flush=True)
    os._exit(0)


def flooded(server: PostgresServer) -> str:
    """A log table with the flood of one host; its DSN."""
    dsn = server.create_database()
    db = psycopg2.connect(dsn)
    mac = "'02:' || " + " || ':' || ".join(f"lpad(to_hex(k >> {shift} & 255), 2, '0')" for shift in (16, 8, 0))
    db.cursor().execute(TABLE)
    db.cursor().execute(
        f"INSERT INTO log_entries (timestamp, host, program, severity, message) SELECT to_timestamp({BEGIN} + {SPAN_S} * k /"
        f" {LINES + 1}), 'ap1', 'hostapd', 6, 'wlan0: STA ' || {mac} || ':01:01 IEEE 802.11: authenticated'"
        f" FROM generate_series(1, {LINES}) k"
    )
    db.commit()
    db.close()
    return dsn


def from_table(model: Model, dsn: str, folder: Path) -> None:
    """The daemon's cycles until the table is read."""
    kept, slot, source = state.State(state.connect(folder / "flood.db")), ModelSlot(), PostgresSource(dsn)
    slot.put(Serving("wifi", model.version, 1, "0" * 64, model, 0.0))
    judges, standing = Judges(slot, lambda serving: Judge(serving.model)), Standing(Cursor(0, 0), kept.open_incidents())
    drained = False
    while not drained:
        judges.refresh(source, standing.cursor, kept.memory)
        drained = run_cycle(source, judges, standing, kept, lambda _: None, time.time, Limits()).drained


def judged(model: Model, windows: list[Iterator[Row]]) -> None:
    """Rows of one window after the other."""
    judge = Judge(model)
    for number, rows in enumerate(windows, 1):
        for row in rows:
            judge.add(row)
        judge.close(BEGIN + number * SPAN_S)


def many(window: int, lines: int = 400_000, hosts: int = 200) -> Iterator[Row]:
    for k in range(lines):
        yield line(window, k, lines, f"ap{k % hosts}", JOIN.format(window, k >> 16, k >> 8 & 255, k & 255))


def made_up(window: int, lines: int = 8_333) -> Iterator[Row]:
    for k in range(lines):
        yield line(window, k, lines, f"host{window * lines + k}", JOIN.format(0, 0, 0, 1))


def long(window: int, lines: int = 30_000) -> Iterator[Row]:
    for k in range(lines):
        yield line(window, k, lines, "ap1", f"{JOIN.format(window, 0, k >> 8, k & 255)} {'x' * 3900}")


def line(window: int, k: int, lines: int, host: str, message: str) -> Row:
    return k, BEGIN + SPAN_S * (window + k / lines), host, "hostapd", "", 6, message


def resident_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
