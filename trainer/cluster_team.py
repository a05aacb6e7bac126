"""A cluster's workers as a team that takes shares of a reading (`trainer/reading.py`).

    workers ──▶ same Pipit? ──▶ export there? ──no──▶ sent piece by piece
                                     └──yes──▶ one share each ──▶ result, or: worker gone ──▶ share to another one

All of it goes on in a thread of its own while this machine reads its own share. Each worker has one share at a time.
"""

from __future__ import annotations

import logging
import pickle
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from shared.errors import PipitError, TrainingError
from trainer.cluster_build import build
from trainer.cluster_exports import Engine, Exports, Running, offers_of
from trainer.cluster_worker import Order, leave, read_share, renew, stop
from trainer.gather import Gathered
from trainer.reading import Share, Task
from trainer.source import Source

logger = logging.getLogger(__name__)
POLL_S = 0.1  # between two looks at what is running
LOOK_S = 1.0  # between two looks at which workers there are
HEAR_S = 5.0  # between two questions to them how far they are, which also tell that this run still lives
NOBODY_S = 20.0  # without any worker: as long as one that died may take to start again
MOST_LOST = 3  # workers that may go away with the same share
SENDING = 0.3  # of a share is having the export sent, where that is needed


class ClusterTeam:
    """The workers that run the same Pipit as this machine. `close()` makes them forget the run."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.run = engine, secrets.token_hex(8)
        self._same: dict[str, bool] = {}
        self._why: dict[str, str] = {}  # worker → what it lacks
        self._reading: _Reading | None = None
        self._readings = 0

    def usable(self) -> dict[str, str]:
        """Address → machine of the workers that run the same Pipit."""
        there = self.engine.workers()
        new = [worker for worker in there if worker not in self._same]
        for worker, answer in self.engine.ask(build, workers=new).items() if new else ():
            if isinstance(answer, OSError):  # it went away, or is just starting
                continue
            failed = isinstance(answer, Exception)
            why = f"it does not have this Pipit ({answer})" if failed else answer.differs(build())
            self._same[worker] = not why
            if why:
                self._why[worker] = why
                logger.warning("a worker of the cluster is of no use worker=%s cause=%s", worker, why)
        return {worker: host for worker, host in there.items() if self._same.get(worker)}

    def size(self) -> int:
        """How many shares it takes now: one a worker. Raises TrainingError: there is no worker of use."""
        deadline = time.monotonic() + NOBODY_S
        while not (found := self.usable()):
            if self._why:
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
        self._reading = _Reading(self, self._readings, source, task, shares)
        return [_Part(self._reading, share.number, told) for share in shares]

    def done(self) -> float:
        """How much of the shares is read, 0 to 1. Raises TrainingError: they will not be."""
        if self._reading is None:
            return 0.0
        if isinstance(self._reading.fault, TrainingError):  # of the export itself this machine's reading says more
            raise self._reading.fault
        return self._reading.read

    def close(self) -> None:
        """Make the workers forget this run, and let go of the connection."""
        try:
            self.engine.ask(leave, self.run, workers=list(self.engine.workers()))
        except PipitError as error:
            logger.debug("the cluster is gone already error=%s", error)
        finally:
            self.engine.close()


class _Part:
    """One share of a reading that the cluster does."""

    def __init__(self, reading: _Reading, number: int, told: Callable[[], None]) -> None:
        self._reading, self._number, self._told = reading, number, told

    def result(self) -> Gathered:
        """What the share gave."""
        while not self._reading.over.wait(POLL_S):
            self._told()
        if self._reading.fault is not None:
            raise self._reading.fault
        return self._reading.found.pop(self._number)

    def end(self) -> None:
        """Nobody waits for it."""
        self._reading.end()


class _Reading:
    """One reading: who has which share. What goes wrong in its thread is kept as `fault`."""

    def __init__(self, team: ClusterTeam, number: int, source: Source, task: Task, shares: Sequence[Share]) -> None:
        self.team, self.number, self.source, self.task = team, number, source, task
        self.over = threading.Event()
        self.found: dict[int, Gathered] = {}
        self.fault: BaseException | None = None
        self.read = 0.0
        self._many, self._waiting = len(shares), list(shares)
        self._running: dict[str, tuple[Share, Running]] = {}
        self._lost: Counter[int] = Counter()
        self._machines: Mapping[str, str] = {}
        self._nobody_since = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipit-cluster", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop it where it still goes on. May be called again."""
        self._ended.set()
        self._thread.join(HEAR_S)

    def _run(self) -> None:
        try:
            exports = Exports(self.team.engine, self.team.run, offers_of(self.source.paths))
            try:
                self._go_on(exports)
            finally:
                exports.close()
                self._stop_running()
        except BaseException as error:  # raised again where the result is asked for
            self.fault = error
        finally:
            self.over.set()

    def _go_on(self, exports: Exports) -> None:
        looked = heard = -NOBODY_S
        while self._waiting or self._running:
            if self._ended.is_set():
                return
            now = time.monotonic()
            if now - looked >= LOOK_S:
                looked = now
                self._look(exports)
            self._collect()
            self._hand_out(exports)
            if now - heard >= HEAR_S:
                heard = now
                self._hear(exports)
            if not exports.send(self._machines):
                self._ended.wait(POLL_S)

    def _look(self, exports: Exports) -> None:
        """Which workers there are; a share whose worker is gone waits for another one."""
        before, self._machines = self._machines, self.team.usable()
        exports.forget(set(before) - set(self._machines))
        exports.look(self._machines)
        for worker in set(self._running) - set(self._machines):
            self._lose(worker, "it went away")
        if self._machines and set(exports.refused) >= set(self._machines):
            worker, why = next(iter(exports.refused.items()))
            raise TrainingError(f"train: no worker of the cluster can take the export; {worker}: {why}")
        if self._machines:
            self._nobody_since = time.monotonic()
        elif time.monotonic() - self._nobody_since > NOBODY_S:
            raise TrainingError(
                f"train: all workers of the cluster {self.team.engine.address} went away; see their logs, "
                "start them again and train again, or train without --cluster"
            )

    def _lose(self, worker: str, why: str) -> None:
        share, running = self._running.pop(worker)
        running.cancel()
        self._waiting.append(share)
        self._lost[share.number] += 1
        logger.warning("a worker of the cluster did not finish worker=%s share=%d cause=%s", worker, share.number, why)
        if self._lost[share.number] >= MOST_LOST:
            raise TrainingError(
                f"train: {MOST_LOST} workers of the cluster went away over the same share of the export; they may "
                "have run out of memory: see their logs, give them more (--memory-limit), or take fewer days of logs"
            )

    def _collect(self) -> None:
        for worker, (share, running) in list(self._running.items()):
            if not running.done():
                continue
            data = running.result()
            found = pickle.loads(data) if data else None  # noqa: S301  a cluster may run any code anyway
            if isinstance(found, PipitError):
                raise found
            if found is None:  # it went away, or heard nothing of this machine for a while, as when that sleeps
                self._lose(worker, "its result did not arrive")
                continue
            del self._running[worker]
            self.found[share.number] = found

    def _hand_out(self, exports: Exports) -> None:
        for worker, (folder, paths) in exports.held.items():
            if not self._waiting or worker in self._running or worker not in self._machines:
                continue
            share = self._waiting.pop(0)
            order = Order(folder, self.number, paths, self.source.start, self.source.end, self.task, share)
            data = pickle.dumps(order, protocol=5)
            self._running[worker] = share, self.team.engine.submit(read_share, data, worker=worker)

    def _hear(self, exports: Exports) -> None:
        answers = self.team.engine.ask(renew, self.team.run, self.number, workers=list(self._machines))
        parts = [answer for one, answer in answers.items() if one in self._running and isinstance(answer, float)]
        begun = sum(SENDING + (1 - SENDING) * part for part in parts)
        sent = SENDING * exports.sent * len(self._waiting)
        self.read = max(self.read, (len(self.found) + begun + sent) / self._many)

    def _stop_running(self) -> None:
        if self._running:
            for _share, running in self._running.values():
                running.cancel()
            self.team.engine.ask(stop, self.team.run, self.number, workers=list(self._running))
