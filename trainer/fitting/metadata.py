"""`metadata.json` of a bundle: who made it, from what, how, and how well it did."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from shared.values import iso
from trainer.fitting.facts import BudgetRow, LeftOut, NormalRange, ScoreCounts, SourceFile, TrainFacts

__all__ = [
    "BudgetRow",
    "LeftOut",
    "NormalRange",
    "ScoreCounts",
    "SourceFile",
    "TrainFacts",
    "build_metadata",
    "library_versions",
    "metadata_json",
]

MODEL_FILE = "model.joblib"
LIBRARIES = ("numpy", "scikit-learn", "joblib", "google-re2")


def library_versions() -> dict[str, str]:
    """Versions of Python, Pipit and the libraries that a model depends on."""
    versions = {"python": platform.python_version()}
    for name in ("pipit", *LIBRARIES):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a source tree, or an optional one
    return versions


def build_metadata(facts: TrainFacts, files: Mapping[str, bytes]) -> dict[str, Any]:
    """The content of metadata.json; `files` are the bundle's other files, whose hashes it records.

    The keys up to `features_used` are those that readers of earlier models know; the groups below them (`model_info`
    and so on) repeat some of it under the names that others know. `deployment_info` and `monitoring_info` are empty
    when a bundle is signed: what happens to it later is kept by the trainer and merged into its answers.
    """
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(files.items())}
    return {
        "model_version": facts.version,
        "model_file": MODEL_FILE,
        "agent_name": facts.agent,
        "training_date": iso(int(facts.trained_at)),
        "training_data_source": ", ".join(source.name for source in facts.sources),
        "training_data_hash": _combined_hash(facts.sources),
        "training_data_size": sum(source.size_bytes for source in facts.sources),
        "training_log_count": facts.rows,
        "hyperparameters": dict(facts.hyperparameters),
        "features_used": list(facts.features_used),
        "model_id": f"{facts.agent}_{facts.version}",
        "training_duration": round(facts.duration_s, 3),
        "training_memory_usage": facts.peak_memory_bytes,
        "windows": {"length_s": facts.window_s, "total": sum(facts.windows.values()), **_counts(facts.windows)},
        "evaluation": dict(facts.evaluation),
        "gate": dict(facts.gate),
        "thresholds": _thresholds(facts),
        "report": _report(facts),
        "config_hash": facts.config_hash,
        "library_versions": dict(facts.library_versions),
        "file_hashes": hashes,
        "warnings": list(facts.warnings),
        "model_info": _model_info(facts, hashes),
        "training_info": _training_info(facts),
        "evaluation_info": {
            "metrics": dict(facts.evaluation.get("metrics", {})),
            "threshold_checks": _checks(facts),
        },
        "deployment_info": {"status": "available", "deployed_at": None, "deployed_by": None, "targets": []},
        "monitoring_info": {
            **{f"wanted_{name.replace('.', '_')}": value for name, value in facts.monitoring.items()},
            "last_monitoring_check": None,
            "drift_scores": {},
        },
    }


def metadata_json(metadata: Mapping[str, Any]) -> bytes:
    """metadata.json: a line for each key, for people who page through it, and no more blanks than that."""
    lines = [
        f"{json.dumps(key)}: {json.dumps(metadata[key], sort_keys=True, separators=(',', ':'))}"
        for key in sorted(metadata)
    ]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _model_info(facts: TrainFacts, hashes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "version": facts.version,
        "created_at": iso(int(facts.trained_at)),
        "model_type": facts.model_type,
        "model_hash": hashes.get(MODEL_FILE),
        "config_hash": facts.config_hash,
        "training_source": "export_data",
        "export_file": ", ".join(source.name for source in facts.sources),
        "agent_version": facts.agent_version,
    }


def _training_info(facts: TrainFacts) -> dict[str, Any]:
    return {
        "config": dict(facts.config),
        "data_info": {
            "feature_count": len(facts.features_used),
            "feature_names": list(facts.features_used),
            "features_excluded": list(facts.features_excluded),
            "training_samples": sum(facts.windows.values()),
            "validation_samples": facts.validation_windows,
            "test_samples": facts.test_windows,
            "left_out_by_guard": sum(left.windows for left in facts.guard),
            "hosts": dict(facts.hosts),
            "first": iso(int(facts.first)),
            "last": iso(int(facts.last)),
            "unknown_share": round(facts.unknown_share, 6),
        },
        "exports": [
            {
                "name": source.name,
                "sha256": source.sha256,
                "size": source.size_bytes,
                "rows": source.rows,
                "bad_rows": source.bad_rows,
            }
            for source in facts.sources
        ],
        "training_samples": sum(facts.windows.values()),
        "feature_names": list(facts.features_used),
        "export_file_size": sum(source.size_bytes for source in facts.sources),
        "training_duration": round(facts.duration_s, 3),
        "training_memory_usage": facts.peak_memory_bytes,
    }


def _thresholds(facts: TrainFacts) -> dict[str, Any]:
    """Where the alert line lies and how it was chosen; `expected` are the metrics that the configuration asks for."""
    return {
        "score": facts.threshold,
        "rarity": facts.rarity,
        "alert_budget": facts.alert_budget,
        "contamination": facts.contamination,
        "expected": dict(facts.expected),
    }


def _checks(facts: TrainFacts) -> dict[str, bool]:
    """Which bounds of the gate are kept; a metric that was not measured is not among them."""
    checks = facts.gate.get("checks", ())
    return {check["metric"]: check["passed"] for check in checks if check["value"] is not None}


def _report(facts: TrainFacts) -> dict[str, Any]:
    """What report.html shows besides `evaluation` and `gate`, for programs."""
    return {
        "normal": [asdict(each) for each in facts.normal],
        "scores": asdict(facts.scores) if facts.scores else None,
        "budget": [asdict(row) for row in facts.budget],
        "left_out": [asdict(left) for left in facts.guard],
        "unknown_shapes": [list(shape) for shape in facts.unknown_shapes],
        "comparison": dict(facts.comparison),
        "advice": list(facts.advice),
    }


def _counts(windows: Mapping[str, int]) -> dict[str, dict[str, int]]:
    return {"by_role": dict(windows)}


def _combined_hash(sources: Sequence[SourceFile]) -> str:
    """The export's SHA-256; of several exports, the SHA-256 over theirs in order."""
    if len(sources) == 1:
        return sources[0].sha256
    return hashlib.sha256("".join(source.sha256 for source in sources).encode()).hexdigest()
