"""Which windows must not be learnt from: known episodes, and what is an attack or a fault in any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.agent import AgentSpec
from trainer.fitting.facts import LeftOut
from trainer.labels import Episode, faults_of, normal_of
from trainer.model_config import TrainConfig
from trainer.windows.table import RoleTable, scored_columns

BUSY_QUANTILE = 0.75  # what a host does in a quarter of its windows is its business, not an attack,
BUSY_TIMES = 4  # and only several times as much is beyond it
AFTER_S = 1800  # an episode's traces are in the trailing view for so long

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Guarded:
    """The windows that are learnt from, and how many were left out by what."""

    roles: Mapping[str, RoleTable]
    left_out: tuple[LeftOut, ...]


def guard(
    roles: Mapping[str, RoleTable], spec: AgentSpec, config: TrainConfig, episodes: Sequence[Episode] = ()
) -> Guarded:
    """Leave out windows over an agent's `guard` figures (unless switched off) and those that touch a known episode.

    What somebody called a false alarm stays in, whatever it looks like.
    """
    kept: dict[str, RoleTable] = {}
    left_out: list[LeftOut] = []
    for role, table in roles.items():
        out = np.zeros(len(table), dtype=bool)
        if config.detection.guard:
            columns = scored_columns(spec, role, config.features.exclude)
            for place, column in enumerate(columns):
                over = _over(table, spec, place + len(columns), column)
                if over.any():
                    left_out.append(
                        LeftOut(role, spec.features[column].name, int(over.sum()), "beyond any normal network")
                    )
                    out |= over
            out |= _neighbours(table, out, spec.long_windows)
        known = _touched(table, spec, faults_of(episodes))
        out &= ~_touched(table, spec, normal_of(episodes), after_s=0)
        if known.any():
            left_out.append(LeftOut(role, "labels", int((known & ~out).sum()), "part of a labelled episode"))
        kept[role] = table.pick(~(out | known))
    return Guarded({role: table for role, table in kept.items() if len(table)}, tuple(left_out))


def _over(table: RoleTable, spec: AgentSpec, place: int, column: int) -> Bools:
    scored = spec.features[column].scored
    if scored is None or scored.guard is None:
        return np.zeros(len(table), dtype=bool)
    values = np.nan_to_num(table.raw[:, place])
    over: Bools = values >= scored.guard
    for host in np.unique(table.hosts[over]):
        mine = table.hosts == host
        over[mine] &= values[mine] >= BUSY_TIMES * np.quantile(values[mine], BUSY_QUANTILE)
    return over


def _neighbours(table: RoleTable, out: Bools, windows: int) -> Bools:
    """Windows of the same host within the trailing view of one that is out: they share its rows."""
    near = np.zeros(len(table), dtype=bool)
    for host in np.unique(table.hosts[out]):
        mine = np.flatnonzero(table.hosts == host)
        bad = np.sort(table.index[mine][out[mine]])
        position = np.searchsorted(bad, table.index[mine])
        before = np.abs(table.index[mine] - bad[np.maximum(position - 1, 0)])
        after = np.abs(table.index[mine] - bad[np.minimum(position, len(bad) - 1)])
        near[mine] = np.minimum(before, after) <= windows
    return near


def _touched(table: RoleTable, spec: AgentSpec, episodes: Sequence[Episode], after_s: float = AFTER_S) -> Bools:
    start = table.index * spec.window_s
    touched = np.zeros(len(table), dtype=bool)
    for episode in episodes:
        of_host = np.isin(table.hosts, list(episode.hosts))
        touched |= of_host & (start + spec.window_s > episode.start) & (start < episode.end + after_s)
    return touched
