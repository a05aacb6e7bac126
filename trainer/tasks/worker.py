"""The one worker of a state folder: takes jobs from the queue and has each done by a child process.

A lock on a file of the state folder makes it the only one, however many services run; the lock falls with its holder,
and the next holder first puts right what the last one left. Lanes run side by side, jobs of a lane one by one.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.errors import StoreError
from trainer import exports, jobs
from trainer.config import Settings
from trainer.jobs import Job, JobStore
from trainer.tasks import orders
from trainer.tasks.child import COMMAND, Child, Limits

logger = logging.getLogger(__name__)
LOCK = "worker.lock"
POLL_S = 1.0  # how soon a job of another process, or a lock that became free, is seen
TOLD_S = 0.4  # between two notes of a running job
SHIP_LIMIT_S = 7 * 86_400  # a roll-out waits for probation, wave by wave, and for whoever paused it
CHECK_LIMIT_S = 900
UNCLEAR = "the service could not follow this job to its end; its log, and the log of the service, say more"


@dataclass
class Worker:
    """`start()` returns at once; `stop()` ends running children, whose jobs wait again or are marked interrupted."""

    settings: Settings
    store: JobStore
    now: Callable[[], float] = time.time
    command: Sequence[str] = COMMAND

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._bells = {lane: threading.Event() for lane in orders.LANES}
        self._threads: list[threading.Thread] = []
        self.leads = threading.Event()

    def start(self) -> None:
        """Wait for the lock in a thread of its own; then work."""
        self._thread("worker", self._lead)

    def wake(self) -> None:
        """There is a new job, or a wish to stop one: look at once."""
        for bell in self._bells.values():
            bell.set()

    def stop(self, timeout_s: float = 15.0) -> None:
        """End: no new jobs, running children are ended."""
        self._stop.set()
        self.wake()
        for thread in list(self._threads):
            thread.join(timeout_s)

    def stop_soon(self) -> None:
        """Ask for the end without waiting for it: safe in a signal handler."""
        self._stop.set()
        self.wake()

    def _thread(self, name: str, target: Callable[..., None], *values: object) -> None:
        thread = threading.Thread(target=target, args=values, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _lead(self) -> None:
        handle = self._locked()
        if handle is None:
            return
        try:
            self._put_right()
            self.leads.set()
            lanes = [threading.Thread(target=self._lane, args=(lane,), name=lane, daemon=True) for lane in orders.LANES]
            for thread in lanes:
                thread.start()
            for thread in lanes:
                thread.join()
        finally:
            os.close(handle)

    def _put_right(self) -> None:
        exports.sweep(self.settings.exports_dir)
        while not self._stop.is_set():
            try:
                for job in self.store.recover(self.now()):
                    logger.warning(
                        "job was cut short number=%d kind=%s attempts=%d", job.number, job.kind, job.attempts
                    )
                return
            except StoreError as error:
                logger.error("no jobs are done yet, their record cannot be read error=%s", error)
                self._stop.wait(POLL_S)

    def _locked(self) -> int | None:
        path = self.store.state_dir / LOCK
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while not self._stop.is_set():
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                self._stop.wait(POLL_S)
        os.close(handle)
        return None

    def _lane(self, lane: str) -> None:
        bell = self._bells[lane]
        job: Job | None = None
        while not self._stop.is_set():
            try:
                if job is not None:  # its end could not be noted
                    self.store.end(job.number, jobs.FAILED, self.now(), error=UNCLEAR, code="fault")
                job = self.store.claim(lane, self.now())
                if job is not None:
                    self._do(job, bell)
                    job = None
                    continue
            except Exception:
                logger.exception("a job could not be seen to its end lane=%s", lane)
            bell.wait(POLL_S)
            bell.clear()

    def _do(self, job: Job, bell: threading.Event) -> None:
        """One job from claim to end."""
        logger.info("job begun number=%d kind=%s agent=%s subject=%s", job.number, job.kind, job.agent, job.subject)
        with Child(job, self.settings, self.store.log_of(job), self._limits(job), self.command) as child:
            noted = 0.0
            while child.tick(TOLD_S if not bell.is_set() else 0.0):
                woken = bell.is_set()
                bell.clear()
                if self._stop.is_set():
                    child.end()
                    self.store.give_back(job, self.now())
                    return
                if child.news or woken or time.monotonic() - noted >= 1.0:
                    noted = time.monotonic()
                    if self.store.tell(job.number, self.now(), **child.told()):
                        child.end()
                        self.store.end(job.number, jobs.CANCELLED, self.now())
                        logger.info("job stopped number=%d", job.number)
                        return
            self._close(job, child)

    def _close(self, job: Job, child: Child) -> None:
        error, code = child.fault()
        now = self.now()
        said = {**child.told(), "error": error, "code": code, "result": child.result or {}}
        self.store.end(job.number, jobs.FAILED if error else jobs.COMPLETED, now, **said)
        seconds = now - (job.started or now)
        if error:
            logger.warning("job failed number=%d kind=%s seconds=%.1f error=%s", job.number, job.kind, seconds, error)
        else:
            logger.info("job done number=%d kind=%s seconds=%.1f", job.number, job.kind, seconds)

    def _limits(self, job: Job) -> Limits:
        longest = {"ship": SHIP_LIMIT_S, "look": CHECK_LIMIT_S}.get(job.lane, self.settings.max_training_time)
        return Limits(longest, self.settings.max_memory_usage)
