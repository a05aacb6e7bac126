"""The alert budget: what the table promises is what the peaks of unseen days kept."""

from __future__ import annotations

import numpy as np
import pytest

from shared.budget import threshold_for
from shared.reference import Tail
from trainer.fitting.calibrate import OutOfFold, budget_table, fit_tail, incident_starts, peaks

RNG = np.random.default_rng(3)
# Many ordinary peaks close together, and a thin tail above: what real logs look like.
HIGHEST = np.sort(np.concatenate([RNG.normal(0.3, 0.004, 800), 0.33 + RNG.exponential(0.03, 30)]))[::-1]
WEEKS = 21.0


def test_a_budget_is_kept_within_a_third_on_the_days_it_was_set_from() -> None:
    table = budget_table(fit_tail(HIGHEST, WEEKS), HIGHEST, WEEKS)
    for budget, _, observed in table:
        assert observed <= 1.3 * budget + 1 / WEEKS, "one more is chance"
        if budget * WEEKS >= 10:
            assert observed >= 0.7 * budget


def test_a_larger_budget_never_means_a_higher_threshold() -> None:
    tail = fit_tail(HIGHEST, WEEKS)
    thresholds = [threshold_for(tail, budget, HIGHEST, WEEKS) for budget in np.geomspace(0.01, 100, 60)]
    assert thresholds == sorted(thresholds, reverse=True)


def test_windows_that_are_one_incident_for_a_person_count_once() -> None:
    scores = np.array([0.9, 0.2, 0.7, 0.1, 0.8, 0.3])
    index = np.array([0, 4, 8, 30, 60, 200])  # 0 and 8 are apart until 4 between them is over the line as well
    found = OutOfFold(np.array(["ap1"] * 6), index, scores)
    assert incident_starts([found], apart=7).tolist() == pytest.approx([0.9, 0.8, 0.7, 0.3])
    other = OutOfFold(np.array(["ap2"] * 6), index, scores)
    assert len(incident_starts([found, other], apart=7)) == 8, "incidents of two hosts are two"


def test_an_older_bundle_without_peaks_keeps_its_tail() -> None:
    tail = Tail(0.33, 0.035, 1.43)
    assert threshold_for(tail, 4.0) == pytest.approx(0.33 + 0.035 * np.log(1.43 / 4))
    assert threshold_for(tail, 0.1, HIGHEST, WEEKS) == threshold_for(tail, 0.1), "too few peaks to count off"


def test_a_longer_log_has_more_peaks_of_a_host() -> None:
    hosts, index = np.array(["ap1"] * 2000), np.arange(2000) * 8
    found = OutOfFold(hosts, index, RNG.uniform(0.2, 0.4, 2000))
    assert len(peaks(found, 7, per_host_weeks=8)) > 2 * len(peaks(found, 7))
