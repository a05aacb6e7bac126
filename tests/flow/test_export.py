"""Exports from a real PostgreSQL, read back by the readers of the product."""

from __future__ import annotations

import json
import threading
import tracemalloc
from pathlib import Path

import psycopg2
import pytest

from shared.errors import ConfigError, ExportError, SourceError
from shared.frame import open_export
from tests.postgres_server import PostgresServer
from trainer.export import DAY_S, export

NOW = 1_773_100_800.0  # 2026-03-10
TABLE = """CREATE TABLE log_entries (id bigserial PRIMARY KEY, "timestamp" timestamptz NOT NULL, host text,
    program text, pid text, severity text, message text)"""
HOSTILE = 'quote " comma , line\nbreak \\ back\tslash é \u202e'


def run(dsn: str, *statements: str) -> None:
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database with a log of 40 days: a row an hour, every third from another program, one of each odd time."""
    dsn = postgres.create_database()
    run(
        dsn,
        TABLE,
        f"""INSERT INTO log_entries ("timestamp", host, program, pid, severity, message)
            SELECT to_timestamp({NOW} - n * 3600 - 1.25), 'ap' || n % 2, CASE n % 3 WHEN 0 THEN 'cron' ELSE 'hostapd' END,
            '7', 'info', 'line ' || n FROM generate_series(0, 959) n""",
        "INSERT INTO log_entries (\"timestamp\", host, program, message) VALUES ('infinity', 'x', 'hostapd', 'never')",
        "INSERT INTO log_entries (\"timestamp\", host, program, message) VALUES ('-infinity', 'x', 'hostapd', 'never')",
        "INSERT INTO log_entries (\"timestamp\", host, program, message) VALUES ('294000-01-01', 'x', 'hostapd', 'never')",
    )
    connection = psycopg2.connect(dsn)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            'INSERT INTO log_entries ("timestamp", host, program, pid, severity, message) VALUES (to_timestamp(%s),%s,%s,%s,%s,%s)',
            (NOW - 5, "ap1", "hostapd", None, "warning", HOSTILE),
        )
    connection.close()
    return dsn


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz", "log.json", "log.json.gz", "log.jsonl", "log.jsonl.gz"])
def test_an_export_of_each_form_is_read_back_row_by_row(dsn: str, tmp_path: Path, name: str) -> None:
    report = export(dsn, tmp_path / name, now=lambda: NOW)
    read = open_export(tmp_path / name)
    rows = list(read.rows())
    assert report.rows == len(rows) == 721
    assert report.size_bytes == (tmp_path / name).stat().st_size
    assert (report.start, report.end) == (NOW - 30 * DAY_S, NOW)
    assert [row[1] for row in rows] == sorted(row[1] for row in rows)
    assert rows[-1][1:] == (NOW - 1.25, "ap0", "cron", "7", 6, "line 0")
    assert rows[-2][2:] == ("ap1", "hostapd", "", 4, HOSTILE)
    if ".json" in name and "jsonl" not in name:
        assert read.metadata["total_records"] == 721
        assert read.metadata["start"] == "2026-02-08T00:00:00Z"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_range_and_programs_choose_the_rows(dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    report = export(dsn, out, start=NOW - 7200, end=NOW, programs=["hostapd"], now=lambda: NOW)
    rows = list(open_export(out).rows())
    assert report.rows == len(rows) == 2
    assert {row[3] for row in rows} == {"hostapd"}
    export(dsn, out, start=0, end=NOW + 1, now=lambda: NOW)
    assert not any(row[6] == "never" for row in open_export(out).rows())


def test_other_tables_and_column_names_are_found(postgres: PostgresServer, tmp_path: Path) -> None:
    dsn = postgres.create_database()
    run(
        dsn,
        "CREATE SCHEMA logs",
        'CREATE TABLE logs."Sys" ("time" timestamp, device_id text, process_name text, level smallint, msg text)',
        """INSERT INTO logs."Sys" VALUES ('2026-03-09 12:00:00', 'ap1', 'hostapd', 4, 'x')""",
    )
    export(dsn, tmp_path / "x.csv", table="logs.Sys", now=lambda: NOW)
    assert list(open_export(tmp_path / "x.csv").rows()) == [(1, NOW - 12 * 3600, "ap1", "hostapd", "", 4, "x")]


def test_a_table_s_name_may_hold_anything(postgres: PostgresServer, tmp_path: Path) -> None:
    dsn = postgres.create_database()
    for name in ('"My logs"."we""ird.table%"', '"My logs"."of 100%s"'):
        run(
            dsn,
            'CREATE SCHEMA IF NOT EXISTS "My logs"',
            f"CREATE TABLE {name} (timestamp timestamp, program text, message text)",
        )
        run(dsn, f"INSERT INTO {name} VALUES ('2026-03-09 12:00:00', 'hostapd', 'x')")
    for written in ('"My logs"."we""ird.table%"', "My logs.of 100%s"):
        assert export(dsn, tmp_path / "x.csv", table=written, now=lambda: NOW).rows == 1
    with pytest.raises(ExportError, match="in double quotes"):
        export(dsn, tmp_path / "x.csv", table='other."My logs".x')


def test_a_password_of_one_letter_does_not_spoil_the_words(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="Connection refused"):
        export("host=127.0.0.1 port=1 password=e dbname=logs", tmp_path / "x.csv")


def test_no_rows_write_a_whole_file_that_says_so_when_it_is_read(dsn: str, tmp_path: Path) -> None:
    for name in ("a.csv", "a.json", "a.jsonl"):
        assert export(dsn, tmp_path / name, start=10, end=20).rows == 0
    assert json.loads((tmp_path / "a.json").read_text())["logs"] == []
    with pytest.raises(ExportError, match="there are no rows"):
        list(open_export(tmp_path / "a.csv").rows())


def test_nothing_is_ever_written_to_the_database(dsn: str, tmp_path: Path) -> None:
    run(
        dsn,
        'CREATE FUNCTION sly() RETURNS text LANGUAGE sql AS $$ INSERT INTO log_entries ("timestamp", message)'
        " VALUES (now(), 'x') RETURNING 'x' $$",
    )
    run(dsn, "CREATE VIEW sly_view AS SELECT now() AS timestamp, 'p' AS program, sly() AS message")
    with pytest.raises(SourceError, match="read-only"):
        export(dsn, tmp_path / "x.csv", table="sly_view", start=0, end=NOW * 2)
    assert not list(tmp_path.iterdir())


def test_what_was_there_stays_when_the_export_fails(dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    out.write_text("before")
    with pytest.raises(ExportError, match="there is no table nothing in database"):
        export(dsn, out, table="nothing")
    with pytest.raises(ConfigError, match="the range is empty"):
        export(dsn, out, start=5, end=5)
    with pytest.raises(ConfigError, match="format 'xml'"):
        export(dsn, out, format="xml")
    assert out.read_text() == "before"
    with pytest.raises(ExportError, match="No such file"):
        export(dsn, tmp_path / "nowhere" / "x.csv")


def test_a_table_without_a_message_says_what_is_missing(postgres: PostgresServer, tmp_path: Path) -> None:
    dsn = postgres.create_database()
    run(dsn, "CREATE TABLE log_entries (id int, timestamp timestamptz, program text)")
    with pytest.raises(ExportError, match=r"no column for message .*there are id, timestamp, program"):
        export(dsn, tmp_path / "x.csv")


def test_a_user_without_permission_is_told_what_to_grant(dsn: str, tmp_path: Path) -> None:
    run(dsn, "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'hush hush'")
    poor = dsn.replace("postgres@", "reader:hush%20hush@")
    with pytest.raises(ExportError, match=r"permission denied.*grant this user SELECT"):
        export(poor, tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("dsn", "kind"),
    [
        ("postgresql://u:hush%40me@127.0.0.1:1/db", SourceError),
        ("host=127.0.0.1 port=1 password=hush@me dbname=db", SourceError),
        ("postgresql://u:hush%40me@127.0.0.1:notaport/db", SourceError),
        ("nonsense password=hush@me", ConfigError),
    ],
)
def test_a_server_that_is_not_there_is_named_without_the_password(
    dsn: str, kind: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        export(dsn, tmp_path / "x.csv")
    assert "hush" not in str(caught.value)
    assert "export from postgresql" in str(caught.value)


def test_a_query_that_takes_too_long_ends(dsn: str, tmp_path: Path) -> None:
    run(dsn, "CREATE VIEW slow AS SELECT now() AS timestamp, 'p' AS program, pg_sleep(30)::text AS message")
    with pytest.raises(SourceError, match="took too long"):
        export(dsn, tmp_path / "x.csv", table="slow", start=0, end=NOW * 2, query_timeout_s=0.3)


def test_memory_stays_flat_and_progress_is_told(dsn: str, tmp_path: Path) -> None:
    run(
        dsn,
        f"""INSERT INTO log_entries ("timestamp", host, program, message)
        SELECT to_timestamp({NOW} - 1 - n * 0.001), 'ap1', 'hostapd', repeat('x', 100) || n FROM generate_series(1, 25000) n""",
    )
    steps: list[str] = []

    def note(step: str, part: float | None = None) -> None:
        steps.append(step)

    for name in ("x.csv", "x.json.gz"):
        tracemalloc.start()
        export(dsn, tmp_path / name, now=lambda: NOW, progress=note)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000
    assert any("rows" in step for step in steps)


def test_two_exports_at_once_leave_one_whole_file(dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    errors: list[BaseException] = []

    def work() -> None:
        try:
            export(dsn, out, now=lambda: NOW)
        except ExportError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sum(1 for _ in open_export(out).rows()) == 721
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_server_that_never_answers_is_given_up(dsn: str, tmp_path: Path) -> None:
    run(dsn, "CREATE VIEW slow AS SELECT now() AS timestamp, 'p' AS program, pg_sleep(30)::text AS message")
    with pytest.raises(SourceError, match="closed"):
        export(dsn, tmp_path / "x.csv", table="slow", start=0, end=NOW * 2, stall_s=0.3)
    assert not list(tmp_path.iterdir())
