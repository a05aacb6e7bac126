"""tune, evaluate, the gate and the registry as a person types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from shared import bundle
from tests import measured
from tests.trainer_command import Trainer
from trainer.model_config import load_model_config

QUICK = [*measured.OPTIONS, "--end-date", "2026-03-07"]
LABELS = measured.EXAMPLES / "episodes.json"
HARD = "evaluation.thresholds={episode_recall: 1.0, precision: 1.0, recall: 1.0}"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Trainer, list[dict[str, Any]]]:
    """Two versions in one models folder; the second was asked for more than it reaches."""
    trainer = Trainer(tmp_path_factory.mktemp("models"))
    first = trainer.json("train", measured.WEEK, "--json", *QUICK)
    second = trainer.json("train", measured.WEEK, "--json", *QUICK, "--set", HARD, "--set", "features.exclude=[lines]")
    return trainer, [first, second]


def test_a_model_that_misses_its_gate_is_kept_and_not_shipped_without_force(two: Any, tmp_path: Path) -> None:
    trainer, (_, second) = two
    gate = second["metadata"]["gate"]
    assert gate["passed"] is False
    assert "is asked for" in gate["reason"]
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    refused = trainer.run("ship", second["version"], "--to", f"file://{inbox}")
    assert refused.returncode == 1
    assert "missed the quality gate" in refused.stderr
    assert "--force" in refused.stderr
    assert not (inbox / "wifi").exists()
    assert trainer.run("ship", second["version"], "--to", f"file://{inbox}", "--force").returncode == 0
    shown = trainer.json("models", "show", second["version"])
    assert shown["forced"] is True
    assert shown["deployments"][0]["forced"] is True


def test_the_report_and_the_metadata_tell_what_was_found_and_what_would_have_been_different(two: Any) -> None:
    trainer, (first, second) = two
    page = (trainer.folder / second["bundle"] / "report.html").read_text()
    assert len(page) < 1_000_000
    for words in (
        "injected faults",
        "✕ Missed",
        "What an alert budget buys",
        "Beside trivial detectors",
        first["version"],
    ):
        assert words in page
    report = second["metadata"]["report"]
    assert report["comparison"]["old"] == first["version"]
    assert report["advice"][0].startswith("The gate was missed")
    assert first["metadata"]["report"]["comparison"] == {}


def test_evaluate_measures_a_version_on_another_log_and_remembers_it(two: Any) -> None:
    trainer, (first, _) = two
    told = trainer.json("evaluate", first["version"], "--export", measured.DAY, "--labels", LABELS, "--json")
    assert told["method"] == "labels"
    assert told["metrics"]["episode_recall"] >= 0.8
    assert {episode["host"] for episode in told["episodes"]} & {"ap1", "ap2", "ap3"}
    assert told["gate"]["passed"] is True
    registry = json.loads((trainer.folder / "models" / "model_registry.json").read_text())
    entry = next(one for one in registry["models"] if one["version"] == first["version"])
    assert entry["evaluations"][-1]["metrics"] == told["metrics"]
    said = trainer.run("evaluate", first["version"], "--export", measured.DAY, "--labels", LABELS, "--no-record").stdout
    assert "known episodes" in said
    assert "gate: not decided (episode_recall: only 6 episodes: not checked), so the one before counts" in said


def test_compare_shows_what_differs_and_where_the_alerts_do(two: Any) -> None:
    trainer, (first, second) = two
    versions = (first["version"], second["version"])
    told = trainer.json("models", "compare", *versions, "--export", measured.DAY, "--json")
    assert told["features"]["gone"] == ["lines"]
    assert (
        told["replay"]["windows"]
        == told["replay"]["same"] + told["replay"]["alerts_gone"] + told["replay"]["alerts_new"]
    )
    assert "gate_passed" in trainer.run("models", "compare", *versions).stdout
    assert trainer.run("models", "compare", first["version"], "20010101_000000").returncode == 2


def test_notes_stand_in_the_list_and_no_bundle_changes(two: Any) -> None:
    trainer, (first, _) = two
    before = bundle.open_bundle(trainer.folder / first["bundle"])
    assert trainer.run("models", "note", first["version"], "the quiet\x1b[2J one").returncode == 0
    listed = trainer.run("models", "list").stdout
    assert "the quiet" in listed
    assert "\x1b" not in listed
    assert bundle.open_bundle(trainer.folder / first["bundle"]) == before


def test_prune_removes_what_nobody_uses_and_the_registry_follows(two: Any, tmp_path: Path) -> None:
    trainer, (first, second) = two
    copy = Trainer(tmp_path)
    shutil.copytree(trainer.folder / "models", tmp_path / "models", symlinks=True)
    assert copy.json("models", "prune", "--keep", "1", "--dry-run", "--json") == [f"wifi_{first['version']}"]
    assert copy.run("models", "prune", "--keep", "0").stdout == f"removed wifi_{first['version']}\n"
    left = json.loads((tmp_path / "models" / "model_registry.json").read_text())["models"]
    assert [entry["version"] for entry in left] == [second["version"]], "the active one stays"


def test_tune_writes_a_configuration_that_train_reads(tmp_path: Path) -> None:
    trainer = Trainer(tmp_path)
    few = ["--trials", "1", "--end-date", "2026-03-05", "--set", "model.max_samples=128", "--set", "features.window_s=300",
           "--set", "model.n_estimators=5", "--output", "best.yaml", "--json"]  # fmt: skip
    told = trainer.json("tune", measured.WEEK, *few)
    assert (told["trials"], told["resumed"], told["output"]) == (1, 0, "best.yaml")
    assert load_model_config(tmp_path / "best.yaml").model.n_estimators == 5
    assert json.loads((tmp_path / "best.yaml.state").read_text())["trials"]


@pytest.mark.parametrize(
    "arguments", [["tune"], ["evaluate", "latest"], ["evaluate"], ["models", "compare", "a"], ["models", "note", "a"]]
)
def test_wrong_usage_is_exit_code_two(tmp_path: Path, arguments: list[str]) -> None:
    assert Trainer(tmp_path).run(*arguments).returncode == 2
