"""What needs a model but is asked for on a page: done by a child that may use so much CPU, memory and time, and no more.

The request goes in as JSON, the answer comes out as JSON. The web process stays small, and a model that hangs or swallows
memory takes nobody with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from shared.errors import BundleError, ExportError, PipitError

COMMAND = (sys.executable, "-P", "-m", "inference.bounded")  # -P: nothing is imported from where somebody stands
ROWS_MOST = 10_000
ANSWER_BYTES = 64 * 1024 * 1024
_one_at_a_time = threading.BoundedSemaphore(1)  # two children at once are more memory than a Pi has to spare
WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use up."""

    cpu_s: int = 20
    memory_mb: int = 1024  # of address space, which is more than what is resident
    wall_s: float = 40.0


class ChildError(PipitError):
    """The child gave no answer. `code`: busy, timeout, memory, crashed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = {"busy": 503, "timeout": 504, "memory": 503}.get(code, 500)


def run(
    task: str,
    given: Mapping[str, Any],
    limits: Limits = Limits(),
    command: Sequence[str] = COMMAND,
) -> dict[str, Any]:
    """Let a child do a task and give its answer.

    Raises:
        BundleError: the model cannot be used. ExportError: the rows cannot be. ChildError: there was no answer.
    """
    if not _one_at_a_time.acquire(timeout=WAIT_S):
        raise ChildError("busy", f"{task}: another one is running; try again in a minute")
    try:
        return _run(task, given, limits, command)
    finally:
        _one_at_a_time.release()


def _run(task: str, given: Mapping[str, Any], limits: Limits, command: Sequence[str]) -> dict[str, Any]:
    pipe = subprocess.PIPE
    child = subprocess.Popen(
        [*command, task, json.dumps(asdict(limits))], stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True,
        cwd=str(Path(__file__).resolve().parent.parent),
    )  # fmt: skip
    try:
        out, err = child.communicate(json.dumps(given).encode(), timeout=limits.wall_s)
    except subprocess.TimeoutExpired:
        raise ChildError("timeout", f"{task}: no answer within {limits.wall_s:g} s; it was ended") from None
    finally:
        if child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
    if child.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise ChildError("timeout", f"{task}: it used more than {limits.cpu_s} s of processor time and was ended")
    try:
        answer = json.loads(out[:ANSWER_BYTES])
    except ValueError:
        last = err.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1][:300]
        code = "memory" if "MemoryError" in last else "crashed"
        raise ChildError(code, f"{task}: the child ended with {child.returncode} and no answer ({last})") from None
    return _checked(task, answer)


def _checked(task: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer, or the error that it carries."""
    error = answer.get("error")
    if error is None:
        return answer
    kind, code, message = error["kind"], error["code"], error["message"]
    if kind == "bundle":
        raise BundleError(code, message)
    if kind == "rows":
        raise ExportError(message)
    raise ChildError(code, f"{task}: {message}")


# --- the child ---------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Limit this process, then do what is asked."""
    task, limits = arguments[0], Limits(**json.loads(arguments[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_mb << 20, limits.memory_mb << 20))
    os.nice(5)  # judging comes first
    given = json.load(sys.stdin)
    try:
        answer = TASKS[task](given)
    except BundleError as error:
        answer = _error("bundle", error.code, str(error))
    except ExportError as error:
        answer = _error("rows", "rows", str(error))
    except MemoryError:
        answer = _error("child", "memory", "it asks for more memory than it may have")
    except (OSError, ValueError, KeyError, TypeError) as error:
        answer = _error("bundle", "load", f"{type(error).__name__}: {error}")
    json.dump(answer, sys.stdout, separators=(",", ":"))
    sys.stdout.flush()
    return 0


def _error(kind: str, code: str, message: str) -> dict[str, Any]:
    return {"error": {"kind": kind, "code": code, "message": message[:2000]}}


def _analyze(given: dict[str, Any]) -> dict[str, Any]:
    """Rows through a model, as the daemon would judge them."""
    from inference.judging.analyze import analyze

    return analyze(Path(given["folder"]), given["rows"], given.get("budget"))


def _validate(given: dict[str, Any]) -> dict[str, Any]:
    from inference.watching.drifting import DriftReport
    from inference.watching.validator import validate

    drift = given.get("drift")
    found = validate(
        Path(given["folder"]), given["now"], max_age_s=given["max_age_s"], features=given.get("features") or (),
        drift=DriftReport.from_json(drift) if drift else None,
    )  # fmt: skip
    return found.as_json()


def _drift(given: dict[str, Any]) -> dict[str, Any]:
    from inference.keeping import reading as state_read
    from inference.watching.drifting import DriftSettings, measure_drift

    db = state_read.connect_read(Path(given["state"]))
    settings = DriftSettings(**given["settings"])
    return measure_drift(db, Path(given["store"]), given["agent"], given["version"], settings, given["now"]).as_json()


TASKS: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "analyze": _analyze, "validate": _validate, "check-drift": _drift,
}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
