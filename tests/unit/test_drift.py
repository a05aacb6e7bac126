"""Drift: worked examples by hand, no alarm from the profile's own coarseness, and none from small samples."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shared.drift import DRIFTED, STEADY, UNKNOWN, WATCH, Thresholds, distance, index, measure, steps

GRID = np.linspace(0, 1, 21)
LEVELS = Thresholds(watch=0.10, drifted=0.25, least=200)


def profile(values: object) -> list[float]:
    """The 21 quantiles that a bundle keeps of training's values."""
    return [float(q) for q in np.quantile(np.asarray(values, dtype=float), GRID)]


def test_the_index_of_two_bins_by_hand() -> None:
    then, now = np.array([0.5, 0.5]), np.array([0.8, 0.2])
    assert index(then, now, 1000) == pytest.approx(0.3 * math.log(1.6) - 0.3 * math.log(0.4))
    assert index(then, then, 1000) == 0.0


def test_an_empty_bin_has_a_bounded_weight() -> None:
    assert index(np.array([1.0, 0.0]), np.array([0.9, 0.1]), 1000) == pytest.approx(
        -0.1 * math.log(0.9) + (0.1 - 0.0005) * math.log(0.1 / 0.0005), rel=1e-3
    )


def test_the_distribution_function_is_known_between_two_quantiles_only() -> None:
    cuts, low, high = steps([0, 0, 0, 1, 3])
    assert cuts.tolist() == [0, 1, 3]
    assert low.tolist() == [0.5, 0.75, 1.0]
    assert high.tolist() == [0.75, 1.0, 1.0]


def test_only_the_upper_half_left_is_a_ks_of_one_half() -> None:
    moved = distance([n / 20 for n in range(21)], [0.5 + n / 2000 for n in range(1000)])
    assert moved.ks == pytest.approx(0.5, abs=0.01)
    # ten bins of 0.1: five are empty now, five hold twice as much
    assert moved.psi == pytest.approx(5 * 0.1 * math.log(2) + 5 * 0.0995 * math.log(0.1 / 0.0005), rel=0.05)
    assert moved.now == pytest.approx((0.525, 0.975), abs=0.001)
    assert moved.then == (0.05, 0.95)


@pytest.mark.parametrize("kind", ["normal", "counts", "rare"])
@pytest.mark.parametrize("count", [200, 1000])
def test_the_same_distribution_is_steady_whatever_its_kind(kind: str, count: int) -> None:
    chance = np.random.default_rng(4)

    def draw(n: int) -> object:
        if kind == "normal":
            return chance.normal(0, 1, n)
        return chance.poisson(2, n) if kind == "counts" else np.where(chance.random(n) < 0.97, 0, chance.poisson(5, n))

    then = profile(draw(20_000))
    assert {LEVELS.word(distance(then, list(draw(count)))) for _ in range(50)} == {STEADY}  # type: ignore[call-overload]


def test_a_rare_count_that_becomes_common_has_drifted() -> None:
    chance = np.random.default_rng(5)
    then = profile(np.where(chance.random(20_000) < 0.97, 0, chance.poisson(5, 20_000)))
    now = np.where(chance.random(1000) < 0.7, 0, chance.poisson(5, 1000))
    assert LEVELS.word(distance(then, list(now))) == DRIFTED


def test_scores_that_differ_by_less_than_the_grain_are_the_same() -> None:
    then = [0.298 + n * 1e-5 for n in range(20)] + [0.43]
    shifted = [0.2985] * 500
    assert distance(then, shifted, grain=0.002).psi == pytest.approx(0.0, abs=0.06)
    assert distance(then, shifted).psi > 1


def test_missing_values_are_a_bin_of_their_own() -> None:
    then = [float(n) for n in range(21)]
    half: list[float | None] = [None] * 500 + [float(n % 21) for n in range(500)]
    assert distance(then, half, present=0.5).psi < 0.02
    assert distance(then, half, present=1.0).psi > 0.25
    assert distance(then, half, present=1.0).ks == pytest.approx(0.5)


def test_too_few_windows_give_no_word() -> None:
    assert LEVELS.word(distance(profile(range(100)), [1e9] * 199)) == UNKNOWN
    assert LEVELS.word(distance(profile(range(100)), [1e9] * 200)) == DRIFTED
    assert LEVELS.word(distance(profile(range(100)), [])) == UNKNOWN


def test_watch_lies_between_steady_and_drifted() -> None:
    chance = np.random.default_rng(6)
    then = profile(chance.normal(0, 1, 20_000))
    assert LEVELS.word(distance(then, list(chance.normal(0.4, 1, 4000)))) == WATCH


@pytest.mark.parametrize("bad", [[], [1.0], [2.0, 1.0], [0.0, math.nan], [0.0, math.inf]])
def test_a_profile_that_is_none_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="quantiles"):
        steps(bad)


def test_a_role_is_measured_against_what_its_profile_has() -> None:
    reference = {
        "profile": {"ap": {"lines": {"quantiles": profile(range(1000)), "present": 1.0}, "odd": {"quantiles": []}}},
        "score_profile": {"ap": profile(np.linspace(0.3, 0.4, 1000))},
        "threshold": 0.45,
    }
    columns = {"lines": [float(n) for n in range(0, 1000, 2)], "new_feature": [1.0] * 500}
    found = measure("ap", reference, columns, [0.3 + n / 5000 for n in range(500)])
    assert set(found.features) == {"lines"}
    assert found.features["lines"].psi < 0.01
    assert found.scores.psi < 0.02
    assert math.isnan(measure("station", reference, columns, [0.3]).scores.psi)
