"""What is normal, for reference.json and for the report: quantiles, scores, longest silences."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from shared.agent import AgentSpec
from shared.classify import long_suffix
from shared.model import REFERENCE_SCHEMA
from shared.reference import Known, SilenceLimits, hashed
from trainer.fitting.calibrate import KEPT_PEAKS, KEPT_SCORES
from trainer.fitting.facts import NormalRange, ScoreCounts
from trainer.fitting.modelling import Fitted
from trainer.fitting.nearest import nearest_part
from trainer.windows.table import Floats, RoleTable, Tables

QUANTILES = (0.01, 0.5, 0.99)
PROFILE = tuple(np.linspace(0, 1, 21))
BINS = 40
LONE_DAYS = 4  # with fewer days nobody can say which of them was odd
LONE_TIMES = 3
STEADY_DAYS = 3  # a host that was seen on fewer days may have been there by chance
NEVER_SEEN = SilenceLimits(None, None)


def normal_ranges(roles: Mapping[str, RoleTable], spec: AgentSpec) -> tuple[NormalRange, ...]:
    """1, 50 and 99 % of each feature over a role's windows; features that are never there are left out."""
    found = []
    for role, table in roles.items():
        for column, feature in enumerate(spec.features):
            values = table.short[:, column].astype(np.float64)
            present = values[~np.isnan(values)]
            if len(present):
                low, middle, high = (float(q) for q in np.quantile(present, QUANTILES))
                found.append(
                    NormalRange(
                        feature.name, feature.title, role, low, middle, high, float(present.max()), feature.unit,
                        len(present) / len(values),
                    )
                )  # fmt: skip
    return tuple(found)


def score_counts(fitted: Fitted) -> ScoreCounts:
    """The histogram of out-of-fold scores of all roles."""
    scores = np.concatenate([found.scores for found in fitted.out_of_fold.values()])
    counts, edges = np.histogram(scores, bins=BINS)
    quantiles = {name: float(np.quantile(scores, float(name) / 100)) for name in ("50", "90", "99", "99.9")}
    return ScoreCounts(tuple(map(float, edges)), tuple(map(int, counts)), quantiles)


def silence_limits(tables: Tables, until: float = math.inf) -> dict[str, SilenceLimits]:
    """Host → its longest pauses in training; of whole days before `until` (s)."""
    found: dict[str, SilenceLimits] = {}
    for (host, there), days in tables.pauses.items():
        longest = [pause for day, pause in days.items() if day * 86_400 < until]
        if longest:
            own = found.get(host, NEVER_SEEN)
            found[host] = replace(own, present=_usual_longest(longest)) if there else replace(own, empty=max(longest))
    for host, pause in _steady(tables, until):
        found[host] = replace(found.get(host, NEVER_SEEN), steady=pause)
    return found


def _usual_longest(pauses: Sequence[float]) -> float:
    """The longest of the days' longest pauses with clients there, without a lone one that is far beyond all others.

    That one was a fault, or the log was away; a limit made of it would make the watch blind.
    """
    ordered = sorted(pauses)
    alone = len(ordered) >= LONE_DAYS and ordered[-1] > LONE_TIMES * ordered[-2]
    return ordered[-2 if alone else -1]


def _steady(tables: Tables, until: float) -> Iterator[tuple[str, float]]:
    """(host, its longest pause) of those that never were quiet for long; who was gone before the end is none of them."""
    end = min(until, max(tables.heard.values(), default=0.0))
    for (host, most), days in tables.gaps.items():
        longest = [gap for day, gap in days.items() if day * 86_400 < until]
        if len(longest) >= STEADY_DAYS and max(longest) <= most >= end - tables.heard[host, most]:
            yield host, max(longest)


def reference_json(
    spec: AgentSpec,
    known: Known,
    fitted: Fitted,
    roles: Mapping[str, RoleTable],
    silences: Mapping[str, SilenceLimits],
    leaves: bool,
    shown: bool = True,
) -> bytes:
    """reference.json: everything of `shared.reference.Reference`, and profiles of features and scores for drift.

    shown: with what a model that is only measured does not need: normal windows beside an anomaly, profiles for drift.
    """
    value: dict[str, Any] = {
        "schema": REFERENCE_SCHEMA,
        "salt": known.salt,
        "known": known.as_json(),
        "scale": {role: one.scale.as_json() for role, one in fitted.roles.items()},
        "silence": {
            hashed(known.salt, "host", host): {"present": one.present, "empty": one.empty, "steady": one.steady}
            for host, one in sorted(silences.items())
        },
        "scores": {role: _highest(found.scores) for role, found in fitted.out_of_fold.items()},
        "windows": {role: len(found.scores) for role, found in fitted.out_of_fold.items()},
        "tail": {"start": fitted.tail.start, "width": fitted.tail.width, "rate": fitted.tail.rate},
        "peaks": fitted.peaks[:KEPT_PEAKS].tolist(),
        "weeks": fitted.weeks,
        "budgets": [[row.budget, row.threshold, row.incidents] for row in fitted.budget_rows()],
        "threshold": fitted.threshold,
        "normal": {
            role: _normal(roles[role], one.scale.names, long_suffix(spec)) for role, one in fitted.roles.items()
        },
        "leaves_logged": leaves,
        "peak": {"offset": fitted.peak.offset, "factor": fitted.peak.factor},
    }
    if shown:
        value["profile"] = {role: _profile(table, spec) for role, table in roles.items()}
        value["score_profile"] = {role: _grid(found.scores) for role, found in fitted.out_of_fold.items()}
        scales = {role: one.scale for role, one in fitted.roles.items()}
        value["nearest"] = nearest_part(roles, scales, spec, known.salt)
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()


def _highest(scores: Floats) -> list[float]:
    """The highest scores, ascending: rarity is counted among them."""
    return [float(f"{score:.6g}") for score in np.sort(scores)[-KEPT_SCORES:]]


def _grid(values: Floats) -> list[float]:
    """21 quantiles from the least to the most, to six digits."""
    return [float(f"{q:.6g}") for q in np.quantile(values, PROFILE)]


def _normal(table: RoleTable, names: tuple[str, ...], suffix: str) -> dict[str, list[float]]:
    titles = [*names, *(name + suffix for name in names)]
    found = {}
    for j, title in enumerate(titles):
        quantiles = np.quantile(np.nan_to_num(table.raw[:, j]), QUANTILES)
        found[title] = [float(f"{q:.6g}") for q in quantiles]
    return found


def _profile(table: RoleTable, spec: AgentSpec) -> dict[str, dict[str, object]]:
    """Quantiles of each feature and the share of windows that have it: what drift is measured against."""
    profile: dict[str, dict[str, object]] = {}
    for column, feature in enumerate(spec.features):
        values = table.short[:, column].astype(np.float64)
        present = values[~np.isnan(values)]
        if len(present):
            profile[feature.name] = {"quantiles": _grid(present), "present": round(len(present) / len(values), 4)}
    return profile
