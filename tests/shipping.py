"""What the tests of shipping share: Pis whose loop runs, `pipit-trainer` over one workshop, a login to a real OpenSSH."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from click.testing import CliRunner, Result

from inference.bundles import probation
from tests.fakes import Pi, Workshop
from tests.sshd_server import SshdServer

Run = Callable[..., Result]


class RunningPi(Pi):
    """A Pi whose loop runs in a thread, as often as it can."""

    def run(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(10)

    def turn(self) -> None:
        """What it does at each turn."""
        self.reconcile()

    def _loop(self) -> None:
        while not self._stop.wait(0.02):
            self.turn()


class WatchedPi(RunningPi):
    """One that judges a window at each turn; `strange` names the versions whose windows are all anomalies."""

    strange: frozenset[str] = frozenset()

    def turn(self) -> None:
        self.reconcile()
        for active in self.store.actives():
            strange = active.version in self.strange
            probation.note(self.db, active.agent, active.version, windows=1, anomalies=int(strange))


def runner(workshop: Workshop) -> Run:
    """Calls a command of `pipit-trainer` over the workshop's folders."""
    settings = SimpleNamespace(models_dir=workshop.models, state_dir=workshop.state_dir, signing_key=None)

    def call(command: Any, *arguments: str) -> Result:
        return CliRunner().invoke(command, list(arguments), obj=settings)

    return call


def login(server: SshdServer) -> list[str]:
    """The options that let one in there."""
    return ["--identity", str(server.identity), "--known-hosts", str(server.known_hosts)]
