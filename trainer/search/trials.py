"""What a search tries and how good that was: its settings, a candidate's figures, the one figure to search by."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from trainer.measuring.bench import Trial
from trainer.model_config import TrainConfig
from trainer.search.space import Choice

Progress = Callable[[str, float], None]
BLOCKS = 3
FALSE_WEIGHT = 0.2


@dataclass(frozen=True)
class TuneSettings:
    """How long to search. trials: candidates in all; patience: rounds without gain; time_s: wall time, None: no limit."""

    trials: int = 27
    patience: int = 2
    seed: int = 42
    time_s: float | None = None
    faults_each: int = 2


@dataclass(frozen=True)
class Tried:
    """A candidate as far as it came: the rung (0 …) and the means over that rung's blocks."""

    number: int
    choice: Choice
    rung: int
    quality: float
    recall: float
    average_precision: float
    false_rate: float


def quality(trial: Trial, allowed: float) -> float:
    """One figure to search by: found faults and ranking count, false incidents beyond the allowed rate cost.

    >>> quality(Trial(recall=1.0, average_precision=0.5, false_rate=1.5, windows=1, faults=1), allowed=0.5)
    0.6
    """
    good = 0.6 * trial.recall + 0.4 * trial.average_precision
    return round(good - FALSE_WEIGHT * min(5.0, max(0.0, trial.false_rate - allowed)), 6)


def allowed_rate(config: TrainConfig) -> float:
    """False incidents a week and host that cost nothing: the gate's bound, else what the budget asks for and some room."""
    bound = config.evaluation.thresholds.get("false_incidents_per_host_week")
    return bound if bound is not None else max(0.5, 2 * (config.detection.alert_budget or 0.15))


def means(trials: Sequence[Trial], allowed: float) -> dict[str, float]:
    return {
        "quality": round(float(np.mean([quality(trial, allowed) for trial in trials])), 6),
        "recall": round(float(np.mean([trial.recall for trial in trials])), 4),
        "average_precision": round(float(np.mean([trial.average_precision for trial in trials])), 4),
        "false_rate": round(float(np.mean([trial.false_rate for trial in trials])), 4),
    }


def plain(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in choice.items()}
