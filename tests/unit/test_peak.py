"""The second part of the score: a single feature far out is enough, and the explanation says which."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shared.model import _peak
from shared.peak import Peak, largest

PEAK = Peak(offset=0.3, factor=0.05)


def test_the_score_is_the_larger_of_both_parts_and_never_above_one() -> None:
    z = np.array([[0.0, 4.0], [0.5, 0.2], [30.0, 0.0]])
    assert PEAK.score(np.array([0.35, 0.35, 0.35]), z) == pytest.approx([0.5, 0.35, 1.0])


def test_a_missing_feature_counts_as_usual() -> None:
    assert largest(np.array([[np.nan, -1.0], [np.nan, 2.0]])).tolist() == [0.0, 2.0]


def test_an_old_bundle_without_the_part_scores_by_its_forest_alone() -> None:
    forest = np.array([0.35, 0.4])
    assert _peak(None).score(forest, np.full((2, 3), 9.0)) is forest


def test_the_parts_of_an_explanation_sum_to_the_score() -> None:
    z, parts, forest, base = np.array([0.1, 6.0, 2.0]), np.array([0.05, 0.2, 0.1]), 0.38, np.log2(0.38) - 0.35
    score = float(PEAK.score(np.array([forest]), z[None])[0])
    told = PEAK.attribute(parts, forest, score, z)
    assert base + told.sum() == pytest.approx(np.log2(score))
    assert told.argmax() == 1
    assert told[0] == parts[0]  # what is no peak keeps the forest's part


def test_a_falling_line_is_refused() -> None:
    with pytest.raises(ValueError, match="below 0"):
        _peak(json.loads('{"offset": 0.3, "factor": -0.1}'))
