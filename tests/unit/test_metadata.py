"""Metadata of a bundle: every promised field, plain JSON, the same for the same run."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from tests.training_facts import FACTS
from trainer.fitting.metadata import SourceFile, build_metadata, library_versions


def test_metadata_has_every_promised_field() -> None:
    metadata = build_metadata(FACTS, {"model.joblib": b"model", "agent.yaml": b"agent"})
    assert metadata["model_version"] == "20260312_060000"
    assert metadata["model_file"] == "model.joblib"
    assert metadata["agent_name"] == "wifi"
    assert metadata["training_date"] == "2026-03-12T06:00:00Z"
    assert metadata["training_data_source"] == "march.csv.gz"
    assert metadata["training_data_hash"] == "ab" * 32
    assert metadata["training_data_size"] == 1_200_000
    assert metadata["training_log_count"] == 31_903
    assert metadata["hyperparameters"] == {"n_estimators": 100, "max_samples": "auto"}
    assert metadata["features_used"] == ["log_count", "deauth_ratio"]
    assert metadata["windows"]["total"] == 10_212
    assert metadata["evaluation"]["metrics"]["recall"] == 0.93
    assert metadata["thresholds"]["score"] == 0.61
    assert metadata["training_duration"] == 171.25
    assert metadata["training_memory_usage"] == 212_000_000
    assert metadata["library_versions"] == {"python": "3.11.2"}
    assert metadata["config_hash"] == "cd" * 32
    assert metadata["file_hashes"]["model.joblib"] == hashlib.sha256(b"model").hexdigest()
    assert metadata["model_info"]["model_hash"] == metadata["file_hashes"]["model.joblib"]
    assert metadata["training_info"]["data_info"]["training_samples"] == 10_212
    assert metadata["deployment_info"]["deployed_at"] is None
    assert metadata["monitoring_info"]["drift_scores"] == {}


def test_expected_metrics_are_checked_only_where_they_were_measured() -> None:
    metadata = build_metadata(FACTS, {})
    assert metadata["evaluation_info"]["threshold_checks"] == {"recall": True, "precision": False}
    assert metadata["gate"]["passed"] is False
    assert "precision is 0.6, at least 0.7 is asked for" in metadata["gate"]["reason"]


def test_metadata_is_plain_json_and_deterministic() -> None:
    one, two = (json.dumps(build_metadata(FACTS, {"a": b"1"}), allow_nan=False) for _ in range(2))
    assert one == two


def test_several_exports_are_named_and_hashed_together() -> None:
    facts = replace(FACTS, sources=(*FACTS.sources, SourceFile("april.csv", "ef" * 32, 5, 10)))
    metadata = build_metadata(facts, {})
    assert metadata["training_data_source"] == "march.csv.gz, april.csv"
    assert metadata["training_data_size"] == 1_200_005
    assert metadata["training_data_hash"] == hashlib.sha256(("ab" * 32 + "ef" * 32).encode()).hexdigest()
    assert [export["sha256"] for export in metadata["training_info"]["exports"]] == ["ab" * 32, "ef" * 32]


def test_library_versions_name_what_a_score_depends_on() -> None:
    assert {"python", "numpy", "scikit-learn"} <= set(library_versions())
