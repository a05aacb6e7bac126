"""The window level: confusion, precision and recall, ROC, average precision, the sweep over thresholds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

SWEEP = 40
PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9)


@dataclass(frozen=True)
class Confusion:
    """Windows inside (positive) and outside of known faults, flagged and not."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def accuracy(self) -> float:
        total = self.true_positive + self.false_positive + self.true_negative + self.false_negative
        return (self.true_positive + self.true_negative) / total if total else 0.0

    @property
    def precision(self) -> float:
        flagged = self.true_positive + self.false_positive
        return self.true_positive / flagged if flagged else 0.0

    @property
    def recall(self) -> float:
        positive = self.true_positive + self.false_negative
        return self.true_positive / positive if positive else 0.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0

    def as_json(self) -> dict[str, int]:
        return {
            "true_positive": self.true_positive,
            "false_positive": self.false_positive,
            "true_negative": self.true_negative,
            "false_negative": self.false_negative,
        }


@dataclass(frozen=True)
class Sample:
    """Windows to measure on. truth: inside a known fault. ruled: flagged by a rule, whatever the score."""

    truth: Bools
    scores: Floats
    ruled: Bools

    def confusion(self, flagged: Bools) -> Confusion:
        """Counts for one way to flag."""
        truth = self.truth
        return Confusion(
            int((flagged & truth).sum()), int((flagged & ~truth).sum()), int((~flagged & ~truth).sum()),
            int((~flagged & truth).sum()),
        )  # fmt: skip

    @property
    def both(self) -> bool:
        """Are there windows of both kinds?"""
        return bool(self.truth.any() and not self.truth.all())

    def ranking(self) -> dict[str, float]:
        """ROC AUC and average precision of the score alone."""
        if not self.both:
            return {}
        return {
            "roc_auc": float(roc_auc_score(self.truth, self.scores)),
            "average_precision": float(average_precision_score(self.truth, self.scores)),
        }

    def thresholds(self, chosen: float) -> Floats:
        """Where the sweep looks: quantiles that grow denser upwards, and the chosen threshold."""
        shares = 1 - np.geomspace(1, 1 / max(2, len(self.scores)), SWEEP)
        found: Floats = np.unique(np.append(np.quantile(self.scores, shares), chosen))
        return found

    def sweep(self, chosen: float) -> list[dict[str, float]]:
        """Precision, recall and F1 at many thresholds, rules on top."""
        rows = []
        for threshold in self.thresholds(chosen):
            found = self.confusion((self.scores > threshold) | self.ruled)
            rows.append({
                "threshold": round(float(threshold), 6), "precision": round(found.precision, 4),
                "recall": round(found.recall, 4), "f1_score": round(found.f1, 4),
                "flagged": found.true_positive + found.false_positive,
            })  # fmt: skip
        return rows

    def percentiles(self) -> dict[str, dict[str, float]]:
        """Score percentiles of windows outside and inside known faults."""
        kinds: Mapping[str, Floats] = {"normal": self.scores[~self.truth], "fault": self.scores[self.truth]}
        return {
            kind: {
                f"{p:g}": round(float(q), 6)
                for p, q in zip(PERCENTILES, np.percentile(scores, PERCENTILES), strict=True)
            }
            for kind, scores in kinds.items()
            if len(scores)
        }


def window_metrics(sample: Sample, flagged: Bools) -> dict[str, Any]:
    """The field's standard metrics; empty where there are no windows of both kinds."""
    if not sample.both:
        return {}
    found = sample.confusion(flagged)
    return {
        "accuracy": round(found.accuracy, 4), "precision": round(found.precision, 4), "recall": round(found.recall, 4),
        "f1_score": round(found.f1, 4), **{name: round(value, 4) for name, value in sample.ranking().items()},
    }  # fmt: skip


def joined(samples: Sequence[Sample]) -> Sample:
    """Several samples as one."""
    return Sample(
        np.concatenate([s.truth for s in samples]),
        np.concatenate([s.scores for s in samples]),
        np.concatenate([s.ruled for s in samples]),
    )
