"""A real Dask scheduler with real workers on 127.0.0.1, as somebody would start them by hand."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

from tests.services import MissingPartError, Part, Server, dies_with_parent, wait_until


def find_dask() -> Part:
    """Dask of the virtual environment. Raises MissingPartError."""
    if importlib.util.find_spec("distributed") is None:
        raise MissingPartError("dask: the extra `cluster` is not installed here (make cluster)")
    return Part("dask", Path(sys.prefix, "bin", "dask"), version("distributed"), "wheel distributed")


class DaskCluster(Server):
    """A scheduler, and workers of one thread each that are not started anew when they end."""

    name = "dask"

    def __init__(self, part: Part, workers: int = 2, tls: dict[str, Path] | None = None) -> None:
        super().__init__(part)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._wanted, self._tls = workers, tls or {}

    @property
    def address(self) -> str:
        """tcp://127.0.0.1:port, or tls:// with certificates."""
        return f"{'tls' if self._tls else 'tcp'}://{self.host}:{self.port}"

    @property
    def scratch(self) -> Path:
        """Where the workers may write."""
        return self.folder / "scratch"

    def command(self) -> list[str]:
        """The scheduler's."""
        return self._dask("scheduler", "--port", str(self.port))

    def start(self) -> None:
        """Scheduler and workers, until these are known to it."""
        for _ in range(self._wanted):  # they wait for the scheduler, and all need a second to start
            self.add_worker()
        super().start()
        wait_until(lambda: self.known() >= self._wanted, "the workers of the cluster")

    def add_worker(self, **env: str) -> subprocess.Popen[bytes]:
        """One worker more."""
        with (self.folder / f"worker-{len(self.workers)}.log").open("ab") as log:
            command = self._dask(
                "worker", self.address, "--no-nanny", "--nthreads", "1", "--local-directory", self.scratch
            )
            worker = subprocess.Popen(
                [*dies_with_parent("KILL"), *command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env={**os.environ, **env},
            )  # fmt: skip
        self.workers.append(worker)
        return worker

    def known(self) -> int:
        """How many workers have come to the scheduler."""
        return self.log().count("Register worker")

    def stop(self) -> None:
        """The workers first: each would wait for its scheduler."""
        for worker in self.workers:
            worker.kill()
            worker.wait()
        super().stop()

    def _dask(self, what: str, *words: str | Path) -> list[str]:
        tls = [word for name, path in self._tls.items() for word in (f"--tls-{name}", str(path))]
        own = ["--host", self.host] if not tls else ["--host", self.host, "--protocol", "tls", *tls]
        return [str(self.part.program), what, *map(str, words), *own, "--dashboard-address", f"{self.host}:0"]
