"""Limits of a training run: over its time or memory it ends with a clear error and does not take the machine down."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from shared.errors import TrainingError


@contextmanager
def limited(time_s: int, memory_mb: int) -> Iterator[None]:
    """Run the block within `time_s` seconds of wall time and `memory_mb` megabytes of data. Main thread only.

    Raises:
        TrainingError: a limit was reached; the message names the setting.
    """

    def too_long(_signal: int, _frame: FrameType | None) -> None:
        raise TrainingError(
            f"training: not done after {time_s} s, the limit of TRAINING_MAX_TRAINING_TIME; "
            "raise it, or train on fewer days (--start-date)"
        )

    before = signal.signal(signal.SIGALRM, too_long)
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = memory_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    signal.setitimer(signal.ITIMER_REAL, time_s)
    try:
        yield
    except MemoryError as error:
        raise TrainingError(
            f"training: more than {memory_mb} MB needed, the limit of TRAINING_MAX_MEMORY_USAGE; "
            "raise it, or train on fewer days (--start-date)"
        ) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
