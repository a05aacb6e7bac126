"""Work that somebody may end at any moment: it runs in threads of its own, and is asked to stop where it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

GRACE_S = 2.5  # what does not end by then is left to itself, and ends with the process
PARALLEL = 16

T = TypeVar("T")


def all_of(
    works: Sequence[Callable[[], T]], stop: threading.Event, left: Callable[[int], None] = lambda _number: None
) -> list[T]:
    """Do these at the same time, at most 16 at once; gives what each gave, in their order.

    Ctrl-C and the end of the process (KeyboardInterrupt, SystemExit) set `stop`, wait a moment for the works to see it,
    and go on from here; `left` gets the numbers of those that have not ended by then. What a work raises is raised when
    all are done.
    """
    found: dict[int, T] = {}
    faults: list[BaseException] = []
    slots = threading.BoundedSemaphore(PARALLEL)
    # not Thread.join: one that an interrupt ends takes the thread for stopped from then on
    done = [threading.Event() for _ in works]

    def do(number: int, work: Callable[[], T]) -> None:
        with slots:
            try:
                found[number] = work()
            except BaseException as error:  # it is raised where somebody waits for it
                faults.append(error)
            finally:
                done[number].set()

    for number, work in enumerate(works):
        threading.Thread(target=do, args=(number, work), daemon=True).start()
    try:
        for each in done:
            each.wait()
    except (KeyboardInterrupt, SystemExit):
        stop.set()
        until = time.monotonic() + GRACE_S
        for number, each in enumerate(done):
            if not each.wait(max(0.0, until - time.monotonic())):
                left(number)
        raise
    if faults:
        raise faults[0]
    return [found[number] for number in range(len(works))]
