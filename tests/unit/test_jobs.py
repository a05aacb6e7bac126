"""The queue of jobs: bounded, in order, side by side by lane, and right again after whatever ended its worker."""

from __future__ import annotations

import contextlib
import io
import json
import sqlite3
from pathlib import Path

import pytest

from shared.errors import ConfigError
from trainer import jobs
from trainer.jobs import JobStore, QueueFullError
from trainer.tasks import orders
from trainer.tasks.job import Teller
from trainer.tasks.orders import CatchUpOrder, CheckOrder, FetchOrder, RollbackOrder, ShipOrder, TrainOrder, TuneOrder
from trainer.tasks.record import FORM


@pytest.fixture
def store(tmp_path: Path) -> JobStore:
    return JobStore(tmp_path)


@pytest.mark.parametrize(
    "order",
    [
        CheckOrder("a.csv"),
        TrainOrder(("a.csv", "b.csv"), overrides={"model.n_estimators": 5}, labels=({"type": "x"},)),
        TuneOrder(("a.csv",), trials=3),
        ShipOrder("wifi", "20260101_000000", group="all", canaries=0, challenger=True),
        CatchUpOrder(group="all", forced=("wifi_20260101_000000",)),
        FetchOrder("a.csv", start=0.0, programs=("hostapd",)),
        RollbackOrder("attic"),
    ],
)
def test_an_order_comes_back_from_its_json_as_it_was(order: orders.Order) -> None:
    kind = orders.kind_of(order)
    assert orders.from_json(kind, json.loads(json.dumps(orders.as_json(order)))) == order


def test_an_order_of_another_release_is_refused() -> None:
    with pytest.raises(ConfigError, match="no order of this release"):
        orders.from_json("check", {"export": "a.csv", "colour": "red"})


def test_a_job_of_another_release_is_still_listed_with_its_exports(store: JobStore) -> None:
    store.submit(TrainOrder(("a.csv", "b.csv")), "admin", 1.0)
    store.submit(CheckOrder("c.csv"), "admin", 2.0)
    with contextlib.closing(sqlite3.connect(store.state_dir / jobs.FILE)) as db:
        db.execute("""UPDATE jobs SET "order" = json_set("order", '$.colour', 'red')""")
        db.commit()
    assert [job.exports for job in store.listed()] == [("c.csv",), ("a.csv", "b.csv")]


def test_what_a_job_says_of_its_progress_never_goes_back() -> None:
    """A search looks at the exports again before it trains with what it found."""
    stream = io.StringIO()
    tell = Teller(stream)
    tell.plan(("validate", "search", "learn"))
    for step, share in (("validate", 0.5), ("search", 0.5), ("validate", 1.0), ("learn", 0.1), ("search", 0.0)):
        tell.step(step, share)
    shares = [said["share"] for line in stream.getvalue().splitlines() if "share" in (said := json.loads(line))]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(0.7, abs=0.01)


def test_the_queue_is_bounded_and_says_so(store: JobStore) -> None:
    for number in range(jobs.MAX_QUEUED):
        store.submit(CheckOrder(f"{number}.csv"), "admin", 1.0)
    with pytest.raises(QueueFullError, match="try again"):
        store.submit(CheckOrder("one-more.csv"), "admin", 1.0)


def test_a_button_pressed_twice_makes_one_job(store: JobStore) -> None:
    first = store.submit(TrainOrder(("a.csv",)), "admin", 1.0)
    assert store.submit(TrainOrder(("a.csv",)), "admin", 2.0).number == first.number
    store.claim("work", 3.0)
    assert store.submit(TrainOrder(("a.csv",)), "admin", 4.0).number != first.number


def test_going_back_twice_at_once_goes_back_once(store: JobStore) -> None:
    first = store.submit(RollbackOrder("attic"), "admin", 1.0)
    store.claim("ship", 2.0)
    assert store.submit(RollbackOrder("attic"), "admin", 3.0).number == first.number, "a second one would go forward"
    assert store.submit(RollbackOrder("cellar"), "admin", 4.0).number != first.number
    store.stop(first, 5.0)
    assert store.submit(RollbackOrder("attic"), "admin", 6.0).number != first.number, "one that is stopped is no answer"


def test_jobs_come_in_order_and_lanes_do_not_wait_for_each_other(store: JobStore) -> None:
    first = store.submit(TrainOrder(("a.csv",)), "admin", 1.0)
    second = store.submit(TrainOrder(("b.csv",)), "admin", 1.0)
    look = store.submit(CheckOrder("a.csv"), "admin", 1.0)
    assert store.position(second) == 1
    for lane, wanted in (("work", first), ("look", look), ("work", second)):
        claimed = store.claim(lane, 2.0)
        assert claimed is not None
        assert (claimed.number, claimed.state) == (wanted.number, jobs.RUNNING)
    assert store.claim("ship", 2.0) is None


def test_a_queue_from_before_roll_outs_could_pause_goes_on(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / jobs.FILE)) as db:
        db.executescript(FORM.schema)
        db.execute(
            'INSERT INTO jobs (key, kind, lane, agent, subject, "order", by, state, created, updated) VALUES'
            " ('k', 'check', 'look', 'wifi', 'a.csv', '{}', 'admin', 'queued', 1, 1)"
        )
        db.commit()
    (old,) = JobStore(tmp_path).listed()
    assert (old.key, old.paused) == ("k", False)


def test_a_waiting_job_is_stopped_at_once_and_a_running_one_is_asked(store: JobStore) -> None:
    waits = store.submit(CheckOrder("a.csv"), "admin", 1.0)
    stopped = store.stop(waits, 2.0)
    assert stopped is not None
    assert stopped.state == jobs.CANCELLED
    store.submit(CheckOrder("b.csv"), "admin", 1.0)
    running = store.claim("look", 2.0)
    assert running is not None
    assert store.tell(running.number, 3.0, step="validate") is False
    store.stop(running, 3.0)
    assert store.tell(running.number, 4.0, share=0.5) is True
    store.end(running.number, jobs.CANCELLED, 5.0)
    assert store.stop(running, 6.0) is None


def test_after_a_crash_work_starts_again_once_and_shipping_waits_for_a_person(store: JobStore) -> None:
    train = store.submit(TrainOrder(("a.csv",)), "admin", 1.0)
    ship = store.submit(ShipOrder("wifi", "20260101_000000", target="attic"), "admin", 1.0)
    for lane in ("work", "ship"):
        store.claim(lane, 2.0)
    store.recover(3.0)
    states = {each.number: each.state for each in store.listed()}
    assert states == {train.number: jobs.QUEUED, ship.number: jobs.INTERRUPTED}
    store.claim("work", 4.0)
    store.recover(5.0)
    again = store.find(str(train.number))
    assert again is not None
    assert (again.state, again.attempts) == (jobs.INTERRUPTED, 2)
    assert "while this job ran" in again.error


def test_a_service_that_stops_in_good_order_costs_no_attempt(store: JobStore) -> None:
    store.submit(TrainOrder(("a.csv",)), "admin", 1.0)
    running = store.claim("work", 2.0)
    assert running is not None
    store.give_back(running, 3.0)
    again = store.find(running.key)
    assert again is not None
    assert (again.state, again.attempts, again.ended) == (jobs.QUEUED, 0, None)


def test_old_jobs_are_forgotten_with_their_logs_and_open_ones_stay(store: JobStore) -> None:
    old = store.submit(CheckOrder("a.csv"), "admin", 1.0)
    store.log_of(old).parent.mkdir()
    store.log_of(old).write_text("x")
    store.end(old.number, jobs.COMPLETED, 10.0)
    store.submit(CheckOrder("b.csv"), "admin", 1.0)
    assert store.forget(11.0) == 1
    assert not store.log_of(old).exists()
    assert [job.state for job in store.listed()] == [jobs.QUEUED]


@pytest.mark.parametrize("reference", ["", "-1", "99", "x' OR 1=1", "9" * 40, "²"])
def test_a_job_that_is_none_is_not_found(store: JobStore, reference: str) -> None:
    assert store.find(reference) is None
