"""What a model is made with: the model configuration, a YAML file and `--set a.b=c`, as one frozen value."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from marshmallow import ValidationError

from shared.config import Known, known_settings, nearest, read_yaml
from shared.errors import ConfigError
from trainer.model_keys import FEATURE_ALIASES, NO_EFFECT, RENAMED
from trainer.model_sections import (
    DetectionSection,
    EvaluationSection,
    FeaturesSection,
    LoggingSection,
    ModelSection,
    StorageSection,
    TrainingSection,
)

if TYPE_CHECKING:
    from shared.agent import AgentSpec

VERSION_FORMAT = "%Y%m%d_%H%M%S"
T = TypeVar("T")


@dataclass(frozen=True)
class TrainConfig:
    """The model configuration. `source` is what was given, `warnings` what should be said about it once."""

    model: ModelSection = field(default_factory=ModelSection)
    training: TrainingSection = field(default_factory=TrainingSection)
    detection: DetectionSection = field(default_factory=DetectionSection)
    features: FeaturesSection = field(default_factory=FeaturesSection)
    storage: StorageSection = field(default_factory=StorageSection)
    evaluation: EvaluationSection = field(default_factory=EvaluationSection)
    logging: LoggingSection = field(default_factory=LoggingSection)
    monitoring: Mapping[str, Any] = field(default_factory=dict)
    database: Mapping[str, Any] = field(default_factory=dict)
    version: str = "2.0.0"
    source: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 of what was given: equal configurations, equal digest."""
        return hashlib.sha256(json.dumps(self.source, sort_keys=True, default=str).encode()).hexdigest()


SECTIONS: dict[str, type] = {
    "model": ModelSection,
    "training": TrainingSection,
    "detection": DetectionSection,
    "features": FeaturesSection,
    "storage": StorageSection,
    "evaluation": EvaluationSection,
    "logging": LoggingSection,
}


def known_keys() -> dict[str, Known]:
    """Every key with an effect, dotted."""
    return {
        f"{section}.{name}": known
        for section, cls in SECTIONS.items()
        for name, known in known_settings(cls, "").items()
    }


def load_model_config(path: Path | None = None, overrides: Mapping[str, object] | None = None) -> TrainConfig:
    """Read a model configuration and lay `overrides` (dotted key → value; a text is read as YAML) over it.

    Raises:
        ConfigError: with every fault found, each naming the key, its value and what is allowed.
    """
    what = "model configuration"
    given: dict[str, _Given] = {}
    faults: list[str] = []
    if path is not None:
        known = known_keys()
        for key, value in _flatten(read_yaml(path, what), known, str(path), faults):
            given[key] = _Given(f"{path}: {key}", value)
    for key, value in (overrides or {}).items():
        target = RENAMED.get(key, key)
        given = {other: item for other, item in given.items() if RENAMED.get(other, other) != target}
        given[target] = _Given(f"--set {key}", _scalar(value))
    values, warnings = _check(given, faults)
    if faults:
        count = f"{len(faults)} {'fault' if len(faults) == 1 else 'faults'}"
        raise ConfigError(f"{what}: {count} found", tuple(faults))
    return _threshold(_build(values, given, tuple(warnings)))


def parse_override(text: str) -> tuple[str, str]:
    """`a.b=c` of a `--set` as key and value.

    Raises:
        ConfigError: there is no `=` or no key.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text!r}: must be KEY=VALUE, for example model.n_estimators=200")
    return key.strip(), value


def for_agent(config: TrainConfig, spec: AgentSpec) -> TrainConfig:
    """The configuration with its feature names turned into those of the agent.

    Raises:
        ConfigError: a feature that the agent does not have, with the nearest one it has.
    """
    names = {feature.name for feature in spec.features}
    faults: list[str] = []
    listed = (*config.features.numeric, *config.features.categorical, *config.features.temporal)
    for name in (*listed, *config.features.derived):
        _feature(name, names, spec, "features", faults)
    exclude = tuple(_feature(name, names, spec, "features.exclude", faults) for name in config.features.exclude)
    if faults:
        raise ConfigError(f"model configuration: features of agent {spec.name}", tuple(faults))
    warnings = config.warnings
    if listed or config.features.derived:
        warning = (
            f"features.numeric, categorical, temporal, derived: agent {spec.name} has them all; which features are "
            "scored is decided by its agent file (features.exclude drops some)"
        )
        warnings = (*warnings, warning)
    return replace(config, features=replace(config.features, exclude=exclude), warnings=warnings)


@dataclass(frozen=True, slots=True)
class _Given:
    where: str
    value: object


def _flatten(
    mapping: Mapping[Any, Any], known: Mapping[str, Known], path: str, faults: list[str], above: str = ""
) -> Iterator[tuple[str, object]]:
    """Dotted keys and their values; a mapping that is itself a value (thresholds) stays whole."""
    for name, value in mapping.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and key not in known:
            yield from _flatten(value, known, path, faults, f"{key}.")
        elif key in SECTIONS and value is not None:
            faults.append(f"{path}: {key}: {value!r} is not a section with keys")
        elif key not in SECTIONS:
            yield key, value


def _scalar(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return yaml.safe_load(value)
    except yaml.YAMLError:
        return value  # then it is a text, or its key says that it is none


def _check(given: Mapping[str, _Given], faults: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Values of known keys by dotted name, and warnings; what is wrong is added to `faults`."""
    known = known_keys()
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for key, item in given.items():
        target = RENAMED.get(key, key)
        if target != key and target in given:
            if given[target].value != item.value:
                warnings.append(f"key without effect {item.where}: {target} is set, and counts")
        elif target in known:
            try:
                values[target] = known[target].parser.deserialize(item.value)
            except ValidationError:
                faults.append(f"{item.where}: {item.value!r} is not {known[target].allowed}")
        elif key in NO_EFFECT:
            warnings.append(f"key without effect {item.where}: {NO_EFFECT[key]}")
        elif key == "storage.version_format":
            if item.value != VERSION_FORMAT:
                warnings.append(f"key without effect {item.where}: versions are always {VERSION_FORMAT}")
        elif key != "version":
            faults.append(f"{item.where} is not a key{nearest(key, [*known, *RENAMED, *NO_EFFECT])}")
    return values, warnings


def _build(values: Mapping[str, Any], given: Mapping[str, _Given], warnings: tuple[str, ...]) -> TrainConfig:
    source = {key: item.value for key, item in given.items()}

    def section(name: str, cls: type[T]) -> T:
        names = [f.name for f in fields(cls)]  # type: ignore[arg-type]
        return cls(**{each: values[f"{name}.{each}"] for each in names if f"{name}.{each}" in values})

    def plain(name: str) -> dict[str, Any]:
        return {key.partition(".")[2]: value for key, value in source.items() if key.startswith(f"{name}.")}

    return TrainConfig(
        model=section("model", ModelSection),
        training=section("training", TrainingSection),
        detection=section("detection", DetectionSection),
        features=section("features", FeaturesSection),
        storage=section("storage", StorageSection),
        evaluation=section("evaluation", EvaluationSection),
        logging=section("logging", LoggingSection),
        monitoring=plain("monitoring"),
        database=plain("database"),
        version=str(source.get("version", "2.0.0")),
        source=source,
        warnings=warnings,
    )


def _threshold(config: TrainConfig) -> TrainConfig:
    """One of budget and contamination: a contamination without a budget is the quantile; a budget given wins."""
    if config.model.contamination is None:
        return config
    if "detection.alert_budget" not in config.source:
        warning = (
            f"model.contamination: {config.model.contamination:g} of the training windows will lie over the threshold;"
            " detection.alert_budget, incidents a week and host, is the better question"
        )
        no_budget = replace(config.detection, alert_budget=None)
        return replace(config, detection=no_budget, warnings=(*config.warnings, warning))
    warning = "key without effect model.contamination: detection.alert_budget is set, and sets the threshold"
    return replace(config, model=replace(config.model, contamination=None), warnings=(*config.warnings, warning))


def _feature(name: str, names: set[str], spec: AgentSpec, key: str, faults: list[str]) -> str:
    """The agent's own name of a feature; an unknown one is added to `faults`."""
    if name in names:
        return name
    other = [b if a == name else a for a, b in FEATURE_ALIASES.items() if name in (a, b)]
    for alias in other:
        if alias in names:
            return alias
    faults.append(f"{key}: agent {spec.name} has no feature {name!r}{nearest(name, names)}")
    return name
