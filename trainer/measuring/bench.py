"""Clean windows and windows with known faults, extracted once, that many configurations can be tried on in seconds.

A trial fits on all time blocks but one, sets its threshold from days that its models have not seen, and is judged on the
clean windows and the faults of the block left out. It is the model alone: rules are the same whatever the settings.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score

from shared.features import FeatureExtractor, Window
from shared.values import Row
from trainer.fitting.calibrate import OutOfFold, peaks
from trainer.fitting.modelling import WEEK_S, calibrate_and_fit
from trainer.inject import SILENCE, Cast, Collector, Planned, lay, load_faults, plan
from trainer.labels import Episode
from trainer.measuring.holdout import LEAST_TRAINING, Material
from trainer.model_config import TrainConfig
from trainer.windows.table import RoleTable, scored_columns

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INNER_FOLDS = 3  # for the threshold of a trial; the final training takes one a day


@dataclass(frozen=True)
class FaultTable:
    """Windows of one role in known faults: (n,) number of the fault, its block, and the (n, 2·J) values."""

    hosts: npt.NDArray[np.str_]
    faults: Ints
    blocks: Ints
    raw: Floats


@dataclass(frozen=True)
class Bench:
    """Everything that a trial needs. columns: role → names of the scored features that `raw` holds."""

    material: Material
    faults: Mapping[str, FaultTable]
    edges: tuple[int, ...]

    @property
    def blocks(self) -> int:
        """Number of time blocks."""
        return len(self.edges) - 1


@dataclass(frozen=True)
class Trial:
    """What one configuration reached on one block."""

    recall: float
    average_precision: float
    false_rate: float
    windows: int
    faults: int


def build_bench(material: Material, *, blocks: int, each: int, check: Callable[[], None] = lambda: None) -> Bench:
    """Lay faults into every block and extract their windows. `each`: of every kind, in each block."""
    (first, end), spec = material.span, material.spec
    edges = tuple(int(edge) for edge in np.linspace(first, end, blocks + 1).round())
    planned: list[tuple[int, Planned]] = []
    avoid = material.unclean()
    for block, (start, stop) in enumerate(itertools.pairwise(edges)):
        found = plan(
            [fault for fault in load_faults(spec.name) if fault.kind != SILENCE],
            material.clean_between(start, stop), spec, (start, stop), each=each,
            seed=material.config.model.random_state + block, avoid=avoid,
        )  # fmt: skip
        planned += [(block, one) for one in found]
    collector, cast = Collector([one for _, one in planned], spec), Cast(spec)
    for row in material.source.rows():
        collector.see(row)
        cast.see(row)
    parts: dict[str, list[tuple[str, int, int, Floats]]] = defaultdict(list)
    for number, ((block, one), own) in enumerate(zip(planned, collector.rows, strict=True)):
        check()
        rows = lay(one, own, cast)
        if rows is not None:
            for window in _windows(material, one, rows):
                parts[window.role].append((window.host, number, block, _raw(material, window)))
    _add_labels(material, edges, len(planned), parts)
    tables = {}
    for role, windows in parts.items():
        hosts, faults, of_block, raw = zip(*windows, strict=True)
        tables[role] = FaultTable(np.array(hosts), np.array(faults), np.array(of_block), np.array(raw))
    return Bench(material, tables, edges)


def _windows(material: Material, planned: Planned, rows: Iterable[Row]) -> list[Window]:
    extractor = FeatureExtractor(material.spec, material.learner.known())
    programs = frozenset(material.spec.programs)
    for row in rows:
        if row[3] in programs:
            extractor.add(row)
    return [w for w in extractor.close(float("inf")) if w.end > planned.start and w.start < planned.end]


def _raw(material: Material, window: Window) -> Floats:
    columns = scored_columns(material.spec, window.role, material.config.features.exclude)
    return np.array([window.short[i] for i in columns] + [window.long[i] for i in columns])


def _add_labels(
    material: Material, edges: tuple[int, ...], number: int, parts: dict[str, list[tuple[str, int, int, Floats]]]
) -> None:
    """Labelled episodes are known faults, too: the windows of their targets."""
    width = material.spec.window_s
    for role, table in material.tables.roles.items():
        for n, episode in enumerate(material.labels):
            if episode.visible is not True:
                continue
            for j in np.flatnonzero(_inside(table, episode, width)):
                block = int(np.clip(np.searchsorted(edges, table.index[j], side="right") - 1, 0, len(edges) - 2))
                parts[role].append((str(table.hosts[j]), number + n, block, table.raw[j]))


def _inside(table: RoleTable, episode: Episode, width: float) -> npt.NDArray[np.bool_]:
    start = table.index * width
    inside: npt.NDArray[np.bool_] = (
        (table.hosts == episode.host) & (start <= episode.end) & (start + width > episode.start)
    )
    return inside


def try_out(bench: Bench, config: TrainConfig, block: int) -> Trial:
    """Fit on the other blocks, judge on this one."""
    material, (start, stop) = bench.material, bench.edges[block : block + 2]
    config = replace(config, training=replace(config.training, cross_validation_folds=INNER_FOLDS))
    kept, held = {}, {}
    for role, table in material.roles.items():
        narrow = _narrow(bench, config, role, table)
        inside = (table.index >= start) & (table.index < stop)
        if int((~inside).sum()) >= LEAST_TRAINING:
            kept[role], held[role] = narrow.pick(~inside), narrow.pick(inside)
    if not kept:
        return Trial(0.0, 0.0, 0.0, 0, 0)
    salt = material.learner.salt
    fitted = calibrate_and_fit(kept, material.spec, config, salt)
    highest, truth, scores, found, everything = [], [], [], set[int](), set[int]()
    for role in fitted.roles:
        clean = held[role]
        if len(clean):
            values = fitted.score(role, clean, salt)
            highest.append(peaks(OutOfFold(clean.hosts, clean.index, values), material.spec.long_windows + 1))
            truth.append(np.zeros(len(values), dtype=bool))
            scores.append(values)
        faults = _faults_of(bench, config, role, block)
        if faults is not None:
            table, numbers = faults
            values = fitted.score(role, table, salt)
            truth.append(np.ones(len(values), dtype=bool))
            scores.append(values)
            everything |= set(numbers.tolist())
            found |= set(numbers[values > fitted.threshold].tolist())
    hosts = {str(host) for table in held.values() for host in np.unique(table.hosts)}
    weeks = max(1e-9, len(hosts) * (stop - start) * material.spec.window_s / WEEK_S)
    false = sum(int((values > fitted.threshold).sum()) for values in highest)
    labels, ranked = np.concatenate(truth), np.concatenate(scores)
    precision = float(average_precision_score(labels, ranked)) if labels.any() and not labels.all() else 0.0
    return Trial(len(found) / max(1, len(everything)), precision, false / weeks, len(ranked), len(everything))


def _narrow(bench: Bench, config: TrainConfig, role: str, table: RoleTable) -> RoleTable:
    """The table without the features that this configuration leaves out."""
    return replace(table, raw=table.raw[:, _places(bench, config, role)])


def _faults_of(bench: Bench, config: TrainConfig, role: str, block: int) -> tuple[RoleTable, Ints] | None:
    faults = bench.faults.get(role)
    if faults is None or not (mine := faults.blocks == block).any():
        return None
    raw = faults.raw[mine][:, _places(bench, config, role)]
    index = np.zeros(len(raw), dtype=np.int64)
    return RoleTable(faults.hosts[mine], index, raw, np.empty((len(raw), 0), dtype=np.float32)), faults.faults[mine]


def _places(bench: Bench, config: TrainConfig, role: str) -> list[int]:
    """Positions in `raw` of the features that a configuration uses, in both views."""
    spec = bench.material.spec
    whole = scored_columns(spec, role, bench.material.config.features.exclude)
    chosen = set(scored_columns(spec, role, config.features.exclude))
    places = [place for place, column in enumerate(whole) if column in chosen]
    return [*places, *(place + len(whole) for place in places)]
