"""Fit every role, calibrate on days that the model has not seen, and set the threshold."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.agent import AgentSpec
from shared.budget import threshold_for
from shared.peak import Peak, largest
from shared.reference import Tail
from shared.scoring import Forest
from trainer.fit import Days, FittedRole, days_of, fit_role
from trainer.fitting.calibrate import (
    LEAST_PEAK_WIDTH,
    ONE_BLOCK_PENALTY,
    Floats,
    OutOfFold,
    budget_table,
    contamination_threshold,
    day_blocks,
    fit_tail,
    incident_starts,
    peaks,
)
from trainer.fitting.facts import BudgetRow
from trainer.model_config import TrainConfig
from trainer.windows.table import RoleTable, scored_columns

DAY_S = 86_400
WEEK_S = 7 * DAY_S
DEFAULT_BUDGET = 0.15


@dataclass(frozen=True)
class Fitted:
    """The fitted roles, their out-of-fold scores, the tail of their peaks and the threshold. `weeks`: host-weeks."""

    roles: Mapping[str, FittedRole]
    out_of_fold: Mapping[str, OutOfFold]
    tail: Tail
    peaks: Floats
    weeks: float
    threshold: float
    peak: Peak

    @property
    def forests(self) -> dict[str, Forest]:
        """The plain arrays by role."""
        return {role: one.forest for role, one in self.roles.items()}

    def score(self, role: str, table: RoleTable, salt: str) -> Floats:
        """Scores of windows by the whole model, shape (n,)."""
        one = self.roles[role]
        z = one.spread_units(table, salt)
        return self.peak.score(one.forest.score(z), z)

    def threshold_rarity(self) -> float | None:
        """Windows of training per window over the threshold; None where none was."""
        scores = np.concatenate([found.scores for found in self.out_of_fold.values()])
        above = int((scores > self.threshold).sum())
        return len(scores) / above if above else None

    def budget_rows(self) -> tuple[BudgetRow, ...]:
        """The alert-budget table for people."""
        scores = np.concatenate([found.scores for found in self.out_of_fold.values()])
        rows = []
        for budget, threshold, incidents in budget_table(self.tail, self.peaks, self.weeks):
            above = int((scores > threshold).sum())
            rows.append(BudgetRow(budget, threshold, len(scores) / above if above else None, incidents))
        return tuple(rows)


def calibrate_and_fit(
    roles: Mapping[str, RoleTable],
    spec: AgentSpec,
    config: TrainConfig,
    salt: str,
    progress: Callable[[float], None] = lambda share: None,
) -> Fitted:
    """Fit each role on everything, and learn from models that leave one day out how high calm days score."""
    first = min(int(table.index.min()) for table in roles.values())
    last = max(int(table.index.max()) for table in roles.values())
    hosts = {str(host) for table in roles.values() for host in np.unique(table.hosts)}
    weeks = len(hosts) * (last - first + 1 - _away(roles, DAY_S / spec.window_s)) * spec.window_s / WEEK_S
    fitted, unseen = {}, {}
    for number, (role, table) in enumerate(roles.items()):
        columns = scored_columns(spec, role, config.features.exclude)
        blocks = day_blocks(table.index, first, last, DAY_S / spec.window_s)
        days = days_of(table, blocks, spec, columns)
        fitted[role] = fit_role(table, days, np.ones(days.there.shape[1], dtype=bool), columns, config, salt)
        unseen[role] = _out_of_fold(table, days, fitted[role], columns, config, salt)
        progress((number + 1) / len(roles))

    def all_peaks(of: Callable[[Unseen], Floats]) -> Floats:
        runs = [
            peaks(OutOfFold(one.hosts, one.index, of(one)), spec.long_windows + 1, weeks / len(hosts))
            for one in unseen.values()
        ]
        return np.sort(np.concatenate(runs))[::-1]

    peak = _peak_line(all_peaks(lambda one: one.forest), all_peaks(lambda one: one.largest), weeks)
    found = {role: one.combined(peak) for role, one in unseen.items()}
    highest = incident_starts(found.values(), spec.long_windows + 1)
    tail = fit_tail(highest, weeks)
    return Fitted(fitted, found, tail, highest, weeks, _threshold(found, tail, highest, weeks, config), peak)


def _away(roles: Mapping[str, RoleTable], per_day: float) -> int:
    """Windows of the whole days of which there is no log: nobody was watched, so they are no calm time either."""
    pauses = np.diff(np.unique(np.concatenate([table.index for table in roles.values()]))) - 1
    return int(pauses[pauses > per_day].sum())


@dataclass(frozen=True)
class Unseen:
    """Windows as models saw them that had not seen their day: the forest's scores and the largest spread unit, (n,)."""

    hosts: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]
    forest: Floats
    largest: Floats

    def combined(self, peak: Peak) -> OutOfFold:
        """Both parts as one score."""
        return OutOfFold(self.hosts, self.index, peak.score(self.forest, self.largest[:, None]))


def _peak_line(forest: Floats, largest: Floats, weeks: float) -> Peak:
    """The line that makes equal scores equally rare: both tails are exponential, so a straight one does."""
    to, of = fit_tail(forest, weeks), fit_tail(largest, weeks, LEAST_PEAK_WIDTH)
    factor = to.width / of.width
    return Peak(to.start - factor * of.start + to.width * math.log(to.rate / of.rate), factor)


def _out_of_fold(
    table: RoleTable, days: Days, whole: FittedRole, columns: tuple[int, ...], config: TrainConfig, salt: str
) -> Unseen:
    """Each day seen by a model of the others; days are joined where there are very many."""
    number_of_days = days.there.shape[1]
    folds = _folds(number_of_days, config.training.cross_validation_folds)
    scores, largest_z = np.empty(len(table)), np.empty(len(table))
    if number_of_days < 2 or not config.evaluation.cross_validation:
        z = whole.spread_units(table, salt)
        return Unseen(table.hosts, table.index, whole.forest.score(z) + ONE_BLOCK_PENALTY, largest(z) + 1.0)
    for fold in np.unique(folds):
        mine = folds[days.of] == fold
        other = fit_role(table, days, folds != fold, columns, config, salt)
        z = other.spread_units(table.pick(mine), salt)
        scores[mine], largest_z[mine] = other.forest.score(z), largest(z)
    return Unseen(table.hosts, table.index, scores, largest_z)


def _folds(days: int, most: int) -> npt.NDArray[np.intp]:
    """The fold of each day, shape (days,): neighbours share one where there are more than `most`."""
    return np.arange(days) * min(days, most) // days


def _threshold(found: Mapping[str, OutOfFold], tail: Tail, highest: Floats, weeks: float, config: TrainConfig) -> float:
    if config.model.contamination is not None:
        scores = np.concatenate([one.scores for one in found.values()])
        return contamination_threshold(scores, config.model.contamination)
    return threshold_for(tail, config.detection.alert_budget or DEFAULT_BUDGET, highest, weeks)
