"""A cluster's workers as a team that takes shares of a reading (`trainer/windows/reading.py`): one each, of the same Pipit."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence

from shared.errors import PipitError, TrainingError
from trainer.cluster.build import build
from trainer.cluster.exports import Engine
from trainer.cluster.reading import NOBODY_S, POLL_S, ClusterReading
from trainer.cluster.worker import leave
from trainer.windows.gather import Gathered
from trainer.windows.reading import Share, Task
from trainer.windows.source import Source

logger = logging.getLogger(__name__)
CLOSE_S = 5.0


class ClusterTeam:
    """The workers that run the same Pipit as this machine. `close()` makes them forget the run."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.run = engine, secrets.token_hex(8)
        self._why: dict[str, str] = {}  # worker → what keeps it from being of use; "": nothing
        self._reading: ClusterReading | None = None
        self._readings = 0

    def usable(self) -> dict[str, str]:
        """Address → machine of the workers that run the same Pipit."""
        there = self.engine.workers()
        self._why = {worker: why for worker, why in self._why.items() if worker in there}
        new = [worker for worker in there if worker not in self._why]
        for worker, answer in self.engine.ask(build, workers=new).items() if new else ():
            if isinstance(answer, OSError):  # it went away, or is just starting
                continue
            failed = isinstance(answer, Exception)
            why = f"it does not have this Pipit ({answer})" if failed else answer.differs(build())
            self._why[worker] = why
            if why:
                logger.warning("a worker of the cluster is of no use worker=%s cause=%s", worker, why)
        return {worker: host for worker, host in there.items() if self._why.get(worker) == ""}

    def size(self) -> int:
        """How many shares it takes now: one a worker. Raises TrainingError: there is no worker of use."""
        deadline = time.monotonic() + NOBODY_S
        while not (found := self.usable()):
            if self._why:  # some are there, and none is of use
                worker, why = next(iter(self._why.items()))
                raise TrainingError(
                    f"train: no worker of the cluster {self.engine.address} is of use; {worker}: {why}; "
                    "install the same release of Pipit there, and start its worker again"
                )
            if time.monotonic() > deadline:
                raise TrainingError(
                    f"train: the cluster {self.engine.address} has no workers; start some with "
                    f"`dask worker {self.engine.address}`, or train without --cluster"
                )
            time.sleep(POLL_S)
        return len(found)

    def begin(self, source: Source, task: Task, shares: Sequence[Share], told: Callable[[], None]) -> list[_Part]:
        """Have the shares read; returns at once."""
        self._readings += 1
        self._reading = ClusterReading(self.engine, self.run, self.usable, self._readings, source, task, shares)
        return [_Part(self._reading, share.number, told) for share in shares]

    def done(self) -> float:
        """How much of the shares is read, 0 to 1. Raises TrainingError: they will not be."""
        if self._reading is None:
            return 0.0
        if isinstance(self._reading.fault, TrainingError):  # of the export itself this machine's reading says more
            raise self._reading.fault
        return self._reading.read

    def close(self) -> None:
        """Make the workers forget this run, and let go of the connection. A cluster that hangs is not waited for."""
        leaving = threading.Thread(target=self._leave, name="pipit-leave", daemon=True)
        leaving.start()
        leaving.join(CLOSE_S)
        self.engine.close()

    def _leave(self) -> None:
        try:
            self.engine.ask(leave, self.run, workers=list(self.engine.workers()))
        except PipitError as error:
            logger.debug("the cluster is gone already error=%s", error)


class _Part:
    """One share of a reading that the cluster does."""

    def __init__(self, reading: ClusterReading, number: int, told: Callable[[], None]) -> None:
        self._reading, self._number, self._told = reading, number, told

    def result(self) -> Gathered:
        """What the share gave."""
        while not self._reading.over.wait(POLL_S):
            self._told()
        self._told()
        if self._reading.fault is not None:
            raise self._reading.fault
        return self._reading.found.pop(self._number)

    def end(self) -> None:
        """Nobody waits for it."""
        self._reading.end()
