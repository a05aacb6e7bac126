"""Trivial detectors beside the model: what is it worth over flagging everything, a z-score, a distance of counts?

Each gets its threshold such that it flags as many ordinary windows as the model does: the comparison is at equal cost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics.pairwise import manhattan_distances

from trainer.measuring.seen import Seen
from trainer.measuring.window_scores import Sample

Floats = npt.NDArray[np.float64]
MOST_REFERENCE = 2_000  # different count vectors that a window is compared with
MOST_ORDINARY = 4_000  # ordinary windows that are looked at; more would only cost time
CHUNK = 512


@dataclass(frozen=True)
class Baseline:
    """A trivial detector's figures. episodes_found: of those that show by lines."""

    name: str
    title: str
    precision: float
    recall: float
    average_precision: float | None
    roc_auc: float | None
    episodes_found: int
    episodes: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def counts_of(seen: Sequence[Seen]) -> Floats:
    """(n, J) counts of the newest window as log2(1 + x); missing is 0."""
    raw = np.array([one.raw[: len(one.raw) // 2] for one in seen], dtype=np.float64)
    logs: Floats = np.log2(1 + np.nan_to_num(np.maximum(raw, 0)))
    return logs


def z_scores(reference: Floats, counts: Floats) -> Floats:
    """The largest deviation of any feature from the reference's mean, in its standard deviations."""
    mean, std = reference.mean(0), np.maximum(reference.std(0), 0.1)
    largest: Floats = np.abs((counts - mean) / std).max(1)
    return largest


def distances(reference: Floats, counts: Floats, *, same: bool) -> Floats:
    """L1 distance to the nearest reference window; `same`: the counts are among the reference, so one zero is skipped."""
    pool = reference if same else np.unique(reference, axis=0)
    pool = pool[:: max(1, len(pool) // MOST_REFERENCE)]
    found = np.empty(len(counts))
    for at in range(0, len(counts), CHUNK):
        part = manhattan_distances(counts[at : at + CHUNK], pool)
        if same and len(pool) > 1:
            part.partition(1, axis=1)
        found[at : at + CHUNK] = part[:, 1] if same and len(pool) > 1 else part.min(1)
    return found


def baselines(
    seen: Sequence[Seen], truth: npt.NDArray[np.bool_], groups: Sequence[int],
    reference: Mapping[str, Floats] | None = None,
) -> list[Baseline]:  # fmt: skip
    """Compare on judged windows. groups: the fault of each window, -1 for none. reference: (n, J) log counts by role of
    windows to learn normal from; without it the ordinary windows among `seen` serve, which flatters the detectors.
    """
    seen, truth, groups = _thinned(seen, truth, groups)
    flagged = np.array([one.flagged for one in seen])
    false = int((flagged & ~truth).sum())
    scores = {"z_score": np.zeros(len(seen)), "count_distance": np.zeros(len(seen))}
    for role in {one.role for one in seen}:
        mine = np.array([one.role == role for one in seen])
        counts = counts_of([one for one in seen if one.role == role])
        known = reference.get(role) if reference else None
        normal = known if known is not None else counts[~truth[mine]]
        if len(normal) < 2:
            continue
        scores["z_score"][mine] = z_scores(normal, counts)
        scores["count_distance"][mine] = distances(normal, counts, same=known is None)
    titles = {"z_score": "Largest z-score", "count_distance": "Distance to the nearest count vector"}
    everything = np.ones(len(seen), dtype=bool)
    found = [_baseline("flag_all", "Flag every window", truth, None, everything, groups)]
    for name, values in scores.items():
        ordinary = np.sort(values[~truth])[::-1]
        line = ordinary[min(false, len(ordinary) - 1)] if len(ordinary) else 0.0
        found.append(_baseline(name, titles[name], truth, values, values > line, groups))
    return found


def _thinned(
    seen: Sequence[Seen], truth: npt.NDArray[np.bool_], groups: Sequence[int]
) -> tuple[list[Seen], npt.NDArray[np.bool_], list[int]]:
    """Every n-th ordinary window, and all others, so that time stays bounded."""
    step = max(1, int((~truth).sum()) // MOST_ORDINARY)
    keep = truth | (np.cumsum(~truth) % step == 0)
    places = [int(place) for place in np.flatnonzero(keep)]
    return [seen[i] for i in places], truth[keep], [groups[i] for i in places]


def _baseline(
    name: str, title: str, truth: npt.NDArray[np.bool_], scores: Floats | None, flagged: npt.NDArray[np.bool_],
    groups: Sequence[int],
) -> Baseline:  # fmt: skip
    sample = Sample(truth, np.zeros(len(truth)) if scores is None else scores, np.zeros(len(truth), dtype=bool))
    confusion, ranking = sample.confusion(flagged), {} if scores is None else sample.ranking()
    hit = {group for group, is_hit in zip(groups, flagged & truth, strict=True) if is_hit and group >= 0}
    precision = ranking.get("average_precision")
    area = ranking.get("roc_auc")
    return Baseline(
        name, title, round(confusion.precision, 4), round(confusion.recall, 4),
        None if precision is None else round(precision, 4), None if area is None else round(area, 4), len(hit),
        len({group for group in groups if group >= 0}),
    )  # fmt: skip
