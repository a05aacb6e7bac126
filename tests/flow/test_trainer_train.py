"""`pipit-trainer train` as a person types it: what it makes, says and refuses."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from typing import Any

import pytest

from shared import bundle
from tests import measured
from tests.trainer_command import CONFIGS, EXPORT, LINES, Trainer, export_of, trainer

__all__ = ["trainer"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, dict[str, Any]]:
    """One training run on the example export, whose result several tests look at."""
    trainer = Trainer(tmp_path_factory.mktemp("trainer"))
    return trainer, trainer.json("train", EXPORT, "--json", "--set", "features.exclude=[timeouts]", *measured.OPTIONS)


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
    assert "next: the report says what helps" in done.stdout, "the episode is made up, so the gate was missed"
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
