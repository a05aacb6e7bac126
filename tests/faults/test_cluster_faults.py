"""A cluster of which parts go away while it reads: real processes, killed."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from shared.errors import TrainingError
from tests.conftest import need
from tests.dask_server import DaskCluster
from tests.flow.test_cluster import assert_reads_alike
from tests.measured import DAY, WIFI
from tests.services import running, wait_until
from trainer.cluster import reading as cluster_reading
from trainer.cluster.exports import Running
from trainer.cluster.team import ClusterTeam
from trainer.windows.reading import read
from trainer.windows.source import Source


@pytest.fixture(scope="module")
def dask() -> Iterator[DaskCluster]:
    """One that these tests may do anything to, one after the other."""
    with running(DaskCluster(need("dask"))) as cluster:
        yield cluster


class Struck:
    """A connection over which something happens just after the first shares have been handed out."""

    def __init__(self, cluster: DaskCluster, strike: Callable[[], None], times: int) -> None:
        from trainer.cluster.connection import Dask  # where it is not installed, the fixture has said so by now

        self._dask, self._strike, self._times = Dask(cluster.address, None), strike, times
        self.address, self.workers, self.ask = self._dask.address, self._dask.workers, self._dask.ask
        self.close = self._dask.close

    def submit(self, function: Callable[..., Any], *values: Any, worker: str) -> Running:
        """The worker stands still when its share comes, so that it cannot be done before."""
        if self._times == 0:
            return self._dask.submit(function, *values, worker=worker)
        self._times -= 1
        pid = self.ask(os.getpid, workers=[worker])[worker]
        os.kill(pid, signal.SIGSTOP)
        try:
            return self._dask.submit(function, *values, worker=worker)
        finally:
            self._strike()
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def nothing() -> None:
    """The worker is killed, and that is all."""


def test_the_share_of_a_killed_worker_is_read_by_another(dask: DaskCluster) -> None:
    team = ClusterTeam(Struck(dask, nothing, times=1))
    try:
        assert_reads_alike(DAY, team)
        assert len(team.engine.workers()) == 1
    finally:
        team.close()


def test_when_all_workers_are_killed_training_ends_with_the_reason(
    dask: DaskCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_reading, "NOBODY_S", 0.5)
    team = ClusterTeam(Struck(dask, nothing, times=9))
    try:
        with pytest.raises(TrainingError, match=f"all workers of the cluster {dask.address} went away"):
            read(Source([DAY], None, None), WIFI, "salt", team=team)
    finally:
        team.close()


def test_a_scheduler_that_goes_away_ends_training_with_the_reason(dask: DaskCluster) -> None:
    before = dask.known()
    dask.add_worker()
    wait_until(lambda: dask.known() > before, "a worker")
    team = ClusterTeam(Struck(dask, dask.stop, times=1))
    try:
        with pytest.raises(TrainingError, match=f"the Dask scheduler at {dask.address} went away"):
            read(Source([DAY], None, None), WIFI, "salt", team=team)
    finally:
        team.close()
