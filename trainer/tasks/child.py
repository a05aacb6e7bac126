"""One job's child process as its worker sees it: started, listened to, held to its limits, ended.

The child says one JSON object a line on its stdout (`trainer/tasks/job.py`); its stderr is the job's log. It lives no longer
than its stdin stays open: a worker that dies takes its children with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from trainer.config import Settings
from trainer.jobs import Job

COMMAND = (sys.executable, "-P", "-m", "trainer.tasks.job")  # -P: nothing is imported from where somebody stands
GRACE_S = 5.0  # for a child to end by itself: on SIGTERM, and after its own alarm
MAX_LINE = 1_000_000
TOO_LONG = (
    "{kind}: not done after {time_s} s, the limit of TRAINING_MAX_TRAINING_TIME; raise it, or take fewer days of logs"
)
TOO_MUCH = "{kind}: more than {memory_mb} MB needed, the limit of TRAINING_MAX_MEMORY_USAGE; raise it, or take fewer days of logs"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long (s) and how large (MB) a child may get. It keeps them itself; its worker sees to it when it does not."""

    time_s: int
    memory_mb: int


class Child:
    """A running job. Use as a context: at its end the process and all it started are gone."""

    def __init__(
        self, job: Job, settings: Settings, log: Path, limits: Limits, command: Sequence[str] = COMMAND
    ) -> None:
        self.job, self.limits = job, limits
        self.news = False
        self.result: dict[str, Any] | None = None
        self.memory_bytes = 0
        self._said: dict[str, Any] = {}
        self._error: tuple[str, str] | None = None
        self._pending = b""
        self._began = time.monotonic()
        self._process = self._start(settings, log, command)

    def _start(self, settings: Settings, log: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
        order = {
            "kind": self.job.kind,
            "order": dict(self.job.order),
            "by": self.job.by,
            "number": self.job.number,
            "limits": [self.limits.time_s, self.limits.memory_mb],
            "settings": settings_of(settings),
        }
        log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with log.open("ab") as stderr:
            process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, start_new_session=True
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # a child that is gone already is seen at the first tick
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()
        return process

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def tick(self, wait_s: float) -> bool:
        """Listen for at most so long; False: the child has ended, or was ended over a limit."""
        assert self._process.stdout is not None
        self.news = False
        ready, _, _ = select.select([self._process.stdout], [], [], wait_s)
        if ready:
            data = os.read(self._process.stdout.fileno(), 65536)
            if not data:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(GRACE_S)
                return False
            self._hear(data)
        return not self._over_limit()

    def told(self) -> dict[str, Any]:
        """What is to be noted of the job now."""
        return {**self._said, "memory_bytes": self.memory_bytes}

    def fault(self) -> tuple[str, str]:
        """Why it failed, in words and as a code; two empty texts when it did not."""
        if self._error is not None:
            return self._error
        code = self._process.poll()
        if self.result is not None and code == 0:
            return "", ""
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            return f"{self.job.kind}: its process was ended by {name}; the machine may have run out of memory", "killed"
        return f"{self.job.kind}: its process ended without a result (exit code {code}); see its log", "fault"

    def end(self) -> None:
        """End the process and all it started."""
        for number, wait_s in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, GRACE_S)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if self._process.poll() is None or number == signal.SIGKILL:
                    os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait_s)
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _hear(self, data: bytes) -> None:
        *lines, self._pending = (self._pending + data).split(b"\n")
        if len(self._pending) > MAX_LINE:
            self._pending = b""
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                self._take(json.loads(line))

    def _take(self, said: dict[str, Any]) -> None:
        if "result" in said:
            self.result = dict(said["result"])
        elif "error" in said:
            self._error = (str(said["error"]), str(said.get("code", "failed")))
        else:
            self._said.update({name: said[name] for name in ("step", "share", "trail", "steps") if name in said})
            self.news = True

    def _over_limit(self) -> bool:
        memory, peak = memory_of(self._process.pid)
        self.memory_bytes = max(self.memory_bytes, peak)
        words = ""
        if time.monotonic() - self._began > self.limits.time_s + GRACE_S:
            words = TOO_LONG.format(kind=self.job.kind, time_s=self.limits.time_s)
        elif memory > self.limits.memory_mb * 1_000_000:
            words = TOO_MUCH.format(kind=self.job.kind, memory_mb=self.limits.memory_mb)
        if words:
            self._error = (words, "limit")
            self.end()
        return bool(words)


def memory_of(pid: int) -> tuple[int, int]:
    """Bytes that a process and its children hold now, and the most that the process itself ever held; 0 if unknown."""
    now = peak = 0
    waiting = [(pid, True)]
    while waiting:
        one, first = waiting.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            children = Path(f"/proc/{one}/task/{one}/children").read_text().split()
        except OSError:
            continue
        found = {
            line.split(":")[0]: line.split()[1] for line in status.splitlines() if line.startswith(("VmRSS:", "VmHWM:"))
        }
        now += int(found.get("VmRSS", 0)) * 1024
        peak = int(found.get("VmHWM", 0)) * 1024 if first else peak
        waiting += [(int(child), False) for child in children]
    return now, max(now, peak)


def settings_of(settings: Settings) -> dict[str, object]:
    """What a child needs to know of this machine, as JSON."""
    names = (
        "models_dir", "exports_dir", "state_dir", "signing_key", "agents_dir", "model_config_file", "log_level",
        "database_url", "max_upload", "cluster", "cluster_ca", "cluster_cert", "cluster_key",
    )  # fmt: skip
    found = {name: getattr(settings, name) for name in names}
    return {name: str(value) if isinstance(value, Path) else value for name, value in found.items()}
