"""Jobs for real: child processes, limits that hold, a worker that is the only one, and what a restart makes of it all."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes import V1, Workshop
from tests.shipping import RunningPi
from tests.sshd_server import SshdServer
from trainer import jobs, targets
from trainer.config import Settings
from trainer.jobs import Job, JobStore
from trainer.shipping import history
from trainer.tasks.child import COMMAND
from trainer.tasks.orders import CheckOrder, RollbackOrder, ShipOrder, TrainOrder
from trainer.tasks.worker import Worker

DEADLINE_S = 60.0
ROWS = "".join(
    f"{n},2026-03-0{1 + n // 700}T{n // 60 % 24:02d}:{n % 60:02d}:01Z,ap1,hostapd,1,info,"
    "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated\n"
    for n in range(1400)
)
# Children that stand for a job: they read their order, say where they are, then do one thing.
CHILD = """
import json, os, signal, sys, time
order = json.loads(sys.stdin.buffer.raw.readline())
def say(**said): print(json.dumps(said), flush=True)
say(steps=["one"], step="one", share=0.5, trail=[["one", time.time(), "begun"]])
"""
ENDLESS = CHILD + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nsignal.pause()"
WAITS = CHILD + "sys.stdin.buffer.raw.read()"


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("trainer.tasks.child.GRACE_S", 0.5)
    folder = tmp_path / "exports"
    folder.mkdir()
    with gzip.open(folder / "week.csv.gz", "wt") as file:
        file.write("id,timestamp,host,program,pid,severity,message\n" + ROWS)
    return Settings(models_dir=tmp_path / "models", exports_dir=folder, state_dir=tmp_path / "state")


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Worker]]:
    """Start workers, with a child of the test's own where one is given."""
    workers = []

    def started(child: str | None = None, **changes: int) -> Worker:
        known = Settings(**{**settings.__dict__, **changes})
        command = COMMAND if child is None else (sys.executable, "-c", child)
        worker = Worker(known, JobStore(known.state_dir), command=command)
        workers.append(worker)
        worker.start()
        return worker

    yield started
    for worker in workers:
        worker.stop()


def until(store: JobStore, number: int, wanted: Callable[[Job], bool]) -> Job:
    """The job as soon as it is so."""
    end = time.monotonic() + DEADLINE_S
    while True:
        job = store.find(str(number))
        assert job is not None
        if wanted(job):
            return job
        assert time.monotonic() < end, job
        time.sleep(0.02)


def ended(job: Job) -> bool:
    return not job.is_open


def test_an_export_is_looked_into_by_a_child(start: Callable[..., Worker], settings: Settings) -> None:
    worker = start()
    job = worker.store.submit(CheckOrder("week.csv.gz"), "admin", time.time())
    worker.wake()
    done = until(worker.store, job.number, ended)
    assert (done.state, done.error) == (jobs.COMPLETED, "")
    assert done.result["fit"] is True
    assert done.trail[0][2] == "1,400 rows good"
    assert done.memory_bytes > 5_000_000
    gone = worker.store.submit(TrainOrder(("gone.csv",)), "admin", time.time())
    failed = until(worker.store, gone.number, ended)
    assert failed.state == jobs.FAILED
    assert "does not lie in the exports folder" in failed.error
    assert not list(settings.models_dir.glob("*")), "no half model is ever listed"


@pytest.mark.parametrize(
    ("child", "limits", "said"),
    [
        (ENDLESS, {"max_training_time": 0}, "TRAINING_MAX_TRAINING_TIME"),
        (CHILD + "x = bytearray(300_000_000)\nsys.stdin.buffer.raw.read()", {"max_memory_usage": 150}, "TRAINING_MAX_MEMORY_USAGE"),
        (CHILD + "os.kill(os.getpid(), signal.SIGKILL)", {}, "SIGKILL"),
        (CHILD + "sys.exit(3)", {}, "exit code 3"),
        ("print('not json')", {}, "without a result"),
    ],
)  # fmt: skip
def test_a_child_that_goes_wrong_ends_with_a_clear_error(
    start: Callable[..., Worker], child: str, limits: dict[str, int], said: str
) -> None:
    worker = start(child, **limits)
    job = worker.store.submit(TrainOrder(("week.csv.gz",)), "admin", time.time())
    worker.wake()
    failed = until(worker.store, job.number, ended)
    assert failed.state == jobs.FAILED
    assert said in failed.error


def test_a_running_job_stops_when_it_is_asked_even_if_it_will_not(start: Callable[..., Worker]) -> None:
    worker = start(ENDLESS)
    job = worker.store.submit(TrainOrder(("week.csv.gz",)), "admin", time.time())
    worker.wake()
    running = until(worker.store, job.number, lambda each: each.share == 0.5)
    worker.store.stop(running, time.time())
    worker.wake()
    assert until(worker.store, job.number, ended).state == jobs.CANCELLED


def test_of_two_workers_one_works_and_the_other_takes_over(start: Callable[..., Worker]) -> None:
    first = start(WAITS)
    assert first.leads.wait(DEADLINE_S)
    second = start(WAITS)
    job = first.store.submit(TrainOrder(("week.csv.gz",)), "admin", time.time())
    until(first.store, job.number, lambda each: each.state == jobs.RUNNING)
    assert not second.leads.is_set()
    first.stop()
    assert second.leads.wait(DEADLINE_S)
    again = until(first.store, job.number, lambda each: each.state == jobs.RUNNING and each.share == 0.5)
    assert again.attempts == 1, "a worker that stops in good order costs no attempt"


def test_a_worker_that_is_killed_takes_its_children_with_it(settings: Settings) -> None:
    store = JobStore(settings.state_dir)
    job = store.submit(TrainOrder(("week.csv.gz",)), "admin", time.time())
    script = (
        "import sys, pathlib, signal; from trainer.config import Settings; from trainer.jobs import JobStore;"
        "from trainer.tasks.worker import Worker; s = pathlib.Path(sys.argv[1]);"
        "k = Settings(models_dir=s / 'm', exports_dir=s / 'e', state_dir=s);"
        "Worker(k, JobStore(s), command=(sys.executable, '-c', sys.argv[2])).start(); signal.pause()"
    )
    child = WAITS.replace('say(steps=["one"]', "say(steps=[str(os.getpid())]")
    service = subprocess.Popen([sys.executable, "-c", script, str(settings.state_dir), child])
    try:
        running = until(store, job.number, lambda each: bool(each.steps))
    finally:
        service.kill()
        service.wait(DEADLINE_S)
    end = time.monotonic() + DEADLINE_S
    while Path(f"/proc/{running.steps[0]}/cmdline").exists() and Path(f"/proc/{running.steps[0]}/cmdline").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.02)
    store.recover(time.time())
    assert until(store, job.number, lambda _each: True).state == jobs.QUEUED


def test_shipping_and_going_back_are_jobs_over_real_sftp(
    start: Callable[..., Worker], tmp_path: Path, own_sshd: SshdServer
) -> None:
    workshop = Workshop(tmp_path)
    workshop.make(V1)
    pi = RunningPi(tmp_path / "pi", workshop.allowed, inbox=own_sshd.inbox)
    pi.run()
    try:
        worker = start(models_dir=workshop.models, state_dir=workshop.state_dir)
        attic = targets.parse_target("attic", own_sshd.url, own_sshd.identity, own_sshd.known_hosts)
        for target in (
            attic,
            targets.parse_target("cabin", "sftp://pipit@127.0.0.1:1/inbox", own_sshd.identity, own_sshd.known_hosts),
        ):
            targets.add_target(workshop.state_dir, target)
        job = worker.store.submit(ShipOrder("wifi", V1, group="all", timeout_s=30), "admin", time.time())
        done = until(worker.store, job.number, ended)
        assert (done.state, done.error) == (jobs.COMPLETED, "")
        assert {one["target"]: one["state"] for one in done.result["results"]} == {
            "attic": "loaded",
            "cabin": "offline",
        }
        assert pi.serving() == V1
        back = worker.store.submit(RollbackOrder("attic", "wifi", V1, timeout_s=30), "admin", time.time())
        assert until(worker.store, back.number, ended).state == jobs.COMPLETED
        assert pi.serving() == f"{V1}-r1"
        assert [one.what for one in history.transfers(workshop.state_dir, target="attic")] == ["rollback", "ship"]
    finally:
        pi.end()
