"""One reading of exports by a cluster's workers: who has which share, and who takes it over from one that went away.

    workers ──▶ export there? ──no──▶ sent piece by piece ──▶ one share each ──▶ result
                      └───────yes────────────────────────────────▲          └▶ worker gone: the share waits again

It goes on in a thread of its own while this machine reads its own share.
"""

from __future__ import annotations

import contextlib
import logging
import pickle
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from shared.errors import PipitError, TrainingError
from trainer.cluster.exports import Engine, Exports, Running, offers_of
from trainer.cluster.worker import Order, read_share, renew, stop
from trainer.windows.gather import Gathered
from trainer.windows.reading import Share, Task
from trainer.windows.source import Source

logger = logging.getLogger(__name__)
POLL_S = 0.1  # between two looks at what is running
LOOK_S = 1.0  # between two looks at which workers there are
HEAR_S = 5.0  # between two questions to them how far they are, which also tell that this run still lives
NOBODY_S = 20.0  # without any worker: as long as one that died may take to start again
MOST_LOST = 3  # workers that may go away with the same share
SENDING = 0.3  # of a share is having the export there


class ClusterReading:
    """One reading, which begins at once. over: it has ended; found: share → what it gave, unless there is a `fault`.

    read: how much is done, 0 to 1.
    """

    def __init__(
        self, engine: Engine, run: str, usable: Callable[[], dict[str, str]],
        number: int, source: Source, task: Task, shares: Sequence[Share],
    ) -> None:  # fmt: skip
        """usable: gives address → machine of the workers that may be asked. number: of the reading, in this run."""
        self._engine, self._run, self._usable = engine, run, usable
        self._number, self._source, self._task = number, source, task
        self.over = threading.Event()
        self.found: dict[int, Gathered] = {}
        self.fault: BaseException | None = None
        self.read = 0.0
        self._many, self._waiting = len(shares), list(shares)
        self._running: dict[str, tuple[Share, Running]] = {}
        self._lost: Counter[int] = Counter()
        self._parts: dict[str, float] = {}  # worker → how much of its share it had read when it was asked last
        self._machines: Mapping[str, str] = {}
        self._nobody_since = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="pipit-cluster", daemon=True)
        self._thread.start()
        threading.Thread(target=self._hear, name="pipit-pulse", daemon=True).start()

    def end(self) -> None:
        """Stop it where it still goes on. May be called again."""
        self._ended.set()
        self._thread.join(HEAR_S)

    def _work(self) -> None:
        try:
            exports = Exports(self._engine, self._run, offers_of(self._source.paths))
            try:
                self._go_on(exports)
                self.read = self._done(1.0)
            finally:
                exports.close()
                self._stop_running()
        except BaseException as error:  # raised again where the result is asked for
            self.fault = error
        finally:
            self.over.set()

    def _go_on(self, exports: Exports) -> None:
        looked = -LOOK_S
        while self._waiting or self._running:
            if self._ended.is_set():
                return
            now = time.monotonic()
            if now - looked >= LOOK_S:
                looked = now
                self._look(exports)
            self._collect()
            self._hand_out(exports)
            self.read = max(self.read, self._done(exports.sent))
            if not exports.send(self._machines):
                self._ended.wait(POLL_S)

    def _look(self, exports: Exports) -> None:
        """Which workers there are; a share whose worker is gone waits for another one."""
        before, self._machines = self._machines, self._usable()
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
                f"train: all workers of the cluster {self._engine.address} went away; see their logs, "
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
            order = Order(folder, self._number, paths, self._source.start, self._source.end, self._task, share)
            data = pickle.dumps(order, protocol=5)
            self._running[worker] = share, self._engine.submit(read_share, data, worker=worker)

    def _hear(self) -> None:
        """In a thread of its own, since an answer of a worker that has just died takes half a minute not to come."""
        while not self.over.wait(HEAR_S):
            with contextlib.suppress(PipitError):  # a scheduler that is gone is seen by the other thread
                answers = self._engine.ask(renew, self._run, self._number, workers=list(self._machines))
                self._parts = {worker: part for worker, part in answers.items() if isinstance(part, float)}

    def _done(self, sent: float) -> float:
        begun = sum(SENDING + (1 - SENDING) * self._parts.get(worker, 0.0) for worker in self._running)
        return (len(self.found) + begun + SENDING * sent * len(self._waiting)) / self._many

    def _stop_running(self) -> None:
        if self._running:
            for _share, running in self._running.values():
                running.cancel()
            self._engine.ask(stop, self._run, self._number, workers=list(self._running))
