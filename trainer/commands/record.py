"""What the command line trained or measured, kept among the jobs, so that history and metrics know of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.errors import PipitError, StoreError
from trainer.jobs import CANCELLED, COMPLETED, FAILED, JobStore
from trainer.shipping.deliver import failure
from trainer.tasks.orders import EvaluateOrder, TrainOrder

logger = logging.getLogger(__name__)
BY = "command line"


@dataclass(slots=True)
class Run:
    """One run: the steps begun so far, and what came of it."""

    steps: Sequence[str]
    trail: list[list[Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    memory_bytes: int = 0

    def step(self, name: str) -> None:
        """Such a step is under way."""
        if not self.trail or self.trail[-1][0] != name:
            self.trail.append([name, time.time(), ""])

    def ended(self, result: Mapping[str, Any], memory_bytes: int = 0, is_listed: bool = True) -> None:
        """What came of it. A version of a models folder that the service does not list is not named."""
        self.result = {key: value for key, value in result.items() if is_listed or key not in ("version", "model_id")}
        self.memory_bytes = memory_bytes


@contextmanager
def recorded(state_dir: Path, order: TrainOrder | EvaluateOrder, steps: Sequence[str]) -> Iterator[Run]:
    """Keep what becomes of the block: done, failed, or stopped with Ctrl-C. A record that cannot be kept is a warning."""
    began, run = time.time(), Run(steps)
    state, error, code = FAILED, "", ""
    try:
        yield run
        state = COMPLETED
    except (KeyboardInterrupt, SystemExit):
        state = CANCELLED
        raise
    except PipitError as fault:
        code, error = failure(fault)
        raise
    except Exception as fault:
        code, error = "fault", f"{type(fault).__name__}: {fault}"
        raise
    finally:
        _keep(state_dir, order, run, began, state, error, code)


def _keep(
    state_dir: Path, order: TrainOrder | EvaluateOrder, run: Run, began: float, state: str, error: str, code: str
) -> None:
    said = {
        "steps": list(run.steps), "trail": run.trail, "step": str(run.trail[-1][0]) if run.trail else "",
        "share": 1.0 if state == COMPLETED else 0.0, "memory_bytes": run.memory_bytes, "error": error, "code": code,
        "result": run.result,
    }  # fmt: skip
    try:
        JobStore(state_dir.expanduser()).add_ended(order, BY, state, began, time.time(), said)
    except StoreError as fault:
        logger.warning("this run is not in the history: %s", fault)
