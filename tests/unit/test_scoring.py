"""The plain arrays score like the scikit-learn Pipeline that they were made from, and refuse what could harm."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from shared.errors import BundleError
from shared.scoring import Forest, dump_forests, load_forests
from trainer.fit import QuantileClip, flatten

RNG = np.random.default_rng(7)
TRAIN = RNG.normal(size=(800, 9)) * RNG.uniform(0.5, 3, 9)


def fitted(**parameters: object) -> tuple[Pipeline, Forest]:
    steps = [
        ("impute", SimpleImputer(strategy="median")),
        ("clip", QuantileClip()),
        ("scale", StandardScaler()),
        ("forest", IsolationForest(random_state=1, **parameters)),
    ]
    pipeline = Pipeline(steps).fit(TRAIN)
    return pipeline, flatten(pipeline)


@pytest.mark.parametrize(
    "parameters",
    [
        {"n_estimators": 100, "max_samples": 256},
        {"n_estimators": 30, "max_samples": 1.0},
        {"n_estimators": 30, "max_features": 0.5},
        {"n_estimators": 30, "bootstrap": True, "max_samples": 64},
    ],
)
def test_plain_arrays_score_like_scikit_learn(parameters: dict[str, object]) -> None:
    pipeline, forest = fitted(**parameters)
    windows = RNG.normal(size=(700, 9)) * 4
    windows[::7, 3] = np.nan
    difference = np.abs(forest.score(windows) + pipeline.score_samples(windows))
    assert difference.max() <= 1e-12


def test_attribution_adds_up_to_the_score() -> None:
    _, forest = fitted(n_estimators=50)
    for window in RNG.normal(size=(20, 9)) * 4:
        base = -forest.path[forest.root].mean() / forest.normalizer
        parts = forest.attribute(window)
        assert base + parts.sum() == pytest.approx(np.log2(forest.score(window[None])[0]), abs=1e-9)


def test_the_feature_that_is_far_out_gets_the_largest_part() -> None:
    _, forest = fitted(n_estimators=100)
    window = np.zeros(9)
    window[4] = 20.0
    assert int(np.argmax(forest.attribute(window))) == 4


def test_a_saved_forest_scores_the_same() -> None:
    _, forest = fitted(n_estimators=20)
    again = load_forests(dump_forests({"ap": forest}))["ap"]
    windows = RNG.normal(size=(50, 9))
    assert (again.score(windows) == forest.score(windows)).all()


def test_a_window_on_a_threshold_falls_to_the_same_side_after_saving() -> None:
    """Thresholds are saved in 32 bits, as windows are compared, so that not even a tie is decided otherwise."""
    _, forest = fitted(n_estimators=20, max_samples=800)
    again = load_forests(dump_forests({"ap": forest}))["ap"]
    inner = np.isfinite(forest.threshold)
    for x in (np.nextafter(forest.threshold.astype(np.float32), np.float32(side)) for side in (-np.inf, np.inf)):
        assert ((x > forest.threshold) == (x > again.threshold))[inner].all()
    x = forest.threshold.astype(np.float32)
    assert ((x > forest.threshold) == (x > again.threshold))[inner].all()
    assert (again.threshold != forest.threshold).any()


def changed(forest: Forest, part: str, position: int, value: float) -> bytes:
    array = getattr(forest, part).copy()
    array[position] = value
    return dump_forests({"ap": replace(forest, **{part: array})})


@pytest.mark.parametrize(
    ("part", "position", "value"),
    [
        ("left", 0, 10**6),  # a child outside the trees
        ("left", 5, 1),  # a cycle
        ("left", 0, -3),
        ("threshold", -1, 0.5),  # a leaf that leads on
        ("feature", 0, 99),
        ("feature", 0, -1),
        ("threshold", 0, np.nan),
        ("path", 0, np.inf),
        ("scale", 0, 0.0),
        ("median", 0, np.nan),
        ("root", 0, -1),
    ],
)
def test_hostile_figures_are_refused_before_they_are_used(part: str, position: int, value: float) -> None:
    _, forest = fitted(n_estimators=10)
    with pytest.raises(BundleError) as refusal:
        load_forests(changed(forest, part, position, value))
    assert refusal.value.code == "load"


def test_a_split_whose_second_child_lies_just_outside_is_refused() -> None:
    _, forest = fitted(n_estimators=10)
    split = int(np.flatnonzero(forest.left != np.arange(forest.left.size))[-1])
    with pytest.raises(BundleError, match="a child lies outside the trees"):
        load_forests(changed(forest, "left", split, forest.left.size - 1))


def test_an_object_array_is_refused_and_not_unpickled() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[object, ...]:
            return (pytest.fail, ("it was unpickled",))

    _, forest = fitted(n_estimators=5)
    with np.load(io.BytesIO(dump_forests({"ap": forest}))) as archive:
        arrays = {name: archive[name] for name in archive.files}
    arrays["ap.path"] = np.array([Bomb()], dtype=object)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    with pytest.raises(BundleError, match=r"scorer\.npz"):
        load_forests(buffer.getvalue())


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, big=np.zeros(10_000_000))
    assert len(buffer.getvalue()) < 200_000
    with pytest.raises(BundleError, match="unpacks to"):
        load_forests(buffer.getvalue())


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip", b"PK\x05\x06" + bytes(18)])
def test_damaged_files_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError):
        load_forests(data)
