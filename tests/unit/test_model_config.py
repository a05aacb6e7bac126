"""The model configuration: old forms load unchanged, faults come together, nothing is ignored in silence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.errors import ConfigError
from trainer.model_config import for_agent, known_keys, load_model_config, parse_override
from trainer.model_keys import NO_EFFECT, RENAMED

DATA = Path(__file__).parent.parent / "data" / "model_config"
OLDER = sorted(DATA.glob("*.yaml"))


def agent(*names: str) -> Any:
    return SimpleNamespace(name="wifi", features=tuple(SimpleNamespace(name=name) for name in names))


def write(folder: Path, text: str) -> Path:
    file = folder / "model.yaml"
    file.write_text(text)
    return file


@pytest.mark.parametrize("file", OLDER, ids=lambda file: file.stem)
def test_an_older_configuration_loads_unchanged(file: Path) -> None:
    config = load_model_config(file)
    assert config.model.n_estimators == 100
    assert config.model.max_samples == "auto"
    assert config.model.random_state == 42
    assert config.model.contamination == 0.1
    assert config.detection.alert_budget is None, "a contamination without a budget is the quantile"
    assert config.training.test_size == 0.2
    assert str(config.storage.directory) == "models"


def test_the_nested_form_gives_what_the_flat_form_gives() -> None:
    nested = load_model_config(DATA / "nested_v1.yaml")
    assert nested.model.n_jobs == -1, "training.n_jobs is the forest's"
    assert nested.evaluation.thresholds == {"accuracy": 0.8, "precision": 0.7, "recall": 0.7, "f1_score": 0.7}
    assert nested.logging.file == Path("logs/model_training.log")
    flat = load_model_config(DATA / "flat_v2.yaml")
    assert flat.model.bootstrap is True
    assert flat.training.cross_validation_folds == 5
    assert (flat.logging.max_size, flat.logging.backup_count) == (100_000_000, 10)
    assert flat.storage.compression is True


@pytest.mark.parametrize("file", OLDER, ids=lambda file: file.stem)
def test_every_key_without_effect_is_warned_about_once_with_its_reason(file: Path) -> None:
    config = load_model_config(file)
    for key in set(config.source) & set(NO_EFFECT):
        about = [warning for warning in config.warnings if f": {key}: " in warning]
        assert len(about) == 1
        assert about[0].endswith(NO_EFFECT[key])


def test_without_a_file_the_budget_decides() -> None:
    config = load_model_config()
    assert config.detection.alert_budget == 0.15
    assert config.model.contamination is None
    assert config.warnings == ()


def test_a_budget_that_is_given_wins_over_a_contamination_and_says_so() -> None:
    config = load_model_config(DATA / "nested_v1.yaml", {"detection.alert_budget": "0.5"})
    assert config.detection.alert_budget == 0.5
    assert config.model.contamination is None
    assert any("model.contamination: detection.alert_budget is set" in warning for warning in config.warnings)


def test_overrides_are_yaml_scalars_and_win_over_the_file_under_either_name() -> None:
    config = load_model_config(
        DATA / "nested_v1.yaml",
        {"model.n_estimators": "200", "model.hyperparameters.contamination": "0.02", "detection.guard": "no"},
    )
    assert (config.model.n_estimators, config.model.contamination) == (200, 0.02)
    assert config.detection.guard is False


def test_all_faults_come_together_with_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    file = write(
        tmp_path, "model: {n_estimators: many, type: svm, contamination: 0.7}\ntraining: 3\nmodle: {type: 1}\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_model_config(file, {"evaluation.thresholds": "{recall: 2}", "features.excluded": "[a]"})
    assert caught.value.faults == (
        f"{file}: training: 3 is not a section with keys",
        f"{file}: model.n_estimators: 'many' is not a whole number from 1 to 2000 (trees)",
        f"{file}: model.type: 'svm' is not one of isolation_forest",
        f"{file}: model.contamination: 0.7 is not auto or a share above 0 and up to 0.5, or empty",
        f"{file}: modle.type is not a key; did you mean model.type?",
        "--set evaluation.thresholds: {'recall': 2} is not known metrics with bounds: shares from 0 to 1, rates and times from 0",
        "--set features.excluded is not a key; did you mean features.exclude?",
    )


@pytest.mark.parametrize(("given", "means"), [("auto", "auto"), ("64", 64), ("0.5", 0.5), ("1.0", 1.0), ("1", 1)])
def test_samples_are_auto_a_count_or_a_share(given: str, means: object) -> None:
    found = load_model_config(None, {"model.max_samples": given}).model.max_samples
    assert (found, type(found)) == (means, type(means))


@pytest.mark.parametrize("given", ["0", "-1", "1.5", "true", "some", "[1]"])
def test_samples_that_mean_nothing_are_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"model\.max_samples"):
        load_model_config(None, {"model.max_samples": given})


@pytest.mark.parametrize("jobs", ["0", "-2", "1.5", "yes"])
def test_a_number_of_jobs_that_means_nothing_is_refused(jobs: str) -> None:
    with pytest.raises(ConfigError, match="-1 or a whole number of at least 1"):
        load_model_config(None, {"model.n_jobs": jobs})


def test_feature_names_may_be_the_older_ones() -> None:
    config = load_model_config(None, {"features.temporal": "[mean_hour_of_day]", "features.exclude": "[packet_loss]"})
    config = for_agent(config, agent("hour_of_day", "mean_packet_loss"))
    assert config.features.exclude == ("mean_packet_loss",)
    assert "decided by its agent file" in config.warnings[-1]


def test_a_feature_that_the_agent_lacks_is_an_error_with_the_nearest_name() -> None:
    config = load_model_config(None, {"features.numeric": "[deauth_ration]", "features.exclude": "[nonsense]"})
    with pytest.raises(ConfigError) as caught:
        for_agent(config, agent("deauth_ratio"))
    assert caught.value.faults == (
        "features: agent wifi has no feature 'deauth_ration'; did you mean deauth_ratio?",
        "features.exclude: agent wifi has no feature 'nonsense'",
    )


@pytest.mark.parametrize("text", ["model.n_estimators", "=3", ""])
def test_an_override_without_key_or_value_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_override(text)


def test_the_digest_changes_with_the_configuration_and_not_with_its_order(tmp_path: Path) -> None:
    one = load_model_config(write(tmp_path, "model: {n_estimators: 50, bootstrap: true}\n"))
    other = load_model_config(write(tmp_path, "model: {bootstrap: true, n_estimators: 50}\n"))
    assert one.digest() == other.digest() != load_model_config().digest()


def test_no_key_is_both_known_and_without_effect() -> None:
    assert not set(known_keys()) & set(NO_EFFECT)
    assert set(RENAMED.values()) <= set(known_keys())
