"""Training with the workers of a real Dask cluster: what comes of it is what this machine alone would have found."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ExportError, TrainingError
from tests.dask_server import DaskCluster
from tests.measured import DAY, WIFI, quick
from tests.services import free_port, running, wait_until
from trainer import pipeline
from trainer.cluster.choice import team_of
from trainer.cluster.team import ClusterTeam
from trainer.config import Settings
from trainer.jobs import JobStore
from trainer.tasks.child import Child, Limits
from trainer.tasks.orders import TrainOrder
from trainer.windows.learn import Learner
from trainer.windows.reading import Team, read
from trainer.windows.source import Source
from trainer.windows.table import Tables

SMALL = "timestamp,host,program,message\n" + "".join(
    f"2026-03-01T00:{n:02d}:01Z,ap1,hostapd,wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated\n"
    for n in range(60)
)
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def team_at(cluster: DaskCluster, **more: object) -> Iterator[ClusterTeam]:
    """The team of it."""
    with team_of(replace(Settings(), cluster=cluster.address, **more)) as team:  # type: ignore[arg-type]
        assert isinstance(team, ClusterTeam)
        yield team


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's day with attacks."""
    path = tmp_path_factory.mktemp("cluster") / "log.csv"
    path.write_bytes(gzip.decompress(DAY.read_bytes()))
    return path


@lru_cache(maxsize=1)
def alone() -> tuple[Learner, Tables]:
    """What this machine alone finds in the day."""
    return read(Source([DAY], None, None), WIFI, "salt")


def assert_reads_alike(path: Path, team: Team) -> None:
    """The same tables bit for bit, and the same knowledge."""
    learner, tables = alone()
    found, there = read(Source([path], None, None), WIFI, "salt", team=team)
    assert there.roles.keys() == tables.roles.keys()
    for role, table in tables.roles.items():
        for name in ("hosts", "index", "raw", "short"):
            np.testing.assert_array_equal(getattr(there.roles[role], name), getattr(table, name), f"{role} {name}")
    assert (there.pauses, there.gaps, there.heard) == (tables.pauses, tables.gaps, tables.heard)
    assert found.known() == learner.known()
    for name in ("rows", "own_rows", "unknown_rows", "first", "last", "leaves", "shapes"):
        assert getattr(found, name) == getattr(learner, name), name


def files_sent(cluster: DaskCluster) -> list[Path]:
    """What lies in the folders of runs."""
    return [path for path in cluster.scratch.rglob("pipit-*/*/*") if path.is_file()]


MEASURED = {  # times and memory of this run, and hashes of files that tell them
    "promise.latency_ms_max",
    "training_info.training_memory_usage",
    "training_memory_usage",
    "file_hashes.reference.json",
    "file_hashes.report.html",
}


def differing(one: object, other: object, path: str = "") -> Iterator[str]:
    """The paths of what is another in two JSON values."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differing(one[key], other[key], f"{path}.{key}" if path else key)
    elif one != other:
        yield path


def test_a_model_of_a_cluster_is_that_of_one_machine(dask: DaskCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainer.pipeline.secrets.token_hex", lambda size: "5a" * size)
    config = quick(evaluation__inject=False, model__n_estimators=5, training__cross_validation_folds=2)
    told: list[float] = []
    alone = pipeline.train([DAY], WIFI, config, now=lambda: 1e9)
    with team_at(dask) as team:
        together = pipeline.train(
            [DAY], WIFI, config, now=lambda: 1e9, team=team,
            progress=lambda step, share: told.append(share) if step == "learn" else None,
        )  # fmt: skip
    for name in ("model.joblib", "scorer.npz", "agent.yaml", "golden.json"):
        assert together.files[name] == alone.files[name], name
    for name in ("reference.json", "metadata.json"):
        here, there = (json.loads(one.files[name]) for one in (alone, together))
        assert {path for path in differing(here, there) if path not in MEASURED} == set(), name
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_an_export_that_workers_do_not_see_is_sent_and_taken_away_again(
    dask: DaskCluster, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(log.parent)  # the workers have another working directory: below this path they find nothing
    monkeypatch.setattr("trainer.cluster.exports.PIECE_BYTES", 100_000)
    sent: set[Path] = set()
    with team_at(dask) as team:
        assert_reads_alike(Path("/proc/self/cwd") / log.name, team)
        sent.update(files_sent(dask))
        assert_reads_alike(Path("/proc/self/cwd") / log.name, team)  # and is not sent again
        assert set(files_sent(dask)) == sent
        [copy] = sent
        assert hashlib.sha256(copy.read_bytes()).digest() == hashlib.sha256(log.read_bytes()).digest()
        assert copy.stat().st_mode & 0o077 == 0
    wait_until(lambda: not list(dask.scratch.glob("pipit-*")), "the copies to be removed")


def test_workers_are_not_overlooked_while_dask_looks_after_itself(dask: DaskCluster) -> None:
    with team_at(dask) as team:
        client, over = team.engine._client, threading.Event()  # type: ignore[attr-defined]

        def refresh() -> None:
            while not over.is_set():
                client.sync(client._update_scheduler_info)  # as it does every two seconds

        thread = threading.Thread(target=refresh)
        thread.start()
        try:
            assert {len(team.engine.workers()) for _ in range(20)} == {2}
        finally:
            over.set()
            thread.join()


def test_an_export_that_workers_see_is_read_where_it_is(dask: DaskCluster, log: Path) -> None:
    with team_at(dask) as team:
        assert_reads_alike(log, team)
        assert files_sent(dask) == []


def test_what_cannot_be_read_is_said_as_ever(dask: DaskCluster, log: Path, tmp_path: Path) -> None:
    broken = tmp_path / "cut.csv.gz"
    broken.write_bytes(gzip.compress(log.read_bytes())[:60_000])
    with team_at(dask) as team:
        with pytest.raises(ExportError, match=f"{broken}.*cut off or damaged"):
            read(Source([broken], None, None), WIFI, "salt", team=team)
        assert_reads_alike(log, team)


def test_a_worker_without_pipit_is_left_out(
    patient: None, dask: DaskCluster, log: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "trainer.py").touch()  # something else of that name
    before = dask.known()
    stranger = dask.add_worker(PYTHONPATH=str(tmp_path))
    wait_until(lambda: dask.known() > before, "the third worker")
    try:
        with caplog.at_level(logging.WARNING), team_at(dask) as team:
            assert team.size() == 2
            assert "it does not have this Pipit (ModuleNotFoundError" in caplog.text
            assert_reads_alike(log, team)
    finally:
        stranger.terminate()
        stranger.wait()


def test_a_cluster_with_certificates_is_read_with_over_tls(
    patient: None, log: Path, tmp_path: Path, dask: DaskCluster
) -> None:
    files = certificates(tmp_path)
    own = {"cluster_ca": files["ca-file"], "cluster_cert": files["cert"], "cluster_key": files["key"]}
    cluster = DaskCluster(dask.part, workers=1, tls=files)
    with running(cluster):
        with team_at(cluster, **own) as team:
            assert_reads_alike(log, team)
        with pytest.raises(TrainingError, match="does not answer"), team_at(cluster, **{**own, **stranger(tmp_path)}):
            pass


def certificates(folder: Path) -> dict[str, Path]:
    """A throw-away authority and certificate, as options of Dask's commands."""
    from distributed.security import Security

    made = Security.temporary()
    files = {"ca-file": made.tls_ca_file, "cert": made.tls_scheduler_cert, "key": made.tls_scheduler_key}
    for name, text in files.items():
        (folder / name).write_text(text)
    return {name: folder / name for name in files}


def stranger(folder: Path) -> dict[str, Path]:
    """A certificate of another authority."""
    other = folder / "other"
    other.mkdir()
    files = certificates(other)
    return {"cluster_cert": files["cert"], "cluster_key": files["key"]}


def run(folder: Path, *words: object, **env: str) -> subprocess.CompletedProcess[str]:
    """The command in a folder of its own."""
    own = {"TRAINING_STATE_DIR": str(folder / "state"), "HOME": str(folder), "PATH": os.environ["PATH"]}
    return subprocess.run(
        [sys.executable, "-m", "trainer", *map(str, words)], cwd=folder, env={**own, "PYTHONPATH": str(ROOT), **env},
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip


def test_the_command_has_a_cluster_read(tmp_path: Path, dask: DaskCluster) -> None:
    """An export that is too small to train on shows it soonest."""
    (tmp_path / "small.csv").write_text(SMALL)
    before = calls(dask)
    done = run(tmp_path, "train", "small.csv", "--cluster", dask.address)
    assert (done.returncode, "too little to learn from" in done.stderr) == (1, True), done.stderr
    assert calls(dask) > before


def calls(cluster: DaskCluster) -> int:
    """How often workers were asked what exports they see."""
    return sum(path.read_text().count("function 'look'") for path in cluster.folder.glob("worker-*.log"))


def test_jobs_of_the_service_take_the_cluster_of_the_settings(tmp_path: Path, dask: DaskCluster) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "small.csv").write_text(SMALL)
    address = f"tcp://127.0.0.1:{free_port()}"
    settings = Settings(
        models_dir=tmp_path / "models", exports_dir=tmp_path / "exports", state_dir=tmp_path / "state", cluster=address
    )
    store = JobStore(settings.state_dir)
    job = store.submit(TrainOrder(("small.csv",)), "admin", 0.0)
    with Child(job, settings, store.log_of(job), Limits(60, 4096)) as child:
        while child.tick(1.0):
            pass
        error, _code = child.fault()
    assert f"the Dask scheduler at {address} does not answer" in error
