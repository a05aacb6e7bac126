"""The part of a lock that another machine's Python wants, without its conditions: pip would judge them by the Python it runs on.

python deploy/pick_lock.py requirements-inference.lock 3.11.2 aarch64 > wanted.lock
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pip._vendor.packaging.markers import Marker


def pick(lock: str, python: str, machine: str) -> Iterator[str]:
    """The requirements, each with its hashes, whose conditions hold for that Python on Linux."""
    there = {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    for block in re.findall(r"^[^\s#].*(?:\n[ \t].*)*", lock, re.MULTILINE):
        first, _, hashes = block.partition("\n")
        requirement, _, marker = first.rstrip(" \\").partition(" ; ")
        if not marker or Marker(marker).evaluate(there):
            yield f"{requirement} \\\n{hashes}"


if __name__ == "__main__":
    print("\n".join(pick(Path(sys.argv[1]).read_text(encoding="utf-8"), sys.argv[2], sys.argv[3])))
