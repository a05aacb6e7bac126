"""Second pass over an export: closed windows as arrays, per role, and the pauses between a host's rows."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from shared.agent import AgentSpec
from shared.errors import TrainingError
from shared.features import FeatureExtractor, Window, windows
from shared.reference import Known
from shared.silence import SilenceWatch
from shared.values import Row
from trainer.labels import Faults

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RoleTable:
    """The windows of one role, n of them, in time order.

    hosts: (n,) names. index: (n,) window number since the epoch. raw: (n, 2·J) scored features, now and over the half
    hour. short: (n, F) every feature of the agent, now. Both 32-bit: counts are exact, and memory is half.
    """

    hosts: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]
    raw: Floats32
    short: Floats32

    def pick(self, keep: npt.NDArray[np.bool_]) -> RoleTable:
        """The windows for which `keep` is true."""
        if keep.all():
            return self
        return RoleTable(self.hosts[keep], self.index[keep], self.raw[keep], self.short[keep])

    def scored_only(self) -> RoleTable:
        """Without the features that no model is fitted on."""
        return replace(self, short=np.empty((len(self), 0), np.float32))

    def without_values(self) -> RoleTable:
        """Host and number of the windows alone."""
        return replace(self.scored_only(), raw=np.empty((len(self), 0), np.float32))

    def __len__(self) -> int:
        return len(self.index)


@dataclass
class Tables:
    """All windows of an export, and each host's longest pauses per day with clients there (True) or not.

    `gaps`: the longest pauses per day of hosts that may be steady, by (host, the pause that a steady one never exceeds);
    `heard`: when they spoke last.
    """

    roles: dict[str, RoleTable]
    pauses: dict[tuple[str, bool], dict[int, float]] = field(default_factory=dict)
    gaps: dict[tuple[str, float], dict[int, float]] = field(default_factory=dict)
    heard: dict[tuple[str, float], float] = field(default_factory=dict)

    def without_values(self) -> Tables:
        """Only which windows there are, for when the ones to learn from have been picked."""
        return replace(self, roles={role: table.without_values() for role, table in self.roles.items()})


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
    programs = frozenset(spec.programs)
    return collect((row for row in rows if row[3] in programs), FeatureExtractor(spec, known), exclude, faults)


def collect(
    rows: Iterable[Row], extractor: FeatureExtractor, exclude: Iterable[str] = (), faults: Faults | None = None
) -> Tables:
    """As `tabulate`, with an extractor of one's own and rows of the agent's programs only."""
    spec = extractor.spec
    columns = {role: list(scored_columns(spec, role, exclude)) for role in extractor.table.roles}
    parts = {role: _Rows() for role in columns}
    watch = SilenceWatch(spec.silence) if spec.silence else None
    steady = {one.role: one.steady_s for one in spec.heartbeats}
    spoke: dict[str, float] = {}
    tables = Tables({})
    for window in windows(rows, extractor):
        parts[window.role].add(window, columns[window.role], round(window.start / spec.window_s))
        if watch is not None and window.role == watch.spec.role:
            _pause(tables, watch, window, spoke, faults)
        if window.role in steady:
            _gap(tables, (window.host, steady[window.role]), window, faults)
    for role, rows_ in parts.items():
        if rows_.index and not columns[role]:
            raise TrainingError(
                f"train: no feature of the agent {spec.name} is scored for the role {role}; "
                "give one `scored: {}`, or exclude fewer"
            )
    tables.roles.update({role: rows_.table() for role, rows_ in parts.items() if rows_.index})
    return tables


def joined(tables: Sequence[Tables]) -> Tables:
    """Tables of different hosts as one, in the order of (time, host)."""
    if len(tables) == 1:
        return tables[0]
    roles = {}
    for role in dict.fromkeys(role for one in tables for role in one.roles):
        parts = [one.roles.pop(role) for one in tables if role in one.roles]
        hosts, index = (np.concatenate([getattr(part, name) for part in parts]) for name in ("hosts", "index"))
        order = np.lexsort((hosts, index))
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.arange(len(order))
        raws, shorts = [part.raw for part in parts], [part.short for part in parts]
        parts.clear()
        roles[role] = RoleTable(hosts[order], index[order], _laid(raws, place), _laid(shorts, place))
    return Tables(
        roles,
        {key: days for one in tables for key, days in one.pauses.items()},
        {key: days for one in tables for key, days in one.gaps.items()},
        {key: last for one in tables for key, last in one.heard.items()},
    )


def _laid(parts: list[Floats32], place: npt.NDArray[np.intp]) -> Floats32:
    """Parts of one table, each row in its place. They are used up, so that the table is never in memory twice."""
    whole = np.empty((len(place), parts[0].shape[1]), dtype=np.float32)
    begin = 0
    while parts:
        part = parts.pop(0)
        whole[place[begin : begin + len(part)]] = part
        begin += len(part)
    return whole


class _Rows:
    """Windows of one role while they come in, as flat arrays: a list of small arrays would take three times the memory."""

    def __init__(self) -> None:
        self.hosts: list[str] = []
        self.index = array("q")
        self.raw, self.short = array("f"), array("f")

    def add(self, window: Window, columns: list[int], index: int) -> None:
        self.hosts.append(window.host)
        self.index.append(index)
        self.raw.extend([window.short[i] for i in columns])
        self.raw.extend([window.long[i] for i in columns])
        self.short.extend(window.short)

    def table(self) -> RoleTable:
        n = len(self.index)
        raw, short = np.frombuffer(self.raw, np.float32), np.frombuffer(self.short, np.float32)
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


def _gap(tables: Tables, place: tuple[str, float], window: Window, faults: Faults | None) -> None:
    """A host of a role with a heartbeat spoke again."""
    before = tables.heard.get(place)
    days = tables.gaps.setdefault(place, {})
    if before is not None and not (faults is not None and faults.between(window.host, before, window.first)):
        day = int(window.first // 86_400)
        days[day] = max(days.get(day, 0.0), window.first - before)
    tables.heard[place] = window.last
