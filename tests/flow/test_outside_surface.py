"""What other programs rely on: keys of the JSON, exit codes, what goes to stdout and what to stderr; a table for each."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import inference.cli
import trainer.cli
from shared.command import main_with_exit_codes
from tests.daemon_process import LIVE, ROOT, example_rows

KEPT = sorted((ROOT / "tests/data/bundles").iterdir())[-1]
BUNDLE = next((KEPT / "wifi").iterdir())
VERDICT = [
    "agent", "host", "window_start", "window_end", "score", "rarity", "is_anomaly", "type", "severity", "confidence",
    "description", "features", "explanation", "incident",
]  # fmt: skip
NOWHERE = "127.0.0.1:1"  # nobody listens on port 1


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line of one of the two programs in an empty folder, as its console script does."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINING_STATE_DIR", str(tmp_path / "laptop"))
    monkeypatch.setenv("INFERENCE_STATE_DIR", str(tmp_path / "pi"))
    groups = {"pipit-trainer": trainer.cli, "pipit-inference": inference.cli}
    for module in groups.values():
        monkeypatch.setattr(module, "setup_logging", lambda *_: None)

    def call(line: str, *more: object) -> Done:
        program, *words = line.split()
        capsys.readouterr()
        code = main_with_exit_codes(groups[program].cli, program, [*words, *map(str, more)])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return Done(code, out, err)

    return call


@pytest.fixture(scope="module")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hour of the example in which somebody guesses the WiFi password."""
    file = tmp_path_factory.mktemp("attack") / "attack.csv"
    rows = [row for row in example_rows() if 1773276000 <= row[1] < 1773282600]
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([["id", "timestamp", "host", "program", "pid", "severity", "message"], *rows])
    return file


# --- JSON -------------------------------------------------------------------------------------------------------


def test_replay_prints_one_verdict_a_line_with_the_promised_keys_first(run: Run, attack: Path, tmp_path: Path) -> None:
    (tmp_path / "active").symlink_to(BUNDLE)  # a person names the link as readily as the version
    done = run("pipit-inference replay --json", attack, "--bundle", tmp_path / "active")
    assert done.code == 0, done.err
    verdicts = [json.loads(line) for line in done.out.splitlines()]
    assert all(list(verdict)[: len(VERDICT)] == VERDICT for verdict in verdicts)
    strange = [verdict for verdict in verdicts if verdict["is_anomaly"]]
    assert strange
    assert {verdict["host"] for verdict in strange} == {"ap1"}
    assert {verdict["severity"] for verdict in strange} <= {"info", "warning", "critical"}
    moved = {"feature", "value", "normal_low", "normal_high", "contribution"}
    assert all(set(each) == moved for verdict in strange for each in verdict["explanation"])
    assert all(0 <= verdict["confidence"] <= 1 for verdict in strange)
    assert "signature not checked" in done.err, "no allowed signers are configured here"


def test_a_bundle_is_verified_through_a_link_too(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_ALLOWED_SIGNERS", str(KEPT / "allowed_signers"))
    (tmp_path / "active").symlink_to(BUNDLE)
    done = run("pipit-inference models verify --json", tmp_path / "active")
    assert done.code == 0, done.err
    assert json.loads(done.out)["ok"] is True


def keys_of(text: str) -> set[str]:
    found: Any = json.loads(text)
    first = found[0] if isinstance(found, list) else found
    return set(first)


def test_what_the_pi_prints_as_json_has_its_keys(run: Run) -> None:
    once = run("pipit-inference once --json")
    assert keys_of(once.out) >= {"rows", "windows", "anomalies", "models", "bundles"}
    assert (once.code, "no model serves; ship one" in once.err) == (1, True), "the reason of a refusal is on stderr"
    status = run("pipit-inference status --json")
    assert (status.code, keys_of(status.out)) == (
        0, {"daemon", "models", "last_day", "open_incidents", "newest_window"}
    )  # fmt: skip
    check = run("pipit-inference check --json")
    assert keys_of(check.out) == {"what", "state", "found", "cure"}
    assert (check.code, "keys" in check.err) == (1, True), "without allowed signers no model can ever come in"
    for empty in ("incidents", "incidents marks", "incidents mutes", "models list", "models history"):
        done = run(f"pipit-inference {empty} --json")
        assert (done.code, json.loads(done.out)) == (0, []), empty


def test_what_the_trainer_prints_as_json_has_its_keys(run: Run, attack: Path) -> None:
    report = run("pipit-trainer validate --json", attack)
    assert keys_of(report.out) >= {"fit", "errors", "warnings", "valid_rows", "bad_rows", "start", "end", "agent_share"}
    events = run("pipit-trainer events --json", attack)
    assert all(list(json.loads(line))[:2] == ["id", "event"] for line in events.out.splitlines())
    features = json.loads(run("pipit-trainer features --json --output f.csv", attack).out)
    assert features["windows"] > 0
    assert "auth_failures" in features["features"]
    keys = run("pipit-trainer keys show --json")
    assert keys_of(keys.out) == {"path", "public", "fingerprint", "allowed_signers"}
    assert "made a new key" in keys.err
    assert run("pipit-trainer keys show --json").err == ""
    for empty in ("models list", "targets list", "targets history", "models prune"):
        done = run(f"pipit-trainer {empty} --json")
        assert (done.code, json.loads(done.out)) == (0, []), empty
        told = run(f"pipit-trainer {empty}")
        assert (told.code, told.out) == (0, ""), empty
        assert told.err.startswith("no"), "a person is told that there is nothing, and a pipe gets nothing"


# --- refusals ---------------------------------------------------------------------------------------------------

ENDS = [
    ("pipit-trainer", 2, "Usage"),
    ("pipit-trainer nonsense", 2, "No such command 'nonsense'"),
    ("pipit-trainer validate", 2, "Missing argument 'EXPORT'"),
    ("pipit-trainer validate nowhere.csv --json", 1, "not fit to train on: reading nowhere.csv: no such file"),
    ("pipit-trainer events nowhere.csv --json", 1, "nowhere.csv: no such file; check the path"),
    ("pipit-trainer features nowhere.csv --output f.csv", 1, "nowhere.csv: no such file; check the path"),
    ("pipit-trainer train nowhere.csv", 1, "nowhere.csv: no such file; check the path"),
    (f"pipit-trainer train {LIVE} --set model.n_estimators=many", 2, "model.n_estimators: 'many' is not a whole"),
    (f"pipit-trainer train {LIVE} --models /dev/null/m", 1, "/dev/null/m: Not a directory; a file lies where a folder"),
    (f"pipit-trainer train {LIVE} --start-date 2030-01-01", 1, "too little to learn from"),
    (f"pipit-trainer train {LIVE} --config nowhere.yaml", 2, "cannot read nowhere.yaml"),
    (f"pipit-trainer evaluate latest --export {LIVE}", 2, "no version 'latest'"),
    ("pipit-trainer export --output-file x.csv", 2, "no database is named; give --dsn"),
    (f"pipit-trainer export --output-file x.csv --dsn postgresql://me@{NOWHERE}/x", 3, "Connection refused"),
    ("pipit-trainer export --output-file x.csv --dsn mysql://me@x/y", 2, "the DSN is postgresql://user@host"),
    ("pipit-trainer ship latest", 2, "give either --to or --fleet"),
    ("pipit-trainer ship latest --to attic", 2, "no version 'latest'"),
    ("pipit-trainer ship latest --fleet all --batch 0", 2, "Invalid value for '--batch'"),
    ("pipit-trainer ship latest --to attic --timeout -1", 2, "Invalid value for '--timeout'"),
    ("pipit-trainer ship --catch-up --fleet all", 2, "no target is in it; `pipit-trainer targets add NAME URL`"),
    ("pipit-trainer rollback --to attic", 2, "target attic: not known"),
    ("pipit-trainer targets add attic ftp://attic/inbox", 2, "write sftp://user@host:port/inbox"),
    ("pipit-trainer --config nowhere.yaml models list", 2, "settings: cannot read nowhere.yaml"),
    ("pipit-inference nonsense", 2, "No such command 'nonsense'"),
    (f"pipit-inference replay {LIVE}", 2, "Missing option '--bundle'"),
    (f"pipit-inference replay nowhere.csv --bundle {BUNDLE}", 1, "nowhere.csv: no such file; check the path"),
    (f"pipit-inference replay {LIVE} --bundle nowhere", 1, "there is no folder nowhere"),
    ("pipit-inference models verify nowhere", 1, "there is no folder nowhere"),
    ("pipit-inference models activate 20260101_000000", 2, "neither in this machine's store nor in its inbox"),
    ("pipit-inference models rollback", 1, "no model serves"),
    ("pipit-inference pull", 2, "set INFERENCE_TRAINER_URL"),
    ("pipit-inference --database-url mysql://x once", 2, "use postgresql://… or sqlite:///FILE"),
    (f"pipit-inference --database-url postgresql://me@{NOWHERE}/x check", 1, "database"),
    ("pipit-inference status", 1, "start `pipit-inference run` once"),
    ("pipit-inference incidents show 7", 1, "start `pipit-inference run` once"),
    ("pipit-inference web --bind nonsense", 2, "HOST:PORT"),
]


@pytest.mark.parametrize(("line", "code", "said"), ENDS, ids=[line.replace(str(ROOT), "") for line, *_ in ENDS])
def test_a_refusal_has_its_exit_code_and_its_reason_on_stderr(line: str, code: int, said: str, run: Run) -> None:
    done = run(line)
    assert (done.code, said in done.err) == (code, True), done


def test_check_says_what_to_do_about_a_part_that_cannot_be_looked_at(run: Run) -> None:
    done = run(f"pipit-inference --database-url postgresql://me@{NOWHERE}/x check --json")
    wrong = {each["what"]: each["cure"] for each in json.loads(done.out) if each["state"] == "wrong"}
    assert "correct INFERENCE_DATABASE_URL" in wrong["database"]
    assert all(wrong.values())


def test_check_looks_at_the_state_file(run: Run) -> None:
    run("pipit-inference once")
    (state,) = [each for each in json.loads(run("pipit-inference check --json").out) if each["what"] == "state"]
    assert state["state"] == "good"
    file = state["found"].partition(" in ")[2]
    with sqlite3.connect(file) as db:
        db.execute("PRAGMA user_version = 99")
    (state,) = [each for each in json.loads(run("pipit-inference check --json").out) if each["what"] == "state"]
    assert (state["state"], "of a newer release" in state["found"]) == ("wrong", True)


def test_labels_that_cannot_be_written_are_said_in_one_line(run: Run) -> None:
    run("pipit-inference once")
    done = run("pipit-inference incidents --marks --output no/such/folder.json")
    assert (done.code, done.err) == (
        1, "pipit-inference: write no/such/folder.json: No such file or directory; choose another --output\n"
    )  # fmt: skip


@pytest.mark.parametrize("what", ["unmark", "unmute"])
def test_what_is_not_there_cannot_be_taken_back(what: str, run: Run) -> None:
    run("pipit-inference once")
    done = run(f"pipit-inference incidents {what} 7")
    assert (done.code, done.out, f"{what} 7: " in done.err) == (2, "", True)
