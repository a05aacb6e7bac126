"""Second pass over an export: closed windows as arrays, per role, and the pauses between a host's rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

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
    hour. short: (n, F) every feature of the agent, now.
    """

    hosts: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]
    raw: Floats
    short: Floats

    def pick(self, keep: npt.NDArray[np.bool_]) -> RoleTable:
        """The windows for which `keep` is true."""
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
    parts: dict[str, list[tuple[str, int, Floats, Floats]]] = defaultdict(list)
    watch = SilenceWatch(spec.silence) if spec.silence else None
    spoke: dict[str, float] = {}
    tables = Tables({})
    for window in windows((row for row in rows if row[3] in programs), extractor):
        columns_here = columns[window.role]
        raw = np.array([window.short[i] for i in columns_here] + [window.long[i] for i in columns_here])
        parts[window.role].append((window.host, round(window.start / spec.window_s), raw, np.array(window.short)))
        if watch is not None and window.role == watch.spec.role:
            _pause(tables, watch, window, spoke, faults)
    for role, found in parts.items():
        hosts, index, raws, shorts = zip(*found, strict=True)
        tables.roles[role] = RoleTable(np.array(hosts), np.array(index), np.array(raws), np.array(shorts))
    return tables


def _pause(tables: Tables, watch: SilenceWatch, window: Window, spoke: dict[str, float], faults: Faults | None) -> None:
    before = spoke.get(window.host)
    known = faults is not None and before is not None and faults.between(window.host, before, window.first)
    if before is not None and window.first - before > 60 and not known:
        days = tables.pauses.setdefault((window.host, watch.anybody_there(window.host)), {})
        day = int(window.first // 86_400)
        days[day] = max(days.get(day, 0.0), window.first - before)
    watch.see(window)
    spoke[window.host] = window.last
