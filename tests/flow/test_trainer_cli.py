"""The trainer's commands as a person types them: processes, files, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import csv
import json
from contextlib import closing

import psycopg2
import pytest

from tests.postgres_server import PostgresServer
from tests.trainer_command import EXPORT, HOSTAPD, LINES, ROOT, Trainer, export_of, trainer

__all__ = ["trainer"]


# --- export and validate ----------------------------------------------------------------------------------------


@pytest.fixture
def database(postgres: PostgresServer) -> str:
    """A log table with the small log in it; the DSN."""
    dsn = postgres.create_database()
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE log_entries (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, timestamp timestamptz, "
            "host text, program text, pid text, severity smallint, message text)"
        )
        for row in LINES:
            cursor.execute("INSERT INTO log_entries (timestamp, host, program, message) VALUES (%s, %s, %s, %s)", row)
    return dsn


def test_an_export_of_a_real_database_can_be_read_again(trainer: Trainer, database: str) -> None:
    told = trainer.json(
        "export", "--output-file", "out.csv.gz", "--start-date", "2026-03-03", "--end-date", "2026-03-04", "--json",
        TRAINING_DATABASE_URL=database,
    )  # fmt: skip
    assert (told["rows"], told["format"], told["start"]) == (4, "csv", "2026-03-03T00:00:00Z")
    events = trainer.run("events", "out.csv.gz", "--json").stdout.splitlines()
    assert len(events) == 4
    report = trainer.run("validate", "out.csv.gz", "--json")
    assert isinstance(json.loads(report.stdout), dict), report.stderr


def test_validate_says_in_words_what_is_in_an_export_and_what_is_wrong(trainer: Trainer) -> None:
    done = trainer.run("validate", export_of(trainer.folder, [*LINES, ("no time", "ap1", HOSTAPD, "x")]))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("small.csv: fit to train on") or "/small.csv: fit to train on" in done.stdout
    for words in (
        "rows      4 good, 1 bad",
        "line 6:",
        "100.0% of the rows are wifi's: hostapd 4",
        "1: ap1 4",
        "25.0%",
    ):
        assert words in done.stdout
    assert "warning:" in done.stdout, "it spans less than a day"
    assert "\x1b" not in done.stdout


def test_an_export_that_is_not_fit_ends_with_exit_code_one(trainer: Trainer) -> None:
    done = trainer.run("validate", export_of(trainer.folder, []), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["fit"] is False


def test_programs_and_dates_choose_the_rows(trainer: Trainer, database: str) -> None:
    arguments = ["--dsn", database, "--start-date", "2026-03-03T00:05:00Z", "--end-date", "2026-03-03T00:06:01Z"]
    done = trainer.run("export", *arguments, "--programs", "hostapd, sshd", "--output-file", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 rows of 2026-03-03T00:05:00Z to 2026-03-03T00:06:01Z")
    assert len((trainer.folder / "out.jsonl").read_text().splitlines()) == 1


def test_without_a_database_named_export_is_a_usage_error(trainer: Trainer) -> None:
    done = trainer.run("export", "--output-file", "out.csv")
    assert done.returncode == 2
    assert "--dsn" in done.stderr


def test_a_database_that_does_not_answer_is_unknown_and_its_password_is_not_shown(trainer: Trainer) -> None:
    done = trainer.run("export", "--dsn", "postgresql://me:hunter2@127.0.0.1:1/logs", "--output-file", "out.csv")
    assert done.returncode == 3
    assert "hunter2" not in done.stderr
    assert list(trainer.folder.glob("*out*")) == []


# --- events and features ----------------------------------------------------------------------------------------


def test_events_are_one_json_object_a_row_and_nothing_else(trainer: Trainer) -> None:
    done = trainer.run("events", export_of(trainer.folder, LINES), "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    assert [row["id"] for row in rows] == [7, 8, 9, 10]
    assert rows[0]["mac"] == "02:00:00:00:00:01"
    assert rows[-1] == {"id": 10, "event": "unknown"}
    assert done.stderr == ""


def test_without_json_events_are_counted(trainer: Trainer) -> None:
    done = trainer.run("events", export_of(trainer.folder, LINES))
    assert "unknown" in done.stdout
    assert "25.0%" in done.stdout


def test_bad_rows_are_passed_over_and_counted_on_stderr(trainer: Trainer) -> None:
    file = export_of(trainer.folder, [*LINES, ("no time at all", "ap1", HOSTAPD, "x")])
    done = trainer.run("events", file, "--json")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 4
    assert "rows passed over count=1" in done.stderr


def test_features_are_a_table_with_a_row_a_window(trainer: Trainer) -> None:
    done = trainer.run("features", export_of(trainer.folder, LINES), "--output", "f.csv")
    assert done.returncode == 0, done.stderr
    assert (done.stdout.startswith("2 windows"), done.stderr) == (True, "")
    rows = list(csv.DictReader((trainer.folder / "f.csv").open()))
    assert [(row["host"], row["window_start"], row["role"]) for row in rows] == [
        ("ap1", "2026-03-03T00:00:00Z", "ap"),
        ("ap1", "2026-03-03T00:05:00Z", "ap"),
    ]
    assert [row["log_count"] for row in rows] == ["2", "2"]
    assert rows[0]["mean_signal_strength"] == "", "a value that a host cannot have is empty, not 0"
    assert list(trainer.folder.glob("*.part")) == []


def test_features_that_cannot_be_written_leave_what_was_there(trainer: Trainer) -> None:
    done = trainer.run("features", export_of(trainer.folder, LINES), "--output", "no/such/folder/f.csv")
    assert done.returncode == 1
    assert done.stderr.startswith("pipit-trainer: write no/such/folder/f.csv: No such file or directory")


@pytest.mark.parametrize("command", [["events"], ["features", "--output", "f.csv"], ["train"], ["validate"]])
def test_an_export_that_is_not_there_is_refused_with_its_name(trainer: Trainer, command: list[str]) -> None:
    done = trainer.run(*command, "nowhere.csv")
    assert done.returncode == 1
    assert "nowhere.csv" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_an_agent_that_is_not_there_is_named_with_those_that_are(trainer: Trainer) -> None:
    done = trainer.run("events", EXPORT, "--agent", "bluetooth")
    assert done.returncode == 2
    assert "sshd, wifi" in done.stderr


def test_an_agent_of_ones_own_needs_only_its_file(trainer: Trainer) -> None:
    (trainer.folder / "agents").mkdir()
    text = (ROOT / "shared" / "agents" / "sshd.yaml").read_text().replace("name: sshd", "name: mine", 1)
    (trainer.folder / "agents" / "mine.yaml").write_text(text)
    done = trainer.run("events", EXPORT, "--agent", "mine", TRAINING_AGENTS_DIR="agents")
    assert done.returncode == 0, done.stderr


# --- the command itself -----------------------------------------------------------------------------------------


def test_help_lists_every_command(trainer: Trainer) -> None:
    done = trainer.run("--help")
    assert done.returncode == 0
    for command in (
        "export",
        "validate",
        "events",
        "features",
        "train",
        "models",
        "keys",
        "ship",
        "rollback",
        "targets",
    ):
        assert f"\n  {command} " in done.stdout


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["train"], ["features", "x.csv"], ["--config", "no.yaml", "events", "x"]]
)
def test_wrong_usage_is_exit_code_two(trainer: Trainer, arguments: list[str]) -> None:
    assert trainer.run(*arguments).returncode == 2


def test_settings_of_a_file_hold_and_the_environment_wins(trainer: Trainer) -> None:
    (trainer.folder / "trainer.yaml").write_text("models_dir: from-file\napi: {workers: 2}\n")
    done = trainer.run("--config", "trainer.yaml", "models", "list", TRAINING_MODELS_DIR="from-environment")
    assert done.returncode == 0, done.stderr
    assert "api.workers: one process" in done.stderr
