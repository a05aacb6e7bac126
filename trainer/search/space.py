"""What a search may change: keys of the model configuration and their choices, and how a configuration takes them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from shared.agent import AgentSpec
from trainer.model_config import TrainConfig
from trainer.windows.table import scored_columns

Choice = Mapping[str, Any]  # dotted key -> value

LENGTHS = (120, 300, 600)  # s; those that divide the agent's trailing view
LEFT_OUT = 0.2  # share of the features that a random subset drops
SUBSETS = 3


def space_of(config: TrainConfig, spec: AgentSpec, seed: int) -> dict[str, tuple[Any, ...]]:
    """Key → choices, the configuration's own first. What was set on purpose (file or --set) is not searched."""
    view = spec.window_s * spec.long_windows
    lengths = tuple(length for length in LENGTHS if not view % length and view / length >= 2)
    space: dict[str, tuple[Any, ...]] = {
        "model.n_estimators": (100, 50, 200, 300),
        "model.max_samples": ("auto", 256, 512, 2048),
        "model.max_features": (1.0, 0.5, 0.75),
        "detection.background": (0.3, 0.1, 0.2, 0.5, 0.8),
        "features.exclude": _subsets(spec, seed),
        "features.window_s": (None, *(length for length in lengths if length != spec.window_s)),
    }
    if config.model.contamination is not None:
        space["model.contamination"] = (config.model.contamination, 0.0005, 0.001, 0.002, 0.005)
    else:
        space["detection.alert_budget"] = (config.detection.alert_budget, 0.1, 0.15, 0.2, 0.3, 0.5)
    return {key: tuple(dict.fromkeys(choices)) for key, choices in space.items() if not _given(config, key)}


def _given(config: TrainConfig, key: str) -> bool:
    """Was it set on purpose? The contamination of a file is a wish for a share, which may be searched around."""
    return key in config.source and key != "model.contamination"


def _subsets(spec: AgentSpec, seed: int) -> tuple[tuple[str, ...], ...]:
    """Nothing left out; the sheer volume left out; a few random fifths left out."""
    rng = random.Random(f"subsets {seed}")
    roles = spec.role_names or ("any",)
    names = sorted({spec.features[column].name for role in roles for column in scored_columns(spec, role)})
    volume = tuple(name for name in ("lines", "top_event", "unknown_lines") if name in names)
    some = [tuple(sorted(rng.sample(names, max(1, int(LEFT_OUT * len(names)))))) for _ in range(SUBSETS)]
    return ((), volume, *some) if volume else ((), *some)


def draw(space: Mapping[str, tuple[Any, ...]], seed: int, number: int) -> Choice:
    """Candidate `number` of a seed: number 0 is the configuration as it is, the others change one to all keys."""
    if number == 0:
        return {}
    rng = random.Random(f"candidate {seed} {number}")
    keys = sorted(key for key, choices in space.items() if len(choices) > 1)
    changed = rng.sample(keys, rng.randint(1, len(keys))) if keys else []
    return {key: rng.choice(space[key][1:]) for key in sorted(changed)}


def applied(config: TrainConfig, choice: Choice) -> TrainConfig:
    """The configuration with a choice in it."""
    for key, value in choice.items():
        section, _, name = key.partition(".")
        config = replace(config, **{section: replace(getattr(config, section), **{name: value})})
    return config
