"""A small model of the example week, trained once for all tests that measure something, and the labelled day after it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from shared.agent import builtin_agents
from shared.frame import open_export
from shared.model import Model, load_model
from shared.values import Row
from trainer.labels import Episode, read_labels
from trainer.model_config import TrainConfig, load_model_config
from trainer.pipeline import TrainReport, train

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
WEEK, DAY = EXAMPLES / "wifi-train.csv.gz", EXAMPLES / "wifi-live.csv.gz"
QUICK = {
    "model.n_estimators": 25,
    "model.max_samples": 256,
    "training.cross_validation_folds": 3,
    "evaluation.faults_each": 1,
}
OPTIONS = [word for key, value in QUICK.items() for word in ("--set", f"{key}={value}")]  # for the command line
WIFI = builtin_agents()["wifi"]


def quick(**more: object) -> TrainConfig:
    """A configuration that trains in seconds; more keys with two underscores for the dot."""
    return load_model_config(None, {**QUICK, **{key.replace("__", "."): value for key, value in more.items()}})


TOLD: list[tuple[str, float]] = []  # what `trained` said of its progress


@lru_cache(maxsize=1)
def trained() -> TrainReport:
    """The example week learnt, its recipe tried on injected faults."""
    return train([WEEK], WIFI, quick(), progress=lambda step, share: TOLD.append((step, share)))


@lru_cache(maxsize=1)
def model() -> Model:
    """The model of it."""
    return load_model(trained().files)


@lru_cache(maxsize=1)
def day() -> tuple[Row, ...]:
    """Rows of the day with attacks."""
    return tuple(open_export(DAY).rows())


@lru_cache(maxsize=1)
def episodes() -> tuple[Episode, ...]:
    """What was done that day."""
    return read_labels(EXAMPLES / "episodes.json")
