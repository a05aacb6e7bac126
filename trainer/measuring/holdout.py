"""What is measured while training: the recipe on time that it has not seen.

Without labels a model of the first days is tried on the last ones, as they were and with known faults laid into them.
With labels every third of the log is judged by a model of the other two, and compared with the episodes. The bundle's own
model is then fitted on everything: the newest days are the best description of normal there is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from shared.agent import AgentSpec
from shared.model import Model, load_model
from shared.scoring import dump_forests
from trainer.evaluate import evaluate_injected
from trainer.fitting.modelling import Fitted, calibrate_and_fit
from trainer.fitting.normal import reference_json, silence_limits
from trainer.helper import Helpers
from trainer.inject import Clean
from trainer.labels import Episode
from trainer.measuring.evaluation import Evaluation
from trainer.measuring.events_found import weeks_of
from trainer.measuring.figures import measure
from trainer.measuring.judged import Against
from trainer.measuring.stretch import Stretch, judge_episodes
from trainer.model_config import TrainConfig
from trainer.watched import Cancelled, Progress, no_check, no_progress, part
from trainer.windows.learn import Learner
from trainer.windows.reading import processes_for
from trainer.windows.source import Source
from trainer.windows.table import RoleTable, Tables

LEAST_TRAINING = 50  # windows of a role
LEAST_HELD_BACK = 20  # windows; in fewer there is no place for a fault
LEAST_LEAVES = 3  # rows that tell of a client's leaving before access points are believed to log it
MOST_REFERENCE = 5_000  # windows that trivial detectors know
LABEL_BLOCKS = 3
MOST_FOLDS = 7  # for the threshold of a model that is only measured
FIT_SHARE = 0.5  # of measuring is fitting


@dataclass(frozen=True)
class Material:
    """What training has to work with."""

    spec: AgentSpec
    config: TrainConfig
    roles: Mapping[str, RoleTable]
    tables: Tables
    learner: Learner
    source: Source
    labels: Sequence[Episode] = ()

    @property
    def span(self) -> tuple[int, int]:
        """Number of the first window, and of the one after the last."""
        tables = self.roles.values()
        return min(int(t.index.min()) for t in tables), max(int(t.index.max()) for t in tables) + 1

    def clean_between(self, start: int, end: int) -> Clean:
        """Role → host → its clean windows with these numbers."""
        found: dict[str, dict[str, list[int]]] = {}
        for role, table in self.roles.items():
            inside = (table.index >= start) & (table.index < end)
            for host in np.unique(table.hosts[inside]):
                indices = np.sort(table.index[inside & (table.hosts == host)])
                found.setdefault(role, {})[str(host)] = [int(index) for index in indices]
        return found

    def unclean(self) -> set[tuple[str, int]]:
        """Windows that the guard or the labels left out."""
        return {key for role, table in self.tables.roles.items() for key in _left_out(table, self.roles.get(role))}


def _left_out(table: RoleTable, kept: RoleTable | None) -> Iterable[tuple[str, int]]:
    """Host and number of the windows that were not kept."""
    hosts, number = np.unique(table.hosts, return_inverse=True)
    out = np.ones(len(table), dtype=bool)
    if kept is not None:
        width = int(table.index.max()) + 1
        out = ~np.isin(number * width + table.index, np.searchsorted(hosts, kept.hosts) * width + kept.index)
    return zip(map(str, table.hosts[out]), map(int, table.index[out]), strict=True)


def held_back_from(config: TrainConfig, span: tuple[int, int]) -> tuple[int, int]:
    """Numbers of the first window of validation and of test."""
    first, end = span
    test = end - round(config.training.test_size * (end - first))
    return test - round(config.training.validation_size * (end - first)), test


def model_without(
    material: Material, start: float, end: float, until: float, progress: Progress = no_progress
) -> Model | None:
    """A model of the windows outside of [start, end), knowing what was seen before `until` (s); None from too few."""
    kept = {
        role: table.scored_only().pick((table.index < start) | (table.index >= end))
        for role, table in material.roles.items()
    }
    kept = {role: table for role, table in kept.items() if len(table) >= LEAST_TRAINING}
    if not kept:
        return None
    known, config = material.learner.known(until), material.config
    folds = min(MOST_FOLDS, config.training.cross_validation_folds)
    config = replace(config, training=replace(config.training, cross_validation_folds=folds))
    fitted = calibrate_and_fit(kept, material.spec, config, known.salt, progress)
    files = {
        "agent.yaml": material.spec.raw,
        "scorer.npz": dump_forests(fitted.forests),
        "reference.json": reference_json(
            material.spec, known, fitted, kept, silence_limits(material.tables, until),
            material.learner.leaves >= LEAST_LEAVES, shown=False,
        ),
        "metadata.json": b'{"model_version": "held out"}',
    }  # fmt: skip
    return load_model(files)


def hold_out(material: Material, check: Cancelled = no_check, progress: Progress = no_progress) -> Evaluation | None:
    """The recipe on the last part of the time, with faults laid into it; None where there is too little for a split."""
    span, width = material.span, material.spec.window_s
    valid, test = held_back_from(material.config, span)
    if valid <= span[0]:
        return None
    clean = material.clean_between(valid, span[1])
    model = model_without(material, valid, span[1], valid * width, part(progress, 0.0, FIT_SHARE))
    if model is None or sum(len(indices) for hosts in clean.values() for indices in hosts.values()) < LEAST_HELD_BACK:
        return None
    early = {
        role: counts_of_table(table, table.index < valid)
        for role, table in material.roles.items()
        if role in model.forests
    }
    return evaluate_injected(
        model,
        material.source,
        {role: hosts for role, hosts in clean.items() if role in model.forests},
        (valid, span[1]),
        avoid=material.unclean(),
        episodes=material.labels,
        each=material.config.evaluation.faults_each,
        seed=material.config.model.random_state,
        reference=early,
        parts={"validation": (valid, test), "test": (test, span[1])},
        processes=processes_for(material.source),
        progress=part(progress, FIT_SHARE, 1.0),
        check=check,
    )


def counts_of_table(table: RoleTable, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """(n, J) log counts of some of the wanted windows, evenly over time, as the trivial detectors want them."""
    places = np.flatnonzero(wanted)
    some = table.raw[places[:: -(-len(places) // MOST_REFERENCE) or 1], : table.raw.shape[1] // 2]
    counts: npt.NDArray[np.float64] = np.log2(1 + np.nan_to_num(np.maximum(some, 0)).astype(np.float64))
    return counts


def judge_labels(
    material: Material, check: Cancelled = no_check, progress: Progress = no_progress
) -> Evaluation | None:
    """Every third of the log judged by a model of the other two, against the labels; None where there is too little."""
    (first, end), width = material.span, material.spec.window_s
    edges = [
        -math.inf,
        *(width * float(edge) for edge in np.linspace(first, end, LABEL_BLOCKS + 1).round()[1:-1]),
        math.inf,
    ]
    model: Model | None = None
    waiting = []
    with Helpers(processes_for(material.source), "judges a part of the time", check) as helpers:
        for number, (start, stop) in enumerate(pairwise(edges)):
            check()
            own = part(progress, number / LABEL_BLOCKS, (number + FIT_SHARE) / LABEL_BLOCKS)
            model = model_without(material, start / width, stop / width, math.inf, own)
            if model is None:
                return None
            stretch = Stretch(material.source, start, stop, material.labels)
            waiting.append(helpers.begin(partial(judge_episodes, model, stretch)))
        against = Against(material.labels)
        for later in waiting:
            against.merge(later())
    assert model is not None
    found = measure(model, against.judged(model), weeks_of(against.seen), seed=material.config.model.random_state)
    note = f"every one of {LABEL_BLOCKS} parts of the time was judged by a model of the others"
    return replace(found, notes=(*found.notes, note))


def blocks_of(fitted: Fitted, spec: AgentSpec) -> tuple[dict[str, float], ...]:
    """Cross-validation over days: windows of each, and how many lie over the line of a model that has not seen it."""
    per_day = 86_400 / spec.window_s
    index = np.concatenate([found.index for found in fitted.out_of_fold.values()])
    scores = np.concatenate([found.scores for found in fitted.out_of_fold.values()])
    days = ((index - index.min()) // per_day).astype(int)
    return tuple(
        {
            "block": int(day) + 1,
            "windows": int((days == day).sum()),
            "over_the_line": int((scores[days == day] > fitted.threshold).sum()),
            "highest_score": round(float(scores[days == day].max()), 6),
        }
        for day in np.unique(days)
    )
