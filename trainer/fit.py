"""Windows to a fitted model: the host-relative scale, then impute ▸ clip ▸ scale ▸ forest, and the same as plain arrays.

A forest's trees cut only between values that they were shown, so everything beyond training's largest value looks alike
to them. Synthetic background points (training windows with a few features set anywhere on the scale) let them cut there:
on the development corpus plain forests find 0 to 10 % of the episodes, these nearly all. The idea is the range penalty
of SCiForest (Liu, Ting, Zhou 2010) reached with data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin
from sklearn.ensemble import IsolationForest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from shared.agent import AgentSpec
from shared.errors import TrainingError
from shared.reference import hashed
from shared.scale import HIGHEST, Scale, both_views
from shared.scoring import Forest
from trainer.model_config import TrainConfig
from trainer.model_sections import ModelSection
from trainer.windows.table import RoleTable

Floats = npt.NDArray[np.float64]

AUTO_SAMPLES = 256  # as scikit-learn means "auto"; 1,024 found no more and is two and a half times as large
LEAST_BACKGROUND = 20
MOST_WINDOWS = 10_000  # for one forest: a hundred trees of 256 windows hardly see more
CLIP_QUANTILES = (0.0005, 0.9995)
SLACK_QUANTILE = 0.95
NEW_HOST_QUANTILE = 0.9
LEAST_SPREAD = 0.5  # in doublings: a week cannot show that a host never strays less


class QuantileClip(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Clip each column at quantiles of what it was fitted on: an outlier says that it is one, not how large it is."""

    def __init__(self, low: float = CLIP_QUANTILES[0], high: float = CLIP_QUANTILES[1]) -> None:
        self.low, self.high = low, high

    def fit(self, X: Floats, y: object = None) -> QuantileClip:  # noqa: N803  scikit-learn's names
        """Learn the quantiles of X, shape (n, J)."""
        self.low_, self.high_ = np.quantile(X, [self.low, self.high], axis=0)
        return self

    def transform(self, X: Floats) -> Floats:  # noqa: N803
        """X between the quantiles."""
        clipped: Floats = np.clip(X, self.low_, self.high_)
        return clipped


class RoleSwitch(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """One fitted Pipeline per role. Rows carry the role's number in their first column, then the role's J features."""

    def __init__(self, pipelines: Mapping[str, Pipeline] | None = None, roles: tuple[str, ...] = ()) -> None:
        self.pipelines, self.roles = pipelines, roles

    def __sklearn_is_fitted__(self) -> bool:
        return bool(self.pipelines)

    def fit(self, X: Floats, y: object = None) -> RoleSwitch:  # noqa: N803
        """The role pipelines come fitted; nothing is left to do."""
        return self

    def score_samples(self, X: Floats) -> Floats:  # noqa: N803
        """As IsolationForest: the lower, the stranger."""
        rows = np.asarray(X, dtype=np.float64)
        scores = np.full(len(rows), np.nan)
        for number, role in enumerate(self.roles):
            mine = rows[:, 0] == number
            if mine.any():
                pipeline = (self.pipelines or {})[role]
                width = pipeline[0].n_features_in_
                scores[mine] = pipeline.score_samples(rows[mine, 1 : width + 1])
        return scores


@dataclass(frozen=True)
class FittedRole:
    """One role's scale, Pipeline and plain arrays."""

    scale: Scale
    pipeline: Pipeline
    forest: Forest

    def spread_units(self, table: RoleTable, salt: str) -> Floats:
        """(n, J): the windows on their hosts' scales, the larger of both views."""
        return both_views(_z(self.scale, table, salt))


def _z(scale: Scale, table: RoleTable, salt: str) -> Floats:
    z = np.empty(table.raw.shape)
    hosts, host_of = np.unique(table.hosts, return_inverse=True)
    for number, host in enumerate(hosts):
        mine = host_of == number
        z[mine] = scale.z(hashed(salt, "host", str(host)), table.raw[mine])
    return z


def fit_role(
    table: RoleTable,
    days: Days,
    keep: npt.NDArray[np.bool_],
    columns: tuple[int, ...],
    config: TrainConfig,
    salt: str,
) -> FittedRole:
    """Fit one role on the days to `keep`, shape (D,) of `days`; the forest on `MOST_WINDOWS` windows drawn from them."""
    model, background = config.model, config.detection.background
    scale = fit_scale(days, keep, columns, salt)
    rng = np.random.default_rng(model.random_state)
    z = both_views(_z(scale, table.pick(_drawn(keep[days.of], rng)), salt))
    seen = np.vstack([z, background_points(z, background, rng)]) if background else z
    pipeline = Pipeline([
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("clip", QuantileClip()),
        ("scale", StandardScaler()),
        ("forest", _forest(model, *seen.shape)),
    ])  # fmt: skip
    pipeline.fit(seen)
    return FittedRole(scale, pipeline, flatten(pipeline))


def _drawn(wanted: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """All of the wanted windows, or `MOST_WINDOWS` of them."""
    places = np.flatnonzero(wanted)
    if len(places) <= MOST_WINDOWS:
        return wanted
    drawn = np.zeros(len(wanted), dtype=bool)
    drawn[rng.choice(places, MOST_WINDOWS, replace=False)] = True
    return drawn


def _forest(model: ModelSection, n: int, width: int) -> IsolationForest:
    if model.type != "isolation_forest":
        raise TrainingError(
            f"train: model.type {model.type!r} has no plain form that a Pi could score; use isolation_forest"
        )
    samples = min(AUTO_SAMPLES, n) if model.max_samples == "auto" else model.max_samples
    if isinstance(samples, int):
        samples = min(samples, n)
    seen = min(model.max_features, width) if isinstance(model.max_features, int) else model.max_features
    return IsolationForest(
        n_estimators=model.n_estimators,
        max_samples=samples,
        max_features=seen,
        bootstrap=model.bootstrap,
        random_state=model.random_state,
        n_jobs=model.n_jobs,
    )


def background_points(z: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Copies of training windows with one to four features set uniformly between 0 and the scale's end."""
    count = max(LEAST_BACKGROUND, int(share * len(z)))
    points: Floats = z[rng.integers(0, len(z), count)].copy()
    order = rng.random(points.shape).argsort(axis=1)  # each row draws its features without repeating one
    chosen = order < rng.integers(1, 5, (count, 1))
    points[chosen] = rng.uniform(0, HIGHEST, int(chosen.sum()))
    return points


@dataclass(frozen=True)
class Days:
    """What a role's days were like: all that the scale needs of the windows, found once for any choice of days.

    hosts: (H,) names. of: (n,) number of each window's day. worst: (H, D, 2·J) largest values of log2(1 + x), 0 where
    the host was not there. there: (H, D) whether it was. priors: (2·J,) of the features.
    """

    spec: AgentSpec
    hosts: npt.NDArray[np.str_]
    of: npt.NDArray[np.intp]
    worst: Floats
    there: npt.NDArray[np.bool_]
    priors: Floats


def days_of(table: RoleTable, blocks: npt.NDArray[np.int64], spec: AgentSpec, columns: tuple[int, ...]) -> Days:
    """blocks: (n,) number of the day (or part of one) that each window lies in."""
    hosts, host_of = np.unique(table.hosts, return_inverse=True)
    days, day_of = np.unique(blocks, return_inverse=True)
    places = host_of * len(days) + day_of
    order = np.argsort(places, kind="stable")
    filled, starts = np.unique(places[order], return_index=True)
    worst = np.zeros((len(hosts) * len(days), table.raw.shape[1]))
    worst[filled] = [np.fmax.reduce(run, axis=0) for run in np.split(table.raw[order], starts[1:])]
    there = np.zeros(len(worst), dtype=bool)
    there[filled] = True
    return Days(
        spec,
        hosts,
        day_of,
        np.log2(1 + np.maximum(np.nan_to_num(worst), 0)).reshape(len(hosts), len(days), -1),
        there.reshape(len(hosts), len(days)),
        np.array([_prior(spec, i) for i in columns] * 2),
    )


def fit_scale(days: Days, keep: npt.NDArray[np.bool_], columns: tuple[int, ...], salt: str) -> Scale:
    """Each host's usual worst day, and how far days stray from it; see shared/scale.py. keep: (D,) the days to use."""
    spec = days.spec
    here = days.there[:, keep].any(axis=1)
    hosts, worst = days.hosts[here], days.worst[here][:, keep]
    flat = worst.reshape(-1, worst.shape[2])
    role_median = np.median(flat, axis=0)
    usual = (worst.shape[1] * np.median(worst, axis=1) + role_median) / (worst.shape[1] + 1)
    strays = (worst - usual[:, None]).reshape(flat.shape)
    slack = np.maximum(np.quantile(strays, SLACK_QUANTILE, axis=0), 0)
    beyond = np.where(strays > slack, strays - slack, 0)
    spread = np.maximum(LEAST_SPREAD, beyond.sum(0) / np.maximum(1, (strays > slack).sum(0)))
    floor = np.log2(1 + days.priors) - slack
    new = np.maximum(np.maximum(role_median, np.quantile(flat, NEW_HOST_QUANTILE, axis=0)), floor)
    return _rounded(
        Scale(
            tuple(spec.features[i].name for i in columns),
            columns,
            {hashed(salt, "host", str(host)): row for row, host in enumerate(hosts)},
            np.maximum(usual, floor),
            new,
            slack,
            spread,
        ),
        spec,
    )


def _rounded(scale: Scale, spec: AgentSpec) -> Scale:
    """The scale as reference.json will carry it, so that training and the Pi compute with the same figures."""
    return Scale.from_json(scale.as_json(), [feature.name for feature in spec.features])


def _prior(spec: AgentSpec, column: int) -> float:
    scored = spec.features[column].scored
    return scored.prior if scored else 0.0


def flatten(pipeline: Pipeline) -> Forest:
    """The plain arrays of impute ▸ clip ▸ scale ▸ IsolationForest, equal to it to a few ulp."""
    impute, clip, scaler, forest = (step for _, step in pipeline.steps)
    parts: dict[str, list[npt.NDArray[Any]]] = {key: [] for key in ("feature", "threshold", "left", "path")}
    roots, offset = [], 0
    for estimator, chosen in zip(forest.estimators_, forest.estimators_features_, strict=True):
        tree = estimator.tree_
        order, left = _level_by_level(tree)
        leaf = tree.children_left < 0
        parts["feature"].append(np.where(leaf, 0, chosen[np.maximum(tree.feature, 0)])[order])
        parts["threshold"].append(np.where(leaf, np.inf, tree.threshold)[order])
        parts["left"].append(left + offset)
        parts["path"].append(_expected_path(tree, leaf)[order])
        roots.append(offset)
        offset += tree.node_count
    arrays = {key: np.concatenate(value) for key, value in parts.items()}
    return Forest(
        median=np.asarray(impute.statistics_, dtype=np.float64),
        low=clip.low_,
        high=clip.high_,
        mean=scaler.mean_,
        scale=scaler.scale_,
        feature=arrays["feature"].astype(np.intp),
        threshold=arrays["threshold"].astype(np.float64),
        left=arrays["left"].astype(np.intp),
        path=arrays["path"],
        root=np.array(roots, dtype=np.intp),
        normalizer=np.array(_average_path(np.array([float(forest._max_samples)]))[0]),
    )


def _level_by_level(tree: Any) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The tree's nodes in an order in which siblings are neighbours, and each node's left child in it (a leaf's: itself)."""
    order = [0]
    left = []
    for place, node in enumerate(order):  # it grows while it is walked
        if tree.children_left[node] < 0:
            left.append(place)
        else:
            left.append(len(order))
            order += [int(tree.children_left[node]), int(tree.children_right[node])]
    return np.array(order, dtype=np.intp), np.array(left, dtype=np.intp)


def _expected_path(tree: Any, leaf: npt.NDArray[np.bool_]) -> Floats:
    """Path length expected below each node: a leaf's depth plus c(its points), a node's mean over its points."""
    count = tree.node_count
    depth, path = np.zeros(count), np.zeros(count)
    points = tree.n_node_samples.astype(np.float64)
    for node in range(count):
        if not leaf[node]:
            depth[tree.children_left[node]] = depth[tree.children_right[node]] = depth[node] + 1
    path[leaf] = depth[leaf] + _average_path(points[leaf])
    for node in range(count - 1, -1, -1):
        if not leaf[node]:
            left, right = tree.children_left[node], tree.children_right[node]
            path[node] = (points[left] * path[left] + points[right] * path[right]) / (points[left] + points[right])
    return path


def _average_path(points: Floats) -> Floats:
    """c(n), the average path length of an unsuccessful search in a binary tree of n points (Liu et al. 2008)."""
    n = np.maximum(points, 3)
    many = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(points <= 1, 0.0, np.where(points == 2, 1.0, many))
