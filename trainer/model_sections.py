"""The sections of a model configuration: every key with its default, unit and one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import marshmallow as ma

from shared.setting import setting
from trainer.gate import METRICS


class _Samples(ma.fields.Field[Any]):
    """`auto`, a count, or a share of the windows."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str | int | float:
        if value == "auto":
            return "auto"
        return _count_or_share(value)


class _Share(ma.fields.Field[Any]):
    """A count, or a share."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int | float:
        return _count_or_share(value)


class _Contamination(ma.fields.Field[Any]):
    """`auto` (none) or a share of at most a half."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float | None:
        if value == "auto":
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 0.5:
            raise ma.ValidationError("contamination")
        return float(value)


class _Jobs(ma.fields.Field[int]):
    """-1, or a count."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < -1 or value == 0:
            raise ma.ValidationError("jobs")
        return value


class _Size(ma.fields.Field[int]):
    """Bytes: a number, or a text like 100MB."""

    UNITS = MappingProxyType({"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        match = re.fullmatch(r"(\d+)\s*([KMG]?B|)", str(value).upper())
        if match is None:
            raise ma.ValidationError("size")
        return int(match[1]) * self.UNITS[match[2]]


ALSO_CALLED = MappingProxyType({"f1": "f1_score", "accuracy_score": "accuracy", "auc": "roc_auc"})


class _Thresholds(ma.fields.Field[Any]):
    """Metrics of the gate with their bounds: shares from 0 to 1, rates and times from 0 on."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, float]:
        if not isinstance(value, Mapping):
            raise ma.ValidationError("thresholds")
        found = {ALSO_CALLED.get(str(name), str(name)): bound for name, bound in value.items()}
        for name, bound in found.items():
            number = isinstance(bound, (int, float)) and not isinstance(bound, bool)
            if name not in METRICS or not number or not 0 <= bound <= (1 if METRICS[name] else float("inf")):
                raise ma.ValidationError("thresholds")
        return {name: float(bound) for name, bound in found.items()}


def _count_or_share(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ma.ValidationError("count or share")
    if isinstance(value, float) and value > 1:
        raise ma.ValidationError("share")
    return value


@dataclass(frozen=True)
class ModelSection:
    """The estimator."""

    type: str = setting("isolation_forest", "The estimator.", choices=("isolation_forest",))
    n_estimators: int = setting(100, "Trees of the forest.", "trees", low=1, high=2000)
    max_samples: str | int | float = setting(
        "auto",
        "Windows that each tree is grown on; auto is 256.",
        "windows",
        parser=_Samples,
        form="auto, a whole number, or a share from 0 to 1",
    )
    contamination: float | None = setting(
        None,
        "Share of training windows that shall lie over the threshold; without it, the alert budget decides.",
        parser=_Contamination,
        form="auto or a share above 0 and up to 0.5",
    )
    max_features: int | float = setting(
        1.0, "Features that each tree sees.", parser=_Share, form="a whole number, or a share from 0 to 1"
    )
    bootstrap: bool = setting(False, "Draw the windows of a tree with replacement.")
    random_state: int = setting(
        42, "Seed: the same export, configuration and seed give the same model.", low=0, high=2**32 - 1
    )
    n_jobs: int | None = setting(
        None,
        "Threads for the fit; -1 is one a core, empty is one.",
        parser=_Jobs,
        form="-1 or a whole number of at least 1",
    )


@dataclass(frozen=True)
class TrainingSection:
    """How the export is divided. Always by time: no window of the future in training."""

    test_size: float = setting(0.2, "Share of the time span, at its end, kept for tests.", low=0, high=0.5)
    validation_size: float = setting(0.1, "Share of the time span before that, kept for validation.", low=0, high=0.5)
    cross_validation_folds: int = setting(
        7, "Most time blocks for out-of-fold scores; one a day where there are fewer days.", "blocks", low=2, high=50
    )


@dataclass(frozen=True)
class DetectionSection:
    """Where normal ends."""

    alert_budget: float | None = setting(
        0.15, "Most incidents a week that a host may raise.", "incidents per host-week", low=0.001, high=100
    )
    background: float = setting(
        0.3, "Synthetic background points that let the forest see beyond what it was shown.", "share of windows",
        low=0, high=2,
    )  # fmt: skip
    guard: bool = setting(True, "Leave windows that look like an attack out of what is learnt.")


@dataclass(frozen=True)
class FeaturesSection:
    """Which features are used. The agent file decides; `exclude` drops some."""

    exclude: tuple[str, ...] = setting((), "Features of the agent that the model must not use.")
    window_s: int | None = setting(
        None,
        "Length of a window, where it shall be another than the agent's; it must divide the trailing view.",
        "s",
        low=60,
        high=900,
    )
    numeric: tuple[str, ...] = setting((), "Names checked against the agent; chooses nothing.")
    categorical: tuple[str, ...] = setting((), "Names checked against the agent; chooses nothing.")
    temporal: tuple[str, ...] = setting((), "Names checked against the agent; chooses nothing.")
    derived: tuple[str, ...] = setting((), "Names checked against the agent; chooses nothing.")


@dataclass(frozen=True)
class StorageSection:
    """Where finished versions go."""

    directory: Path | None = setting(None, "Models folder, where neither --models nor models_dir says another.")
    compression: bool = setting(True, "Compress model.joblib.")


@dataclass(frozen=True)
class EvaluationSection:
    """What is measured, and what must be reached."""

    thresholds: Mapping[str, float] = field(
        default_factory=lambda: {"episode_recall": 0.5},
        metadata={
            "doc": "The quality gate, metric → bound; who misses one ships only with --force. Unset: episode_recall 0.5.",
            "parser": _Thresholds,
            "form": "known metrics with bounds: shares from 0 to 1, rates and times from 0",
        },
    )
    cross_validation: bool = setting(True, "Score every window by a model that has not seen its time block.")
    inject: bool = setting(True, "Lay known faults into the held-back time and see which are found.")
    faults_each: int = setting(3, "Injected faults of every kind.", "faults", low=1, high=50)
    thorough: bool = setting(
        False, "Also measure over several time blocks and seeds; training takes a few times as long."
    )


@dataclass(frozen=True)
class LoggingSection:
    """Logging of a training run, where the service's settings do not say another."""

    level: str | None = setting(
        None, "Least serious message that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )
    format: str | None = setting(None, "Format of a line, as Python's logging names its parts.")
    file: Path | None = setting(None, "File that is logged to besides stderr.")
    max_size: int = setting(
        10_000_000,
        "Size at which the file is renamed and a new one begun.",
        "bytes",
        parser=_Size,
        form="a size: 100MB",
    )
    backup_count: int = setting(5, "Renamed files that are kept.", "files", low=0)
