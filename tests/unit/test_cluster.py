"""The rules of reading with other machines, tried on workers that live in this process."""

from __future__ import annotations

import asyncio
import gzip
import inspect
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.agent import builtin_agents
from shared.errors import ConfigError, PipitError, TrainingError
from tests.services import wait_until
from trainer.cluster import build as cluster_build
from trainer.cluster import exports as cluster_exports
from trainer.cluster import reading as cluster_reading
from trainer.cluster import stay as cluster_stay
from trainer.cluster import team as cluster_team
from trainer.cluster import worker as cluster_worker
from trainer.cluster.build import build
from trainer.cluster.choice import team_of
from trainer.cluster.team import ClusterTeam
from trainer.config import Settings
from trainer.tasks.limits import limited
from trainer.windows.reading import read
from trainer.windows.source import Source

WIFI = builtin_agents()["wifi"]
A, B, C = "tcp://10.0.0.1:1", "tcp://10.0.0.1:2", "tcp://10.0.0.2:1"


@dataclass
class Worker:
    """A worker with a folder of its own."""

    folder: Path
    answers: dict[str, Any] = field(default_factory=dict)  # function → what it gives instead of working
    asked: list[str] = field(default_factory=list)


class FakeEngine:
    """Workers that do at once what they are asked. gone: workers that go away when they are given a share."""

    address = "tcp://10.0.0.9:8786"

    def __init__(self, folder: Path, *workers: str, machine: Callable[[str], str] = lambda address: address) -> None:
        self.here = {one: Worker(folder / machine(one).replace("/", "_") / one[-1]) for one in workers}
        self.gone: set[str] = set()
        self._machine = machine

    def workers(self) -> Mapping[str, str]:
        return {one: self._machine(one) for one in self.here}

    def ask(self, function: Callable[..., Any], *values: Any, workers: Iterable[str]) -> Mapping[str, Any]:
        return {one: self._do(self.here[one], function, values) for one in workers if one in self.here}

    def submit(self, function: Callable[..., Any], *values: Any, worker: str) -> Done:
        if worker in self.gone:
            del self.here[worker]
            return Done(None)
        return Done(self._do(self.here[worker], function, values))

    def close(self) -> None:
        pass

    def _do(self, worker: Worker, function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        name = getattr(function, "__name__", "?")
        worker.asked.append(name)
        if name in worker.answers:
            return worker.answers[name]
        more = {}
        if "dask_worker" in inspect.signature(function).parameters:
            more["dask_worker"] = SimpleNamespace(local_directory=str(worker.folder))
        found = function(*values, **more)
        return asyncio.run(found) if inspect.iscoroutine(found) else found


@dataclass
class Done:
    """What came of a share; None: its worker went away, and it will never be done."""

    value: bytes | None

    def done(self) -> bool:
        return self.value is not None

    def result(self) -> Any:
        return self.value

    def cancel(self) -> None:
        pass


def same_machine(address: str) -> str:
    """The host of an address."""
    return address.rpartition(":")[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_reading, "LOOK_S", 0.0)
    monkeypatch.setattr(cluster_reading, "POLL_S", 0.001)
    monkeypatch.setattr(cluster_stay, "LOOK_S", 0.01)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small log, under a path that no other machine sees."""
    path = tmp_path / "log.csv"
    rows = "".join(f"2026-03-01T00:{n:02d}:01Z,ap{n % 3},hostapd,wlan0: AP-ENABLED\n" for n in range(60))
    path.write_text("timestamp,host,program,message\n" + rows)
    monkeypatch.setattr(cluster_worker, "_found", _only_sent)
    return path


def _only_sent(folder: Path, offer: cluster_worker.Offer) -> Path | None:
    place = cluster_worker._place(folder, offer)
    return place if place.is_file() else None


def rows_read(engine: FakeEngine, path: Path) -> int:
    team = ClusterTeam(engine)
    try:
        return read(Source([path], None, None), WIFI, "salt", team=team)[0].rows
    finally:
        team.close()


def test_an_export_is_sent_once_to_each_machine_in_pieces(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_exports, "PIECE_BYTES", 1000)
    engine = FakeEngine(tmp_path, A, B, C, machine=same_machine)
    workers = dict(engine.here)
    assert rows_read(engine, log) == 60
    pieces = -(-log.stat().st_size // 1000)
    assert [worker.asked.count("take") for worker in workers.values()] == [pieces, 0, pieces]
    assert not list(tmp_path.rglob("pipit-*")), "what was sent is taken away"


def test_what_is_compressed_is_sent_as_it_is(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = log.with_name("log.csv.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    monkeypatch.setattr("trainer.cluster.exports.zlib.compress", None)
    assert rows_read(FakeEngine(tmp_path, A), packed) == 60


def test_a_worker_whose_disk_is_full_is_left_out(log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = FakeEngine(tmp_path, A, C)
    engine.here[A].answers["take"] = "/scratch cannot be written: No space left on device"
    with caplog.at_level(logging.WARNING):
        assert rows_read(engine, log) == 60
    assert "No space left" in caplog.text
    engine.here[C].answers["take"] = engine.here[A].answers["take"]
    with pytest.raises(TrainingError, match=r"no worker of the cluster can take the export.*No space left"):
        rows_read(engine, log)


def test_a_file_that_changes_on_its_way_is_refused(log: Path, tmp_path: Path) -> None:
    worker = SimpleNamespace(local_directory=str(tmp_path / "scratch" / "w"))
    offer = replace(cluster_exports.offers_of([log])[0], sha256="0" * 64)
    words = asyncio.run(cluster_worker.take("run", offer, 0, log.read_bytes(), False, dask_worker=worker))
    assert "log.csv has changed while it was sent" in words
    words = asyncio.run(cluster_worker.take("run", offer, 7, b"more", False, dask_worker=worker))
    assert "has 0 bytes where 7 were expected" in words
    cluster_worker.leave("run", dask_worker=worker)


def test_a_share_goes_on_to_who_is_left(log: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, A, C)
    engine.gone = {A}
    assert rows_read(engine, log) == 60
    assert list(engine.here) == [C]


def test_a_share_that_costs_three_workers_ends_the_training(log: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, A, B, C)
    engine.submit = lambda function, *values, worker: Done(b"")  # type: ignore[assignment, method-assign]
    with pytest.raises(TrainingError, match=r"3 workers of the cluster went away over the same share.*--memory-limit"):
        rows_read(engine, log)


def test_when_nobody_is_left_training_ends(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_reading, "NOBODY_S", 0.05)
    engine = FakeEngine(tmp_path, A)
    engine.gone = {A}
    with pytest.raises(TrainingError, match=r"all workers of the cluster tcp://10\.0\.0\.9:8786 went away"):
        rows_read(engine, log)


def test_a_cluster_without_workers_is_told_how_to_get_some(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_team, "NOBODY_S", 0.05)
    with pytest.raises(TrainingError, match="has no workers; start some with `dask worker tcp:"):
        rows_read(FakeEngine(tmp_path), log)


def test_a_worker_of_another_build_is_refused_with_what_differs(log: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, A)
    engine.here[A].answers["build"] = replace(build(), code="0123456789ab", numpy="1.26.4")
    mine = build()
    with pytest.raises(TrainingError) as told:
        rows_read(engine, log)
    assert f"code is 0123456789ab, not {mine.code}, numpy is 1.26.4, not {mine.numpy}; install the same" in str(
        told.value
    )


def test_a_build_is_told_by_the_code_that_reads() -> None:
    names = {path.as_posix() for path in cluster_build._needed(cluster_build.READS)}
    assert {
        "trainer/windows/gather.py",
        "shared/features.py",
        "shared/readers.py",
        "trainer/cluster/worker.py",
    } <= names
    assert not [name for name in names if name.startswith(("shared/web/", "trainer/web/", "trainer/pipeline"))]


def test_an_interrupted_reading_is_stopped_at_the_workers(log: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, A)
    worker = engine.here[A]
    worker.answers["read_share"] = None  # it reads and reads

    def told(_share: float) -> None:
        if "read_share" in worker.asked:
            raise KeyboardInterrupt

    team = ClusterTeam(engine)
    with pytest.raises(KeyboardInterrupt):
        read(Source([log], None, None), WIFI, "salt", told=told, team=team)
    team.close()
    assert worker.asked[-2:] == ["stop", "leave"]


def test_a_cluster_that_hangs_is_ended_by_the_time_limit(log: Path, tmp_path: Path) -> None:
    engine = FakeEngine(tmp_path, A)
    worker = engine.here[A]
    worker.answers["read_share"] = None
    team = ClusterTeam(engine)
    with pytest.raises(TrainingError, match="TRAINING_MAX_TRAINING_TIME"), limited(1, 4096):
        read(Source([log], None, None), WIFI, "salt", team=team)
    team.close()
    assert worker.asked[-2:] == ["stop", "leave"]


def test_a_reading_that_nobody_waits_for_ends_at_the_worker(tmp_path: Path) -> None:
    stay = cluster_stay.stay_in(tmp_path / "pipit-x")
    stay.check(1)
    stay.stopped = 1
    with pytest.raises(PipitError):
        stay.check(1)
    stay.check(2)
    cluster_stay.leave(tmp_path / "pipit-x")
    with pytest.raises(PipitError):
        stay.check(2)


def test_a_worker_that_hears_nothing_forgets_the_run_and_what_it_was_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pipit-y"
    folder.mkdir()
    (folder / "log.csv").touch()
    stay = cluster_stay.stay_in(folder)
    stay.heard = time.monotonic() - cluster_stay.LEASE_S
    wait_until(lambda: not folder.exists(), "the folder to be removed")
    assert cluster_stay.stay_in(folder) is not stay
    cluster_stay.leave(folder)


@pytest.mark.parametrize(
    ("address", "more", "words"),
    [
        ("scheduler:8786", {}, "give the scheduler as tcp://HOST:PORT or tls://HOST:PORT"),
        (
            "tls://scheduler:8786",
            {},
            "TRAINING_CLUSTER_CA, TRAINING_CLUSTER_CERT, TRAINING_CLUSTER_KEY must name a file",
        ),
        ("tcp://scheduler:8786", {"cluster_ca": Path(__file__)}, "certificates are for tls:// alone"),
    ],
)
def test_an_address_that_cannot_be_is_refused_before_anything_is_done(
    address: str, more: dict[str, Path], words: str
) -> None:
    with pytest.raises(ConfigError, match=words), team_of(Settings(**more), address):  # type: ignore[arg-type]
        pass


def test_without_an_address_this_machine_reads_alone() -> None:
    with team_of(Settings()) as team:
        assert team is None
    with team_of(Settings(cluster="tcp://127.0.0.1:1"), "") as team:
        assert team is None


def test_where_dask_is_missing_its_installation_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trainer.cluster.connection", None)
    with (
        pytest.raises(ConfigError, match=r"Dask is not installed here.*`make cluster`"),
        team_of(Settings(), "tcp://127.0.0.1:1"),
    ):
        pass
