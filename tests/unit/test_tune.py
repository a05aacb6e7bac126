"""The search: deterministic, resumable, never changing what was set on purpose, and writing what train can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from shared.errors import ConfigError, TrainingError
from tests import measured
from trainer.measuring.bench import Trial
from trainer.model_config import TrainConfig, load_model_config
from trainer.search.rounds import RUNGS
from trainer.search.space import applied, draw, space_of
from trainer.search.trials import TuneSettings, quality
from trainer.tune import STEPS, TuneReport, config_yaml, tune
from trainer.windows.length import with_window

START, END = 1_772_496_000.0, 1_772_496_000.0 + 3 * 86_400  # three days of the example week are enough to see it work
SETTINGS = TuneSettings(trials=3, patience=1, faults_each=1)
CONFIG = load_model_config(None, {
    "model.max_samples": 128, "features.window_s": 300, "model.n_estimators": 10, "detection.background": 0.3,
})  # fmt: skip


class StopError(Exception):
    """Somebody pressed cancel."""


def run(
    state: Path | None = None, stop_after: int | None = None, told: list[tuple[str, float]] | None = None
) -> TuneReport:
    done = 0

    def progress(step: str, share: float) -> None:
        nonlocal done
        if told is not None:
            told.append((step, share))
        done += step == "search"
        if stop_after is not None and done >= stop_after:
            raise StopError

    return tune([measured.WEEK], measured.WIFI, CONFIG, SETTINGS, start=START, end=END, state=state, progress=progress)


TOLD: list[tuple[str, float]] = []


@pytest.fixture(scope="module")
def found() -> TuneReport:
    return run(told=TOLD)


def test_a_search_tells_what_it_tried_and_how_good_the_given_settings_are(found: TuneReport) -> None:
    assert found.trials == 3
    assert {one.number for one in found.tried} == {0, 1, 2}
    assert max(one.rung for one in found.tried) == len(RUNGS) - 1
    assert 0 <= found.confirmed["given"]["recall"] <= 1
    json.dumps(found.as_json(), allow_nan=False)


def test_a_search_tells_how_far_it_is_within_its_steps(found: TuneReport) -> None:
    assert found.trials
    for name in STEPS:
        shares = [share for step, share in TOLD if step == name]
        assert shares == sorted(shares)
        assert len(set(shares)) > 2, name
        assert 0 <= shares[0] <= shares[-1] <= 1


def test_a_search_that_was_stopped_goes_on_and_ends_the_same(found: TuneReport, tmp_path: Path) -> None:
    state = tmp_path / "tuned.state"
    with pytest.raises(StopError):
        run(state, stop_after=2)
    again = run(state)
    assert again.resumed >= 2
    assert [(one.number, one.quality, one.rung) for one in again.tried] == [
        (one.number, one.quality, one.rung) for one in found.tried
    ]
    assert (again.best, again.confirmed) == (found.best, found.confirmed)


def test_the_written_configuration_is_one_that_train_reads(found: TuneReport, tmp_path: Path) -> None:
    file = tmp_path / "tuned.yaml"
    best = TuneReport(
        {"features.exclude": ("lines",), "model.n_estimators": 200}, (), found.confirmed, 1, 3, 0, 1.0, ""
    )
    file.write_text(config_yaml(CONFIG, best))
    config = load_model_config(file)
    assert config.features.exclude == ("lines",)
    assert (config.model.n_estimators, config.model.max_samples) == (200, 128)
    assert file.read_text().startswith("# Found by pipit-trainer tune: 3 candidates")


def test_what_was_set_on_purpose_is_not_searched() -> None:
    space = space_of(
        load_model_config(None, {"detection.alert_budget": 1.0, "model.n_estimators": 70}), measured.WIFI, 1
    )
    assert "detection.alert_budget" not in space
    assert "model.n_estimators" not in space
    assert "features.window_s" in space


def test_a_contamination_is_searched_in_place_of_the_budget() -> None:
    space = space_of(load_model_config(None, {"model.contamination": 0.01}), measured.WIFI, 1)
    assert space["model.contamination"][0] == 0.01
    assert "detection.alert_budget" not in space


def test_candidates_follow_from_the_seed_and_the_first_is_what_was_given() -> None:
    space = space_of(TrainConfig(), measured.WIFI, 7)
    assert draw(space, 7, 0) == {}
    assert [draw(space, 7, n) for n in range(9)] == [draw(space, 7, n) for n in range(9)]
    assert draw(space, 7, 3) != draw(space, 8, 3)
    config = applied(TrainConfig(), {"model.n_estimators": 50, "features.exclude": ("lines",)})
    assert (config.model.n_estimators, config.features.exclude) == (50, ("lines",))


def test_false_incidents_beyond_the_allowed_rate_cost() -> None:
    good, noisy = Trial(0.9, 0.9, 0.4, 10, 5), Trial(1.0, 1.0, 3.0, 10, 5)
    assert quality(good, allowed=0.5) > quality(noisy, allowed=0.5)


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    file = tmp_path / "small.csv"
    file.write_text("timestamp,host,program,message\n2026-03-03T00:00:00Z,ap1,hostapd,wlan0: AP-ENABLED\n")
    with pytest.raises(TrainingError, match="too little to learn from"):
        tune([file], measured.WIFI, CONFIG, SETTINGS)


def test_another_window_length_travels_in_the_agent_file() -> None:
    spec = with_window(measured.WIFI, 600)
    assert (spec.window_s, spec.long_windows) == (600, 3)
    assert yaml.safe_load(spec.raw)["window_s"] == 600
    assert with_window(measured.WIFI, None) is measured.WIFI
    with pytest.raises(ConfigError, match="does not divide"):
        with_window(measured.WIFI, 700)
