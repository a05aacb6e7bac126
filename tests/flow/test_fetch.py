"""Exports fetched from a real PostgreSQL by a job: whole or not at all, bounded, and stopped in the middle of a query."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg2
import pytest

from shared.frame import open_export
from tests.postgres_server import PostgresServer
from tests.web_client import csrf_of, with_session
from trainer import exports, jobs
from trainer.config import Settings
from trainer.jobs import Job, JobStore
from trainer.tasks.orders import FetchOrder
from trainer.tasks.worker import Worker
from trainer.web.app import create_app

DEADLINE_S = 60.0
ROWS = 1400
TABLE = f"""CREATE TABLE log_entries (id bigserial PRIMARY KEY, "timestamp" timestamptz NOT NULL, host text,
    program text, pid text, severity text, message text);
INSERT INTO log_entries ("timestamp", host, program, message)
    SELECT now() - n * interval '1 minute', 'ap1', CASE n % 2 WHEN 0 THEN 'cron' ELSE 'hostapd' END,
    'wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated' FROM generate_series(1, {ROWS}) n;
CREATE VIEW slow AS SELECT id, "timestamp", host, program, pid, severity, message FROM log_entries, pg_sleep(600)
"""


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    dsn = postgres.create_database()
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(TABLE)
    connection.close()
    return dsn


@pytest.fixture
def settings(tmp_path: Path, dsn: str) -> Settings:
    return Settings(exports_dir=tmp_path / "exports", state_dir=tmp_path / "state", database_url=dsn)


@pytest.fixture
def worker(settings: Settings) -> Iterator[Worker]:
    found = Worker(settings, JobStore(settings.state_dir))
    found.start()
    yield found
    found.stop()


def until(worker: Worker, number: int, wanted: Callable[[Job], bool]) -> Job:
    end = time.monotonic() + DEADLINE_S
    while True:
        job = worker.store.find(str(number))
        assert job is not None
        if wanted(job):
            return job
        assert time.monotonic() < end, job
        time.sleep(0.02)


def done(worker: Worker, order: FetchOrder) -> Job:
    """The job at its end."""
    job = worker.store.submit(order, "admin", time.time())
    worker.wake()
    return until(worker, job.number, lambda each: not each.is_open)


def left_in(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.exports_dir.iterdir())


def test_rows_become_an_export_that_is_looked_into(worker: Worker, settings: Settings) -> None:
    job = done(worker, FetchOrder("march.csv.gz", programs=("hostapd",)))
    assert (job.state, job.error) == (jobs.COMPLETED, "")
    assert job.result["rows"] == ROWS // 2
    assert [entry[0] for entry in job.trail] == ["fetch", "validate"]
    one = exports.find_export(settings.exports_dir, "march.csv.gz")
    assert {row[3] for row in open_export(one.path).rows()} == {"hostapd"}
    known = exports.read_check(settings.state_dir, one, "wifi")
    assert known is not None
    assert known["valid_rows"] == ROWS // 2
    again = done(worker, FetchOrder("march.csv.gz"))
    assert "of this name already" in again.error
    assert left_in(settings) == ["march.csv.gz"]


@pytest.mark.parametrize(
    ("order", "said"),
    [
        (FetchOrder("a.csv", table="nothing"), "there is no table nothing"),
        (FetchOrder("a.csv", start=0.0, end=86_400.0), "no rows from 1970-01-01T00:00:00Z"),
    ],
)
def test_what_cannot_be_fetched_is_said_and_nothing_is_kept(
    worker: Worker, settings: Settings, order: FetchOrder, said: str
) -> None:
    job = done(worker, order)
    assert job.state == jobs.FAILED
    assert said in job.error
    assert left_in(settings) == []


def test_a_query_that_takes_for_ever_is_stopped_here_and_on_the_server(
    worker: Worker, settings: Settings, dsn: str
) -> None:
    job = worker.store.submit(FetchOrder("slow.csv", table="slow"), "admin", time.time())
    worker.wake()
    running = until(worker, job.number, lambda _each: _asleep(dsn))
    worker.store.stop(running, time.time())
    worker.wake()
    assert until(worker, job.number, lambda each: not each.is_open).state == jobs.CANCELLED
    assert left_in(settings) == []
    until(worker, job.number, lambda _each: not _asleep(dsn))


def _asleep(dsn: str) -> bool:
    """Does the server work on an export?"""
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'"
                " AND query LIKE 'COPY%'"
            )
            found = cursor.fetchone()
            return bool(found and found[0])
    finally:
        connection.close()


def test_the_page_asks_for_a_fetch_and_names_what_is_wrong(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, models_dir=tmp_path, database_url="postgresql://reader:s3cret@db/logs")
    app = create_app(settings.state_dir, models_dir=settings.models_dir, settings=settings)
    client = with_session(app)
    page = client.get("/fetch").get_data(as_text=True)
    assert "logs on db" in page
    assert not {"reader", "s3cret"} & set(page.replace(":", " ").replace("@", " ").split())
    token = csrf_of(client, "/fetch")
    wrong = client.post("/fetch", data={"csrf_token": token, "start_date": "yesterday", "agent": "wifi"})
    assert wrong.status_code == 400
    assert "'yesterday'" in wrong.get_data(as_text=True).replace("&#39;", "'")
    odd = client.post("/fetch", data={"csrf_token": token, "name": "../../etc/passwd", "agent": "wifi"})
    assert odd.status_code == 400
    started = client.post(
        "/fetch", data={"csrf_token": token, "programs": "hostapd, ", "agent": "wifi", "name": "week.csv.gz"}
    )
    assert started.status_code == 303
    (job,) = JobStore(settings.state_dir).listed()
    assert (job.kind, job.order) == (
        "fetch",
        {"export": "week.csv.gz", "agent": "wifi", "programs": ["hostapd"], "table": "log_entries"},
    )
    assert client.get(started.location).status_code == 200


def test_without_a_database_page_and_api_say_what_to_set(tmp_path: Path) -> None:
    app = create_app(tmp_path, models_dir=tmp_path / "models")
    client = with_session(app)
    assert "TRAINING_DATABASE_URL" in client.get("/fetch").get_data(as_text=True)
    key = app.extensions["pipit"].account.add_token("test", "admin")
    answer = app.test_client().post("/api/v1/exports", json={}, headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 400
    assert "TRAINING_DATABASE_URL" in answer.get_data(as_text=True)
