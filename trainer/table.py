"""Second pass over an export: closed windows as arrays, per role, and the pauses between a host's rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.agent import AgentSpec
from shared.features import FeatureExtractor, Window, windows
from shared.reference import Known
from shared.silence import SilenceWatch
from shared.values import Row
from trainer.labels import Faults

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RoleTable:
    """The windows of one role, n of them, in time order.

    hosts: (n,) names. index: (n,) window number since the epoch. raw: (n, 2·J) scored features, now and over the half
    hour. short: (n, F) every feature of the agent, now; 32-bit, for ranges and profiles only.
    """

    hosts: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]
    raw: Floats
    short: npt.NDArray[np.floating[Any]]

    def pick(self, keep: npt.NDArray[np.bool_]) -> RoleTable:
        """The windows for which `keep` is true."""
        if keep.all():
            return self
        return RoleTable(self.hosts[keep], self.index[keep], self.raw[keep], self.short[keep])

    def __len__(self) -> int:
        return len(self.index)


@dataclass
class Tables:
    """All windows of an export, and each host's longest pauses per day with clients there (True) or not."""

    roles: dict[str, RoleTable]
    pauses: dict[tuple[str, bool], dict[int, float]] = field(default_factory=dict)


def scored_columns(spec: AgentSpec, role: str, exclude: Iterable[str] = ()) -> tuple[int, ...]:
    """Positions of a role's scored features in the agent's feature list."""
    left_out = set(exclude)
    return tuple(
        i
        for i, feature in enumerate(spec.features)
        if feature.scored is not None and feature.role in ("any", role) and feature.name not in left_out
    )


def tabulate(
    rows: Iterable[Row], spec: AgentSpec, known: Known, exclude: Iterable[str] = (), faults: Faults | None = None
) -> Tables:
    """Extract every window of the rows (in time order) and collect them by role; pauses in known faults do not count."""
    extractor = FeatureExtractor(spec, known)
    programs = frozenset(spec.programs)
    columns = {role: list(scored_columns(spec, role, exclude)) for role in extractor.table.roles}
    parts = {role: _Rows() for role in columns}
    watch = SilenceWatch(spec.silence) if spec.silence else None
    spoke: dict[str, float] = {}
    tables = Tables({})
    for window in windows((row for row in rows if row[3] in programs), extractor):
        parts[window.role].add(window, columns[window.role], round(window.start / spec.window_s))
        if watch is not None and window.role == watch.spec.role:
            _pause(tables, watch, window, spoke, faults)
    tables.roles.update({role: rows_.table() for role, rows_ in parts.items() if rows_.index})
    return tables


class _Rows:
    """Windows of one role while they come in, as flat arrays: a list of small arrays would take three times the memory."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.index = array("q")
        self.raw, self.short = array("d"), array("f")

    def add(self, window: Window, columns: list[int], index: int) -> None:
        self.hosts.append(window.host)
        self.index.append(index)
        self.raw.extend([window.short[i] for i in columns])
        self.raw.extend([window.long[i] for i in columns])
        self.short.extend(window.short)

    def table(self) -> RoleTable:
        n = len(self.index)
        raw, short = np.frombuffer(self.raw, np.float64), np.frombuffer(self.short, np.float32)
        return RoleTable(
            np.array(self.hosts), np.frombuffer(self.index, np.int64), raw.reshape(n, -1), short.reshape(n, -1)
        )


def _pause(tables: Tables, watch: SilenceWatch, window: Window, spoke: dict[str, float], faults: Faults | None) -> None:
    before = spoke.get(window.host)
    known = faults is not None and before is not None and faults.between(window.host, before, window.first)
    if before is not None and window.first - before > 60 and not known:
        days = tables.pauses.setdefault((window.host, watch.anybody_there(window.host)), {})
        day = int(window.first // 86_400)
        days[day] = max(days.get(day, 0.0), window.first - before)
    watch.see(window)
    spoke[window.host] = window.last
