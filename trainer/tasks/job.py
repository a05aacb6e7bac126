"""`python -m trainer.tasks.job`: the child process that does one job.

One line of JSON on stdin says what; on stdout goes one JSON object a line: progress, then the result or the error. When
stdin ends, the worker is gone, and so is this process: a job is never done twice at the same time.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from shared.errors import PipitError
from shared.logs import setup_logging
from trainer.config import Settings
from trainer.shipping.deliver import failure
from trainer.tasks.limits import limited
from trainer.tasks.orders import Order, from_json

logger = logging.getLogger("trainer.tasks.job")
LEAST_S = 0.2  # between two lines of progress of one step
GRACE_S = 3.0
NICE = 5  # pages and API answer first
PATHS = ("models_dir", "exports_dir", "state_dir", "signing_key", "agents_dir", "model_config_file",
         "cluster_ca", "cluster_cert", "cluster_key")  # fmt: skip


class Teller:
    """Says on a stream what the job does. `steps` names all steps; each has the same share of the whole."""

    def __init__(self, stream: IO[str], number: int = 0) -> None:
        self._stream, self.number = stream, number
        self._steps: list[str] = []
        self._trail: list[list[Any]] = []
        self._last = self._whole = 0.0

    def plan(self, steps: Sequence[str]) -> None:
        """The steps to come; a plan that is there already stands."""
        if self._steps:
            return
        self._steps = list(steps)
        self._say(steps=self._steps)

    def step(self, name: str, share: float | None = 0.0, words: str = "") -> None:
        """Such a step is under way, and so much of it done; `words` tell what has come of it."""
        began = not self._trail or self._trail[-1][0] != name
        if began:
            self._trail.append([name, time.time(), words])
            logger.info("step %s", name)
        elif words:
            self._trail[-1][2] = words
        if not began and not words and time.monotonic() - self._last < LEAST_S:
            return
        self._last = time.monotonic()
        place = self._steps.index(name) if name in self._steps else 0
        whole = (place + min(1.0, max(0.0, share or 0.0))) / max(1, len(self._steps))
        self._whole = max(self._whole, whole)  # a search looks at the exports again before it trains
        self._say(step=name, share=round(self._whole, 4), trail=self._trail)

    def note(self, name: str, words: str, whole: float) -> None:
        """One of several things that go on at once has come so far, and the whole so far."""
        for entry in self._trail:
            if entry[0] == name:
                entry[2] = words
                break
        else:
            self._trail.append([name, time.time(), words])
        self._say(step=name, share=round(whole, 4), trail=self._trail)

    def result(self, **values: Any) -> None:
        """It is done, and this came of it."""
        self._say(result=values)

    def error(self, code: str, words: str) -> None:
        """It cannot be done."""
        self._say(error=words, code=code)

    def _say(self, **values: Any) -> None:
        self._stream.write(json.dumps(values, default=str) + "\n")
        self._stream.flush()


def main() -> int:
    """Do the job; 0 when it is done."""
    stream = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints belongs into the log
    with open(0, "rb", buffering=0, closefd=False) as stdin:
        said = json.loads(stdin.readline())
    threading.Thread(target=_end_with_worker, daemon=True).start()
    os.nice(NICE)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that half-written files are taken away
    tell = Teller(stream, int(said.get("number", 0)))
    told: dict[str, Any] = {n: Path(v) if n in PATHS and v is not None else v for n, v in said["settings"].items()}
    settings = Settings(**told)
    setup_logging(settings.log_level)
    try:
        with limited(*said["limits"]):
            tell.result(**_do(from_json(said["kind"], said["order"]), settings, tell, said))
    except PipitError as error:
        logger.error("%s", error)
        tell.error(failure(error)[0], str(error))
        return 1
    except Exception as error:
        logger.exception("the job failed")
        tell.error("fault", f"{said['kind']}: failed inside Pipit ({type(error).__name__}: {error}); see the job's log")
        return 1
    return 0


def _do(order: Order, settings: Settings, tell: Teller, said: dict[str, Any]) -> Mapping[str, Any]:
    from trainer.tasks.doing import do  # what comes with it is heavy: only a job that is understood needs it

    return do(order, settings, tell, str(said.get("by", "")))


def _end_with_worker() -> None:
    while os.read(0, 4096):
        pass
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGTERM)
        time.sleep(GRACE_S)
    os._exit(70)


if __name__ == "__main__":
    sys.exit(main())
