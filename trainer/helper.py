"""Work that another process of this machine does meanwhile: `python -m trainer.helper`, the order on its stdin.

A fork would copy scikit-learn's memory and threads, so a helper is begun anew; `-P`: it takes nothing from the folder that
somebody stands in. It lives no longer than its stdin is open.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from shared.errors import PipitError, TrainingError
from trainer.watched import Cancelled, Progress, no_check, no_progress, part

COMMAND = (sys.executable, "-P", "-m", "trainer.helper")
LOOK_EVERY_S = 0.5

Found = TypeVar("Found")
Work = Callable[[Cancelled, Progress], Found]  # a function of a module, or a partial of one


class Helper(Generic[Found]):
    """A process with one piece of work, which may take and give what can be pickled.

    what: for the error, as in "a process that reads the export".
    """

    def __init__(self, work: Callable[[], Found], what: str) -> None:
        self._what, self._answered = what, False
        self._process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        threading.Thread(target=self._order, args=(pickle.dumps(work, protocol=5),), daemon=True).start()

    def _order(self, work: bytes) -> None:
        """It takes the order once its libraries are loaded, for which nobody should wait."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # one that is gone is seen at its result
            self._process.stdin.write(work)
            self._process.stdin.flush()

    def result(self, check: Cancelled = no_check) -> Found:
        """What it found; waits for it. Raises what it raised, what `check` raises, or TrainingError: it was ended."""
        assert self._process.stdout is not None
        while not select.select([self._process.stdout], [], [], LOOK_EVERY_S)[0]:
            check()
        try:
            found = pickle.load(self._process.stdout)  # noqa: S301  it is our own process that writes here
        except (EOFError, pickle.UnpicklingError):
            code = self._process.wait()
            why = (
                "the machine may have run out of memory: take fewer days of logs" if code < 0 else "see its last words"
            )
            raise TrainingError(f"train: a process that {self._what} was ended (exit code {code}); {why}") from None
        self._answered = True
        if isinstance(found, PipitError):
            raise found
        result: Found = found
        return result

    @property
    def busy(self) -> bool:
        """Whether it still works: it neither ended nor began to answer."""
        assert self._process.stdout is not None
        return (
            not self._answered
            and self._process.poll() is None
            and not select.select([self._process.stdout], [], [], 0)[0]
        )

    def end(self) -> None:
        """End it where it still runs."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


class Helpers:
    """Pieces of work, done by `processes` processes together, of which this is one. For `with`: all end at its end."""

    def __init__(self, processes: int, what: str, check: Cancelled = no_check) -> None:
        self._most, self._what, self._check = processes - 1, what, check
        self._helpers: list[Helper[Any]] = []

    def __enter__(self) -> Helpers:
        return self

    def __exit__(self, *_: object) -> None:
        for helper in self._helpers:
            helper.end()

    def begin(self, work: Work[Found], progress: Progress = no_progress) -> Callable[[], Found]:
        """Have it done meanwhile; here, at once, where all others are busy. Gives what waits for the result."""
        if sum(helper.busy for helper in self._helpers) >= self._most:
            found = work(self._check, progress)
            return lambda: found
        helper = Helper(partial(work, no_check, no_progress), self._what)
        self._helpers.append(helper)
        return lambda: helper.result(self._check)


def done_together(
    works: Sequence[Work[Found]],
    processes: int,
    what: str,
    check: Cancelled,
    progress: Progress = no_progress,
) -> list[Found]:
    """What each piece of work found; the last ones are done here, and their progress stands for all."""
    away = works[: min(processes, len(works)) - 1]
    here = works[len(away) :]
    with Helpers(processes, what, check) as helpers:
        waiting = [helpers.begin(work) for work in away]
        found = [work(check, part(progress, k / len(here), (k + 1) / len(here))) for k, work in enumerate(here)]
        return [*(one() for one in waiting), *found]


def _help() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the process that asked, and that one ends this
    try:
        work = pickle.load(sys.stdin.buffer)  # noqa: S301  from the process that began this one
    except EOFError:
        return
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        found = work()
    except PipitError as error:
        found = error
    pickle.dump(found, sys.stdout.buffer, protocol=5)
    sys.stdout.buffer.flush()
    os._exit(0)  # the thread still waits for the end of stdin


def _end_with_stdin() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    _help()
