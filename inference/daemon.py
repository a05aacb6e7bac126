"""The daemon: one process, one loop. It wakes by the clock, at a hint from the inbox, or at a signal."""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TextIO

from inference.config import Settings
from inference.schedule import Backoff, Every, InterruptedByWishError, Wake
from inference.service import Service
from inference.systemd import Notifier
from inference.watch import InboxWatch
from shared.errors import PipitError, SourceError, StoreError

logger = logging.getLogger(__name__)

LOOK_S = 1.0  # a click on the page is taken up within this
PRUNE_S = 6 * 3600.0
LOCK_PATIENCE_S = 0.5


@contextmanager
def one_daemon(path: Path) -> Iterator[None]:
    """Hold the state folder's lock; the kernel lets go of it when the process dies, however it dies.

    Raises:
        StoreError: another daemon holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a+", encoding="ascii") as lock:
        if not _locked(lock, LOCK_PATIENCE_S):
            lock.seek(0)
            raise StoreError(
                f"start: another daemon (pid {lock.read().strip() or 'unknown'}) works on {path.parent}; stop it first,"
                " or set another INFERENCE_STATE_DIR"
            )
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


def _locked(lock: TextIO, patience_s: float) -> bool:
    """Take the lock; a command that only looks whether somebody holds it is waited for, a daemon is not."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.02)
        else:
            return True


class Daemon:
    """Runs a Service until SIGTERM or SIGINT; SIGHUP reads the settings again."""

    def __init__(
        self,
        settings: Settings,
        env: Mapping[str, str],
        reload: Callable[[], Settings],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings, self._reload, self._clock = settings, reload, clock
        self.service = Service(settings, on_wait=self._look_up)
        self._wake = Wake()
        self._notifier = Notifier(env)
        self._watch = InboxWatch(settings.inbox_folder, self._hint)
        self._stopping = self._reloading = self._hinted = False
        self._cycle = Every(settings.interval_s, clock)
        self._poll = Every(settings.poll_s, clock)
        self._prune = Every(PRUNE_S, clock, due_at=clock() + PRUNE_S)
        self._backoff = Backoff(clock)
        self._doing = "starting"

    def run(self) -> None:
        """Serve until told to stop.

        Raises:
            StoreError: another daemon runs, or the state cannot be opened.
        """
        with one_daemon(self.settings.lock_file), self._signals():
            self._begin()
            while not self._stopping:
                self._step()
                self._notifier.alive(self._doing)
                self._wake.wait(self._pause_s())
            self._end()

    def stop(self, *_: object) -> None:
        """End the loop after the current step."""
        self._stopping = True
        self._wake.ring()

    def _begin(self) -> None:
        self.service.start()
        self._watch.refresh()
        self.service.publisher.show("starting", started=self.service.now(), last_error=None)
        logger.info(
            "daemon started pid=%d inbox=%s state=%s",
            os.getpid(),
            self.settings.inbox_folder,
            self.settings.state_folder,
        )
        self._notifier.ready(self._doing)

    def _step(self) -> None:
        """Whatever is due. The one broad except: whatever happens, the next wake-up gets its try."""
        try:
            if self._reloading:
                self._read_settings()
            if self._poll.due() or self._hinted or self.service.following.is_asked():
                self._hinted = False
                self._reconcile()
            if self._cycle.due() and self._backoff.ready():
                self._judge()
            if self._prune.due() and self.service.slot.all():
                logger.info("old verdicts deleted count=%d", self.service.prune())
            self.service.deliver()
        except InterruptedByWishError:
            self.service.forget()
        except SourceError as error:
            self._source_failed(error)
        except Exception as error:
            self._failed(error)

    def _reconcile(self) -> None:
        self._watch.refresh()
        if any(outcome.state in ("loaded", "good", "returned") for outcome in self.service.reconcile()):
            self._cycle.hurry()

    def _judge(self) -> None:
        report = self.service.cycle(self._beat)
        if report is None:
            self._say("waiting for a model")
            self.service.publisher.show(self._doing)
            self.service.publisher.write_metrics()
            return
        self._backoff.succeeded()
        if not report.drained:
            self._cycle.hurry()
        if report.windows and self.service.on_probation():
            self._hinted = True  # these windows may be the answer
        self._say("running")
        log = logger.info if report.windows or not report.drained else logger.debug
        log(
            "cycle done rows=%d windows=%d anomalies=%d late=%d lag_s=%.0f seconds=%.3f cpu_seconds=%.3f",
            report.rows, report.windows, report.anomalies, report.late, report.lag_s, report.seconds, report.cpu_seconds,
        )  # fmt: skip

    def _source_failed(self, error: SourceError) -> None:
        wait_s = self._backoff.failed()
        logger.warning("log source failed error=%s retry_in_s=%.1f", error, wait_s)
        self._say("waiting for the database")
        self.service.publisher.metrics.source_failed()
        self.service.alarms.source_failed(str(error), self.service.now())
        self.service.publisher.show(self._doing, source_error=str(error))
        self.service.publisher.show_live(None, error=str(error))
        self.service.publisher.write_metrics()
        self._cycle.hurry()

    def _failed(self, error: Exception) -> None:
        wait_s = self._backoff.failed()
        if isinstance(error, PipitError):
            logger.error("step failed error=%s retry_in_s=%.1f", error, wait_s)
        else:
            logger.error("unexpected error in the loop retry_in_s=%.1f", wait_s, exc_info=error)
        self.service.publisher.metrics.cycle_failed()
        self.service.forget()
        self.service.publisher.show(self._doing, last_error=f"{type(error).__name__}: {error}")
        self.service.publisher.write_metrics()
        self._cycle.hurry()

    def _read_settings(self) -> None:
        """SIGHUP: a new service from the settings as they are now; faulty settings leave the old ones."""
        self._reloading = False
        try:
            settings = self._reload()
            service = Service(settings, on_wait=self._look_up)
        except PipitError as error:
            logger.error("settings not taken, the old ones stay error=%s", error)
            return
        if settings.lock_file != self.settings.lock_file:
            logger.error("settings not taken: another state folder needs a restart folder=%s", settings.state_folder)
            service.close()
            return
        self._watch.stop()
        self.service.close()
        self.settings, self.service = settings, service
        self._watch = InboxWatch(settings.inbox_folder, self._hint)
        self._cycle, self._backoff = Every(settings.interval_s, self._clock), Backoff(self._clock)
        self._poll = Every(settings.poll_s, self._clock)
        self.service.start()
        logger.info("settings read again")

    def _pause_s(self) -> float:
        """How long nothing is due."""
        if self._hinted or self._reloading or self._stopping:
            return 0.0
        pauses = [LOOK_S, self._poll.left_s(), max(self._cycle.left_s(), self._backoff.left_s())]
        if self._notifier.watchdog_s:
            pauses.append(self._notifier.watchdog_s / 3)
        return min(pauses)

    def _say(self, doing: str) -> None:
        if doing != self._doing:
            logger.info("daemon is %s", doing)
        self._doing = doing

    def _beat(self) -> None:
        self._notifier.alive(self._doing)
        self._look_up()

    def _look_up(self) -> None:
        """A long cycle, or a database that does not answer, ends where somebody wants something else."""
        if self._stopping or self._reloading:
            raise InterruptedByWishError

    def _hint(self) -> None:
        """The inbox changed (called by the watcher's thread)."""
        self._hinted = True
        self._wake.ring()

    def _hang_up(self, *_: object) -> None:
        self._reloading = True
        self._wake.ring()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        handlers: dict[signal.Signals, Callable[[int, FrameType | None], None]] = {
            signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self._hang_up,
        }  # fmt: skip
        former = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def _end(self) -> None:
        self._notifier.stopping()
        self._watch.stop()
        self.service.publisher.show("stopped")
        self.service.publisher.show_live(None, running=False)
        self.service.close()
        logger.info("daemon stopped")
