"""The trainer's commands as a person types them: processes, files, exit codes, what goes to stdout and what to stderr."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from shared import bundle
from tests import measured
from tests.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parents[2]
EXPORT = ROOT / "examples" / "wifi-train.csv.gz"
CONFIGS = ROOT / "tests" / "data" / "model_config"


@dataclass(frozen=True)
class Trainer:
    """The command in a folder of its own, with nothing of this machine's settings."""

    folder: Path

    def run(self, *arguments: object, **env: str) -> subprocess.CompletedProcess[str]:
        settings = {"TRAINING_STATE_DIR": str(self.folder / "state"), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [sys.executable, "-m", "trainer", *map(str, arguments)],
            cwd=self.folder,
            env={**settings, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    def json(self, *arguments: object, **env: str) -> Any:
        done = self.run(*arguments, **env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def trainer(tmp_path: Path) -> Trainer:
    return Trainer(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, dict[str, Any]]:
    """One training run on the example export, whose result several tests look at."""
    trainer = Trainer(tmp_path_factory.mktemp("trainer"))
    return trainer, trainer.json("train", EXPORT, "--json", "--set", "features.exclude=[timeouts]", *measured.OPTIONS)


def export_of(folder: Path, rows: list[tuple[str, str, str, str]]) -> Path:
    """A small CSV export of (timestamp, host, program, message)."""
    file = folder / "small.csv"
    with file.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["id", "timestamp", "host", "program", "pid", "severity", "message"])
        for number, (time, host, program, message) in enumerate(rows, 7):
            table.writerow([number, time, host, program, "1", "info", message])
    return file


HOSTAPD = "hostapd"
LINES = [
    ("2026-03-03T00:00:01Z", "ap1", HOSTAPD, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: authenticated"),
    ("2026-03-03T00:00:02Z", "ap1", HOSTAPD, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: associated (aid 1)"),
    ("2026-03-03T00:06:00Z", "ap1", HOSTAPD, "wlan0: STA 02:00:00:00:00:01 IEEE 802.11: disassociated"),
    ("2026-03-03T00:06:01Z", "ap1", HOSTAPD, "a line that nobody knows \x1b[2J"),
]


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


# --- train ------------------------------------------------------------------------------------------------------


def test_training_makes_a_whole_signed_bundle_and_says_where(trained: tuple[Trainer, dict[str, Any]]) -> None:
    trainer, told = trained
    folder = trainer.folder / told["bundle"]
    assert sorted(path.name for path in folder.iterdir()) == sorted([*bundle.FILES, bundle.MANIFEST, bundle.SIGNATURE])
    manifest = bundle.verify(bundle.open_bundle(folder), trainer.folder / "state" / "allowed_signers")
    assert (manifest.agent, manifest.version, manifest.serial) == ("wifi", told["version"], told["serial"])
    assert told["key_made"] is True
    assert (trainer.folder / "models" / "wifi" / "active").resolve() == folder.resolve()
    assert (trainer.folder / "models" / "wifi_model_active.joblib").exists()


def test_the_metadata_tells_how_the_model_was_made(trained: tuple[Trainer, dict[str, Any]]) -> None:
    trainer, told = trained
    metadata = told["metadata"]
    assert metadata == json.loads((trainer.folder / told["bundle"] / "metadata.json").read_text())
    assert metadata["agent_name"] == "wifi"
    assert metadata["training_data_source"] == EXPORT.name
    assert metadata["training_log_count"] > 10_000
    assert "timeouts" not in metadata["features_used"]
    assert metadata["training_info"]["data_info"]["features_excluded"] == ["timeouts"]
    assert metadata["thresholds"]["alert_budget"] == 0.15


def test_a_bundle_carries_no_identities_of_the_site(trained: tuple[Trainer, dict[str, Any]]) -> None:
    trainer, told = trained
    with gzip.open(EXPORT, "rt") as stream:
        rows = list(csv.DictReader(stream))
    hosts = {row["host"] for row in rows}
    events = trainer.run("events", EXPORT, "--json").stdout.splitlines()
    counts = Counter(v for line in events for k, v in json.loads(line).items() if k in ("mac", "bssid", "ssid"))
    names = {name for name in hosts | set(counts) if len(name) > 4}
    assert len(names) > 10
    for name in ("report.html", "metadata.json", "golden.json", "reference.json"):
        text = (trainer.folder / told["bundle"] / name).read_text().lower()
        assert [found for found in names if found.lower() in text] == [], name


def test_models_list_and_show_know_the_new_version(trained: tuple[Trainer, dict[str, Any]]) -> None:
    trainer, told = trained
    assert [model["version"] for model in trainer.json("models", "list", "--json")] == [told["version"]]
    assert trainer.json("models", "show", "latest")["metadata"]["model_version"] == told["version"]


def test_keys_show_prints_the_key_that_signed(trained: tuple[Trainer, dict[str, Any]]) -> None:
    trainer, told = trained
    assert trainer.json("keys", "show", "--json")["fingerprint"] == told["signed_with"]


def test_a_person_is_told_what_was_learnt_and_what_comes_next(trainer: Trainer) -> None:
    labels = trainer.folder / "episodes.json"
    episode = {"type": "deauth_flood", "start": "2026-03-04T10:00:00Z", "end": "2026-03-04T10:05:00Z", "host": "ap1"}
    labels.write_text(json.dumps([episode]))
    done = trainer.run(
        "train", EXPORT, "--labels", labels, "--models", "elsewhere", "--config", CONFIGS / "flat_v2.yaml",
        "--set", "detection.alert_budget=1", "--set", "model.n_estimators=20", "--set", "evaluation.inject=false",
        "--set", "training.cross_validation_folds=3", "--start-date", "2026-03-03", "--end-date", "2026-03-06",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "learnt" in done.stdout
    assert "a key made just now" in done.stdout
    assert "at most 1 incidents a week and host" in done.stdout
    assert "next: pipit-trainer ship" in done.stdout
    assert (trainer.folder / "elsewhere" / "wifi" / "active" / "model.joblib").exists()
    assert "early_stopping: an isolation forest is fitted in one go" in done.stderr
    assert "detection.alert_budget is set, and sets the threshold" in done.stderr
    assert (trainer.folder / "logs" / "model_training.log").exists(), "the configuration names a log file"


def test_faults_of_settings_and_configuration_come_before_any_work(trainer: Trainer) -> None:
    done = trainer.run("train", EXPORT, "--set", "model.n_estimators=many", "--set", "modle.type=x")
    assert done.returncode == 2
    assert "--set model.n_estimators: 'many' is not a whole number" in done.stderr
    assert "--set modle.type is not a key; did you mean model.type?" in done.stderr
    done = trainer.run("train", EXPORT, TRAINING_BIND="here", TRAINING_MAX_TRAINING_TIME="0")
    assert done.returncode == 2
    assert "TRAINING_BIND: 'here' is not HOST:PORT" in done.stderr
    assert "TRAINING_MAX_TRAINING_TIME: '0' is not a whole number" in done.stderr
    assert not (trainer.folder / "state").exists()


@pytest.mark.parametrize("date", ["yesterday", "2026-13-01", ""])
def test_a_date_that_is_none_is_a_usage_error(trainer: Trainer, date: str) -> None:
    done = trainer.run("train", EXPORT, "--start-date", date)
    assert done.returncode == 2
    assert "--start-date" in done.stderr


def test_too_little_to_learn_from_is_refused(trainer: Trainer) -> None:
    done = trainer.run("train", export_of(trainer.folder, LINES))
    assert done.returncode == 1
    assert "too little to learn from" in done.stderr
    assert not list((trainer.folder / "models").rglob("*.*"))


def test_labels_that_are_none_are_refused_with_every_fault(trainer: Trainer) -> None:
    labels = trainer.folder / "episodes.json"
    labels.write_text(
        json.dumps([{"type": "x", "start": "2026-03-04T10:00:00Z", "end": "2026-03-03", "host": "a"}, {}])
    )
    done = trainer.run("train", EXPORT, "--labels", labels)
    assert done.returncode == 1
    assert "episode 1: it ends (2026-03-03) before it starts" in done.stderr
    assert "episode 2: no start" in done.stderr


def test_a_run_over_its_time_ends_without_a_model(trainer: Trainer) -> None:
    done = trainer.run("train", EXPORT, TRAINING_MAX_TRAINING_TIME="1")
    assert done.returncode == 1
    assert "not done after 1 s" in done.stderr
    assert not list((trainer.folder / "models").rglob("*.*"))


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
