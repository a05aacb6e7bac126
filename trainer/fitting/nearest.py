"""A small set of normal windows that travels in the bundle: the middles of clusters, so that each kind of calm is there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from sklearn.cluster import MiniBatchKMeans
from threadpoolctl import threadpool_limits

from shared.agent import AgentSpec
from shared.reference import hashed
from shared.scale import LOWEST, Scale
from trainer.windows.table import RoleTable

MOST_BYTES = 60_000  # of all roles together
MOST_WINDOWS = 150  # of one role
MOST_CONSIDERED = 3_000
DAY_S = 86_400


def nearest_part(
    roles: Mapping[str, RoleTable], scales: Mapping[str, Scale], spec: AgentSpec, salt: str
) -> dict[str, dict[str, Any]]:
    """The part `nearest` of reference.json: per role hashed hosts, "day 3, 14:05" and the windows' values."""
    first_day = min(int(table.index.min() * spec.window_s // DAY_S) for table in roles.values())
    budget = MOST_BYTES // len(scales)
    return {role: _of_role(roles[role], scale, spec, salt, first_day, budget) for role, scale in scales.items()}


def _of_role(table: RoleTable, scale: Scale, spec: AgentSpec, salt: str, first_day: int, budget: int) -> dict[str, Any]:
    zone = ZoneInfo(spec.timezone)
    hosts = {str(host): hashed(salt, "host", str(host)) for host in np.unique(table.hosts)}
    found: dict[str, Any] = {"hosts": [], "when": [], "raw": []}
    size = 100
    for j in _middles(table, scale, hosts):
        start = int(table.index[j]) * spec.window_s
        when = datetime.fromtimestamp(start, UTC).astimezone(zone)
        row = [None if np.isnan(x) else float(f"{x:.4g}") for x in table.raw[j]]
        one = (hosts[str(table.hosts[j])], f"day {int(start // DAY_S) - int(first_day) + 1}, {when:%H:%M}", _short(row))
        size += len(json.dumps(one, separators=(",", ":")))
        if size > budget:
            break
        for name, value in zip(found, one, strict=True):
            found[name].append(value)
    return found


def _short(row: list[float | None]) -> list[float | None]:
    """Whole numbers without `.0`: half the bytes."""
    return [int(x) if x is not None and x == int(x) else x for x in row]


def _middles(table: RoleTable, scale: Scale, hosts: Mapping[str, str]) -> list[int]:
    """Windows nearest to the middles of clusters, those of the largest clusters first; each host has one at least."""
    step = -(-len(table) // MOST_CONSIDERED)
    considered = np.arange(0, len(table), step)
    z = np.array([scale.z(hosts[str(table.hosts[j])], table.raw[j]) for j in considered])
    z = np.nan_to_num(z, nan=LOWEST)
    with threadpool_limits(1):  # threads would spend more time waiting for each other
        clusters = MiniBatchKMeans(min(MOST_WINDOWS, len(z)), random_state=42, n_init=1, max_iter=20).fit(z)
    chosen: dict[int, None] = {}
    for host in hosts:  # its most ordinary window
        mine = np.flatnonzero(table.hosts[considered] == host)
        if len(mine):
            chosen[int(considered[mine[_closest(z[mine], np.median(z[mine], axis=0))]])] = None
    for cluster in np.argsort(-np.bincount(clusters.labels_), kind="stable"):
        members = np.flatnonzero(clusters.labels_ == cluster)
        if len(members):
            chosen[int(considered[members[_closest(z[members], clusters.cluster_centers_[cluster])]])] = None
    return list(chosen)


def _closest(z: npt.NDArray[np.float64], middle: npt.NDArray[np.float64]) -> int:
    return int(np.argmin(((z - middle) ** 2).sum(axis=1)))
