"""Which features a model lives on: what scrambling one costs, and what the trees themselves book on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from shared.model import Model
from shared.scale import both_views
from trainer.measuring.seen import Seen

Floats = npt.NDArray[np.float64]

MOST_ORDINARY = 1_200  # windows of a role; enough to tell features apart
MOST_FAULT = 400
MOST_ATTRIBUTED = 120
ROUNDS = 2


@dataclass(frozen=True)
class Importance:
    """One feature of one role. drop: average precision lost when its values are shuffled among windows. share: of what
    the trees book on features in windows of known faults; all features of a role sum to 1.
    """

    feature: str
    title: str
    role: str
    drop: float
    share: float

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def spread_units(model: Model, seen: Sequence[Seen]) -> Floats:
    """(n, J): windows of one role on their hosts' scales."""
    scale = model.scales[seen[0].role]
    z = np.array([scale.z(model.host_hash(one.host), one.raw.astype(np.float64)) for one in seen])
    return both_views(z)


def importances(model: Model, seen: Sequence[Seen], truth: npt.NDArray[np.bool_], seed: int) -> list[Importance]:
    """Every scored feature of every role that has windows of both kinds, the most important first."""
    rng, found = np.random.default_rng(seed), []
    titles = {feature.name: feature.title for feature in model.spec.features}
    for role in model.forests:
        places = np.array([i for i, one in enumerate(seen) if one.role == role], dtype=np.int64)
        faults, ordinary = places[truth[places]], places[~truth[places]]
        if not len(faults) or not len(ordinary):
            continue
        faults = rng.permutation(faults)[:MOST_FAULT]
        ordinary = rng.permutation(ordinary)[:MOST_ORDINARY]
        z = spread_units(model, [seen[i] for i in (*faults, *ordinary)])
        is_fault = np.arange(len(z)) < len(faults)
        drops = _drops(lambda rows, role=role: model.score(role, rows), z, is_fault, rng)  # type: ignore[misc]
        told = z[: min(len(faults), MOST_ATTRIBUTED)]
        scores = model.score(role, told)
        shares = sum(
            np.maximum(model.attribute(role, row, float(score)), 0) for row, score in zip(told, scores, strict=True)
        )
        total = float(np.sum(shares)) or 1.0
        names = model.scales[role].names
        found += [
            Importance(name, titles.get(name, name), role, round(float(drop), 4), round(float(share) / total, 4))
            for name, drop, share in zip(names, drops, np.atleast_1d(shares), strict=True)
        ]
    return sorted(found, key=lambda one: (-one.share, -one.drop, one.feature))


def _drops(score: Any, z: Floats, truth: npt.NDArray[np.bool_], rng: np.random.Generator) -> Floats:
    base = average_precision_score(truth, score(z))
    drops = np.zeros(z.shape[1])
    for j in range(z.shape[1]):
        if np.ptp(z[:, j]) == 0:
            continue
        shuffled = z.copy()
        for _ in range(ROUNDS):
            shuffled[:, j] = rng.permutation(z[:, j])
            drops[j] += (base - average_precision_score(truth, score(shuffled))) / ROUNDS
    return drops
