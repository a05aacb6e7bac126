"""Search for settings: successive halving over random candidates, tried on time blocks with known faults in them.

    learn ▸ windows ▸ faults      once for each window length
    round                         a few new candidates and the best so far ▸ one block, few trees ▸ a third goes on to
                                  two blocks ▸ a third of these to all
    until                         the candidates are used up, or `patience` rounds brought nothing
    confirm                       best and given settings once more, on faults that the search has not seen

Every trial is written down at once: a search that was stopped goes on where it was. The same exports, configuration and
seed give the same search.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from shared import layout
from shared.agent import AgentSpec
from shared.errors import TrainingError
from trainer.bench import Bench, Trial, build_bench, try_out
from trainer.guard import guard
from trainer.holdout import Material
from trainer.labels import Episode, Faults
from trainer.model_config import TrainConfig, for_agent
from trainer.reading import read
from trainer.search_space import Choice, applied, draw, space_of
from trainer.source import Source
from trainer.window_length import with_window

logger = logging.getLogger(__name__)

Progress = Callable[[str, float], None]
STEPS = ("windows", "search", "confirm")
BLOCKS = 3
RUNGS = ((1, 50), (2, 100), (BLOCKS, 10_000))  # (blocks, at most so many trees)
KEPT = 3  # one of so many goes on to the next rung
PER_ROUND = 9
GAIN = 0.005  # in quality; less is noise
CONFIRM_SEED = 1_000
FALSE_WEIGHT = 0.2
SALT = "tune"  # nothing of a search leaves this machine: host names need no secret, and results repeat
STATE_SCHEMA = 1


@dataclass(frozen=True)
class TuneSettings:
    """How long to search. trials: candidates in all; patience: rounds without gain; time_s: wall time, None: no limit."""

    trials: int = 27
    patience: int = 2
    seed: int = 42
    time_s: float | None = None
    faults_each: int = 2


@dataclass(frozen=True)
class Tried:
    """A candidate as far as it came: the rung (0 …) and the means over that rung's blocks."""

    number: int
    choice: Choice
    rung: int
    quality: float
    recall: float
    average_precision: float
    false_rate: float


@dataclass(frozen=True)
class TuneReport:
    """What the search found. best: dotted keys that differ from the configuration given; empty: it was best."""

    best: Choice
    tried: tuple[Tried, ...]
    confirmed: Mapping[str, Mapping[str, float]]
    rounds: int
    trials: int
    resumed: int
    seconds: float
    stopped: str
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For `--json` and the API."""
        return {
            "best": _plain(self.best), "confirmed": {name: dict(one) for name, one in self.confirmed.items()},
            "rounds": self.rounds, "trials": self.trials, "resumed": self.resumed, "seconds": round(self.seconds, 2),
            "stopped": self.stopped, "notes": list(self.notes),
            "tried": [{**asdict(one), "choice": _plain(one.choice)} for one in self.tried],
        }  # fmt: skip


def tune(
    exports: Sequence[Path],
    spec: AgentSpec,
    config: TrainConfig,
    settings: TuneSettings | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    labels: Sequence[Episode] = (),
    state: Path | None = None,
    progress: Progress = lambda step, share: None,
    check: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> TuneReport:
    """Search for settings that find more known faults at fewer false incidents.

    state: file that trials are kept in, so that the search can be taken up again. check: called between trials; what it
    raises ends the search.

    Raises:
        ExportError, TrainingError, ConfigError: as `train`.
    """
    began, config, settings = clock(), for_agent(config, spec), settings or TuneSettings()
    benches = Benches(Source(exports, start, end, check), spec, config, tuple(labels), settings.faults_each, check)
    space = space_of(config, spec, settings.seed)
    ledger = Ledger(state, _fingerprint(benches, settings, space))
    progress("windows", 0.0)
    benches.of(config.features.window_s)
    search = _Search(benches, config, ledger, settings, space, progress, check, lambda: clock() - began)
    best, stopped = search.run()
    progress("confirm", 0.0)
    confirmed, notes = _confirm(benches, config, best.choice, settings, check)
    gained = confirmed["best"]["quality"] > confirmed["given"]["quality"] + GAIN if best.choice else False
    if best.choice and not gained:
        notes = (*notes, "on faults it had not seen the best candidate was no better: the given settings stay")
    progress("confirm", 1.0)
    return TuneReport(
        best.choice if gained else {}, tuple(search.tried), confirmed, search.rounds, search.next_number,
        ledger.resumed, clock() - began, stopped, notes,
    )  # fmt: skip


def quality(trial: Trial, allowed: float) -> float:
    """One figure to search by: found faults and ranking count, false incidents beyond the allowed rate cost.

    >>> quality(Trial(recall=1.0, average_precision=0.5, false_rate=1.5, windows=1, faults=1), allowed=0.5)
    0.6
    """
    good = 0.6 * trial.recall + 0.4 * trial.average_precision
    return round(good - FALSE_WEIGHT * min(5.0, max(0.0, trial.false_rate - allowed)), 6)


def allowed_rate(config: TrainConfig) -> float:
    """False incidents a week and host that cost nothing: the gate's bound, else what the budget asks for and some room."""
    bound = config.evaluation.thresholds.get("false_incidents_per_host_week")
    return bound if bound is not None else max(0.5, 2 * (config.detection.alert_budget or 0.15))


def config_yaml(config: TrainConfig, report: TuneReport) -> str:
    """A model configuration for `train --config`: what was given, with the best choice over it."""
    merged: dict[str, Any] = {}
    for key, value in {**config.source, **_plain(report.best)}.items():
        place = merged
        *sections, name = key.split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    if "model.contamination" not in report.best and config.model.contamination is None and "model" in merged:
        merged["model"].pop("contamination", None)
    figures = report.confirmed["best" if report.best else "given"]
    head = (
        f"# Found by pipit-trainer tune: {report.trials} candidates in {report.rounds} rounds.\n"
        f"# The model alone, on injected faults it had not seen: found {figures['recall']:.0%}, average precision "
        f"{figures['average_precision']:.3f}, {figures['false_rate']:.2g} false incidents a week and host.\n"
    )
    if not report.best:
        head += "# Nothing was better than the settings given.\n"
    return head + yaml.safe_dump(merged or {"model": {"type": config.model.type}}, sort_keys=True)


class Benches:
    """The windows to try candidates on, by window length; made when they are asked for."""

    def __init__(
        self, source: Source, spec: AgentSpec, config: TrainConfig, labels: tuple[Episode, ...], each: int,
        check: Callable[[], None],
    ) -> None:  # fmt: skip
        self.source, self.spec, self.config, self.labels = source, spec, config, labels
        self._each, self._check = each, check
        self._made: dict[float, Material] = {}
        self._benches: dict[tuple[float, int], Bench] = {}

    def of(self, window_s: float | None, seed: int = 0) -> Bench:
        """The bench of a window length. Raises TrainingError where there is too little to learn from."""
        length = window_s or self.spec.window_s
        if (length, seed) not in self._benches:
            material = self._material(length)
            model = replace(material.config.model, random_state=material.config.model.random_state + seed)
            material = replace(material, config=replace(material.config, model=model))
            self._benches[length, seed] = build_bench(material, blocks=BLOCKS, each=self._each, check=self._check)
        return self._benches[length, seed]

    def _material(self, length: float) -> Material:
        if length not in self._made:
            spec, faults = with_window(self.spec, length), Faults(self.labels) if self.labels else None
            learner, tables = read(self.source, spec, SALT, self.config.features.exclude, faults)
            clean = guard(tables.roles, spec, self.config, self.labels)
            tables = tables.without_values()
            if not clean.roles or max(len(table) for table in clean.roles.values()) < 10 * BLOCKS:
                raise TrainingError(
                    "tune: too little to learn from; several days are needed to search over time blocks"
                )
            self._made[length] = Material(
                spec, self.config, clean.roles, tables, learner, self.source.between, self.labels
            )
        return self._made[length]


@dataclass
class Ledger:
    """Trials that were made, kept in a file where one is given; a file of another search is begun anew."""

    path: Path | None
    fingerprint: str
    resumed: int = 0
    _known: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["schema"] == STATE_SCHEMA and found["fingerprint"] == self.fingerprint:
                self._known = {str(key): [float(x) for x in value] for key, value in found["trials"].items()}
                self.resumed = len(self._known)
            else:
                logger.warning(
                    "the search's state is of other exports or settings and is begun anew path=%s", self.path
                )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("the search's state cannot be read and is begun anew path=%s: %s", self.path, error)

    def get(self, key: str) -> Trial | None:
        """The trial made before, if it was."""
        found = self._known.get(key)
        return Trial(found[0], found[1], found[2], int(found[3]), int(found[4])) if found else None

    def put(self, key: str, trial: Trial) -> None:
        """Keep a trial. Raises TrainingError where the file cannot be written."""
        self._known[key] = [trial.recall, trial.average_precision, trial.false_rate, trial.windows, trial.faults]
        if self.path is None:
            return
        content = {"schema": STATE_SCHEMA, "fingerprint": self.fingerprint, "trials": self._known}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            layout.write_atomic(self.path, json.dumps(content).encode())
        except OSError as error:
            raise TrainingError(
                f"tune: {self.path} cannot be written ({error.strerror}); make room, or name another --state"
            ) from error


class _Search:
    """The rounds. `tried`: every candidate as far as it came."""

    def __init__(
        self, benches: Benches, config: TrainConfig, ledger: Ledger, settings: TuneSettings,
        space: Mapping[str, tuple[Any, ...]], progress: Progress, check: Callable[[], None], spent: Callable[[], float],
    ) -> None:  # fmt: skip
        self.benches, self.config, self.ledger, self.settings = benches, config, ledger, settings
        self.space, self.progress, self.check, self.spent = space, progress, check, spent
        self.allowed = allowed_rate(config)
        self.rounds = self.next_number = 0
        self.tried: list[Tried] = []

    def run(self) -> tuple[Tried, str]:
        """The best candidate, and why the search ended."""
        best: Tried | None = None
        calm = 0
        while self.next_number < self.settings.trials:
            if best is not None and self.settings.time_s is not None and self.spent() > self.settings.time_s:
                return best, "the time is used up"
            numbers = range(self.next_number, min(self.next_number + PER_ROUND, self.settings.trials))
            self.next_number = numbers.stop
            winner = self._round(best, [(n, draw(self.space, self.settings.seed, n)) for n in numbers])
            self.rounds += 1
            if best is None or winner.quality > best.quality + GAIN:
                best, calm = winner, 0
            else:
                calm += 1
            if calm >= self.settings.patience:
                return best, f"{calm} rounds brought nothing better"
        if best is None:
            raise TrainingError("tune: at least one trial is needed")
        return best, "all candidates were tried"

    def _round(self, best: Tried | None, candidates: Sequence[tuple[int, Choice]]) -> Tried:
        alive = list({json.dumps(_plain(choice), sort_keys=True): (n, choice) for n, choice in candidates}.values())
        ranked: list[Tried] = []
        for rung in range(len(RUNGS)):
            if rung == len(RUNGS) - 1 and best is not None and all(n != best.number for n, _ in alive):
                alive.append((best.number, best.choice))
            ranked = []
            for place, (number, choice) in enumerate(alive):
                ranked.append(self._try(number, choice, rung))
                share = (
                    self.next_number
                    - len(candidates)
                    + len(candidates) * (rung + (place + 1) / len(alive)) / len(RUNGS)
                )
                self.progress("search", min(1.0, share / self.settings.trials))
            ranked.sort(key=lambda one: (-one.quality, one.number))
            self.tried = [one for one in self.tried if all(one.number != new.number for new in ranked)] + ranked
            alive = [(one.number, one.choice) for one in ranked[: max(1, -(-len(ranked) // KEPT))]]
        return ranked[0]

    def _try(self, number: int, choice: Choice, rung: int) -> Tried:
        blocks, trees = RUNGS[rung]
        config = applied(self.config, choice)
        config = replace(config, model=replace(config.model, n_estimators=min(trees, config.model.n_estimators)))
        trials = []
        for block in range(BLOCKS - blocks, BLOCKS):  # the newest blocks first: they are most like what is to come
            key = f"{json.dumps(_plain(choice), sort_keys=True)} {block} {config.model.n_estimators}"
            trial = self.ledger.get(key)
            if trial is None:
                self.check()
                trial = try_out(self.benches.of(config.features.window_s), config, block)
                self.ledger.put(key, trial)
            trials.append(trial)
        return Tried(number, choice, rung, **_means(trials, self.allowed))


def _means(trials: Sequence[Trial], allowed: float) -> dict[str, float]:
    return {
        "quality": round(float(np.mean([quality(trial, allowed) for trial in trials])), 6),
        "recall": round(float(np.mean([trial.recall for trial in trials])), 4),
        "average_precision": round(float(np.mean([trial.average_precision for trial in trials])), 4),
        "false_rate": round(float(np.mean([trial.false_rate for trial in trials])), 4),
    }


def _confirm(
    benches: Benches, config: TrainConfig, choice: Choice, settings: TuneSettings, check: Callable[[], None]
) -> tuple[dict[str, dict[str, float]], tuple[str, ...]]:
    """Given and best settings on faults of another seed."""
    found: dict[str, dict[str, float]] = {}
    allowed = allowed_rate(config)
    for name, one in (("given", {}), ("best", choice)):
        if name == "best" and not choice:
            found["best"] = found["given"]
            break
        tried = applied(config, one)
        trials = []
        for block in range(BLOCKS):
            check()
            trials.append(try_out(benches.of(tried.features.window_s, CONFIRM_SEED), tried, block))
        found[name] = _means(trials, allowed)
    return found, ("measured with the model alone: rules come on top",)


def _fingerprint(benches: Benches, settings: TuneSettings, space: Mapping[str, tuple[Any, ...]]) -> str:
    """What trials depend on: exports, agent, configuration, labels, space."""
    parts = [
        [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in benches.source.paths if path.exists()],
        [benches.source.start, benches.source.end], hashlib.sha256(benches.spec.raw).hexdigest(), benches.config.digest(),
        [[e.type, e.start, e.end, e.host] for e in benches.labels], settings.faults_each, settings.seed, _plain(space),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _plain(choice: Mapping[str, Any]) -> dict[str, Any]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in choice.items()}
