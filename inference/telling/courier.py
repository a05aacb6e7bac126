"""The daemon's side of notifications: starts the child that empties the outbox, and never waits for it."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from inference.telling import outbox

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "inference.notify")  # -P: nothing is imported from where somebody stands
PATIENCE_S = 120.0  # then the child is ended, and its messages are tried again
PAUSE_S = 1.0  # between two children


class Courier:
    """At most one child at a time."""

    def __init__(
        self,
        db: sqlite3.Connection,
        env: Mapping[str, str],
        command: Sequence[str] = COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db, self._env, self._command, self._clock = db, dict(env), list(command), clock
        self._child: subprocess.Popen[bytes] | None = None
        self._began = -PAUSE_S

    def look(self, now: float) -> bool:
        """See to the child: end one that hangs, start one where messages are due; whether one runs now."""
        if self._child is not None and self._child.poll() is None:
            if self._clock() - self._began > PATIENCE_S:
                logger.warning("notifications hang, the child is ended pid=%d", self._child.pid)
                self.stop()
            return self._child is not None
        self._child = None
        if self._clock() - self._began < PAUSE_S:
            return False
        next_due = outbox.next_due(self._db)
        if next_due is None or next_due > now:
            return False
        return self._start()

    def _start(self) -> bool:
        self._began = self._clock()
        try:
            self._child = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=self._env,
                start_new_session=True,
            )
        except OSError as error:
            logger.warning("the child that sends notifications does not start error=%s", error)
        return self._child is not None

    def wait(self, seconds: float) -> None:
        """Wait for the child, if one runs."""
        if self._child is not None:
            try:
                self._child.wait(seconds)
            except subprocess.TimeoutExpired:
                logger.warning("notifications are not sent yet pid=%d", self._child.pid)

    def stop(self) -> None:
        """End the child, if there is one, with all that it started."""
        child, self._child = self._child, None
        if child is not None and child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
