"""A busy log out of the example's real one: the same lines of more clients, laid over each other in the same week.

Every copy gets its own addresses and a time shift of some seconds, so shapes and rhythm stay those of real daemons while
the rows a window rise to what a busy site writes.
"""

from __future__ import annotations

import csv
import gzip
import random
import re
from datetime import datetime, timedelta
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "wifi-train.csv.gz"
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}")


def write_busy_log(path: Path, copies: int, weeks: int = 1, seed: int = 1) -> int:
    """Write `copies` overlaid copies of the example week, `weeks` times in a row; gives the number of rows."""
    with gzip.open(EXAMPLE, "rt", encoding="utf-8", newline="") as file:
        rows = [(datetime.fromisoformat(row["timestamp"]), row) for row in csv.DictReader(file)]
    rng = random.Random(seed)
    shifts = [timedelta(seconds=rng.uniform(0, 200) if copy else 0) for copy in range(copies)]
    merged = [(time + shift, copy, row) for copy, shift in enumerate(shifts) for time, row in rows]
    merged.sort(key=lambda entry: entry[0])
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "timestamp", "host", "program", "pid", "severity", "message"])
        for week in range(weeks):
            for time, copy, row in merged:
                count += 1
                stamp = (time + timedelta(weeks=week)).isoformat()
                message = _of_copy(row["message"], copy)
                writer.writerow([count, stamp, row["host"], row["program"], row["pid"], row["severity"], message])
    return count


def _of_copy(message: str, copy: int) -> str:
    """The message with every address moved to the copy's own."""
    return _MAC.sub(lambda match: f"{match[0][:-2]}{(int(match[0][-2:], 16) + copy) % 256:02x}", message)
