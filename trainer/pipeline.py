"""From exports to a bundle's files: the whole of training on one screen."""

from __future__ import annotations

import io
import json
import logging
import secrets
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
import numpy as np
from sklearn.pipeline import Pipeline

from shared.agent import AgentSpec
from shared.errors import TrainingError
from shared.layout import version_at
from shared.memory import give_back_arrays, peak_bytes
from shared.model import Model, load_model
from shared.scoring import dump_forests
from trainer.fit import RoleSwitch
from trainer.fitting.facts import TrainFacts
from trainer.fitting.golden import choose, collect, golden_file
from trainer.fitting.guard import Guarded, guard
from trainer.fitting.metadata import build_metadata, library_versions, metadata_json
from trainer.fitting.modelling import Fitted, calibrate_and_fit
from trainer.fitting.normal import normal_ranges, reference_json, score_counts, silence_limits
from trainer.fitting.promise import promise, with_promise
from trainer.fitting.pseudonyms import Pseudonyms
from trainer.gate import check_gate
from trainer.labels import Episode, Faults, faults_of
from trainer.measuring.compare import Comparison, compare
from trainer.measuring.evaluation import Evaluation
from trainer.measuring.holdout import LEAST_LEAVES, Material, blocks_of, held_back_from, hold_out, judge_labels
from trainer.model_config import TrainConfig, for_agent
from trainer.report import render_report
from trainer.reporting.advice import advice
from trainer.watched import part
from trainer.windows.learn import Learner
from trainer.windows.length import with_window
from trainer.windows.reading import Team, read
from trainer.windows.source import Source
from trainer.windows.table import Tables

logger = logging.getLogger(__name__)

Progress = Callable[[str, float], None]  # (step, share done from 0 to 1)
STEPS = ("learn", "guard", "calibrate", "evaluate", "golden", "bundle")
ANY_PROGRAM = "*"  # an agent that names it is a template: its patterns are mined
WHOSE = {"ap": "access points", "station": "stations"}
LEAST_WINDOWS = 50  # of one role; with fewer there is nothing to learn from
LEAST_DAYS = 5.0


@dataclass(frozen=True)
class TrainReport:
    """What training made: the bundle's files, not yet signed, and the facts behind them."""

    facts: TrainFacts
    files: Mapping[str, bytes]


def no_progress(step: str, share: float) -> None:
    """Says nothing."""


def train(
    exports: Sequence[Path],
    spec: AgentSpec,
    config: TrainConfig,
    *,
    start: float | None = None,
    end: float | None = None,
    labels: Sequence[Episode] = (),
    rival: Model | None = None,
    team: Team | None = None,
    now: Callable[[], float] = clock.time,
    progress: Progress = no_progress,
    check: Callable[[], None] = lambda: None,
) -> TrainReport:
    """Learn what is normal from exports of one network, between `start` and `end` (s) where given.

    labels: known episodes, which are not learnt from. rival: the model to compare with. team: reads with this machine.
    check: called now and then; what it raises ends the training.

    Raises:
        ExportError: an export cannot be read. TrainingError: there is too little in it. ConfigError: settings do not fit.
    """
    give_back_arrays()
    began, config = now(), for_agent(config, spec)
    source, faults = Source(exports, start, end, check), Faults(faults_of(labels)) if labels else None
    spec = with_window(_with_patterns(spec, source), config.features.window_s)
    progress("learn", 0)
    salt = secrets.token_hex(16)
    learner, tables = read(
        source, spec, salt, config.features.exclude, faults, lambda done: progress("learn", done), team
    )
    known = learner.known()
    progress("guard", 0)
    clean, tables = guard(tables.roles, spec, config, labels), tables.without_values()
    _enough(clean, spec)
    progress("calibrate", 0)
    fitted = calibrate_and_fit(clean.roles, spec, config, known.salt, lambda share: progress("calibrate", share))
    progress("evaluate", 0)
    material = Material(spec, config, clean.roles, tables, learner, source, faults_of(labels))
    evaluation = _evaluate(material, fitted, progress, check)
    progress("golden", 0)
    files = {
        "model.joblib": _joblib(fitted, config),
        "scorer.npz": dump_forests(fitted.forests),
        "agent.yaml": spec.raw,
    }
    files["reference.json"] = reference_json(
        spec, known, fitted, clean.roles, silence_limits(tables), learner.leaves >= LEAST_LEAVES
    )
    cases = collect(source.between, choose(clean.roles, spec), spec)
    unnamed = {"metadata.json": json.dumps({"model_version": version_at(began)}).encode()}
    model = load_model({**files, **unnamed})
    files["golden.json"], judge_ms = _timed(lambda: golden_file(model, cases))
    comparison = _compare(rival, model, material, check)
    facts = _facts(
        source, learner, tables, clean, fitted, evaluation, comparison, spec, config, version_at(began), began, now()
    )
    files["reference.json"] = with_promise(
        files["reference.json"], promise(fitted, files, judge_ms / max(1, len(cases)))
    )
    progress("bundle", 0)
    files["report.html"] = render_report(facts)
    files["metadata.json"] = metadata_json(build_metadata(facts, files))
    progress("bundle", 1)
    return TrainReport(facts, files)


def _with_patterns(spec: AgentSpec, source: Source) -> AgentSpec:
    """The agent itself; one for any program gets its patterns from the log."""
    if spec.programs != (ANY_PROGRAM,):
        return spec
    from trainer.windows.mine import mined  # the miner is for such agents only

    return mined(spec, source.rows())


def _evaluate(material: Material, fitted: Fitted, progress: Progress, check: Callable[[], None]) -> Evaluation | None:
    """Against the labels where there are any, and against injected faults; None where neither can be measured."""
    config, labelled, begun = material.config, None, 0.0

    def told(share: float) -> None:
        progress("evaluate", share)

    if material.labels:
        begun = 0.4
        labelled = judge_labels(material, check, part(told, 0.0, begun))
    injected = hold_out(material, check, part(told, begun, 0.8)) if config.evaluation.inject else None
    found = labelled or injected
    if found is None:
        return None
    progress("evaluate", 0.8)
    if labelled is not None and injected is not None:
        beside = {"metrics": dict(injected.metrics), "events": injected.events.as_json()}
        found = replace(found, more={**found.more, "injected": beside})
    found = replace(found, blocks=blocks_of(fitted, material.spec))
    if config.evaluation.thorough:
        from trainer.measuring.thorough import stability  # refits many times: only where it is asked for

        found = replace(found, seeds=stability(material, check))
    return found


def _compare(rival: Model | None, model: Model, material: Material, check: Callable[[], None]) -> Comparison | None:
    """What the model that is active here would have said of the newest days."""
    if rival is None or rival.agent != model.agent:
        return None
    width = material.spec.window_s
    start = held_back_from(material.config, material.span)[0] * width
    return compare(rival, model, material.source, start, check)


def _timed(work: Callable[[], bytes]) -> tuple[bytes, float]:
    """What it gives, and the processor's milliseconds."""
    before = clock.process_time()
    return work(), (clock.process_time() - before) * 1000


def _enough(clean: Guarded, spec: AgentSpec) -> None:
    counts = {role: len(table) for role, table in clean.roles.items()}
    if not counts or max(counts.values()) < LEAST_WINDOWS:
        found = " and ".join(f"{count} of {WHOSE.get(role, role)}" for role, count in counts.items()) or "none"
        raise TrainingError(
            f"train: too little to learn from: windows of {spec.window_s:g} s: {found}, with rows of "
            f"{', '.join(spec.programs[:3])}; at least {LEAST_WINDOWS} are needed, and {LEAST_DAYS:g} to 7 days are good"
        )


def _joblib(fitted: Fitted, config: TrainConfig) -> bytes:
    switch = RoleSwitch({role: one.pipeline for role, one in fitted.roles.items()}, tuple(fitted.roles))
    buffer = io.BytesIO()
    joblib.dump(Pipeline([("roles", switch)]), buffer, compress=("lzma", 1) if config.storage.compression else 0)
    return buffer.getvalue()


def _facts(
    source: Source,
    learner: Learner,
    tables: Tables,
    clean: Guarded,
    fitted: Fitted,
    evaluation: Evaluation | None,
    comparison: Comparison | None,
    spec: AgentSpec,
    config: TrainConfig,
    version: str,
    began: float,
    ended: float,
) -> TrainFacts:
    names = Pseudonyms(spec)
    days = (learner.last - learner.first) / 86_400
    warnings = [*config.warnings]
    if days < LEAST_DAYS:
        warnings.append(f"{days:.1f} days of logs: expect false alarms; {LEAST_DAYS:g} to 7 days are good")
    used = sorted({name for one in fitted.roles.values() for name in one.scale.names})
    understood = {"understood": round(1 - learner.unknown_rows / max(1, learner.own_rows), 4)}
    if evaluation is not None:
        evaluation = replace(evaluation, metrics={**evaluation.metrics, **understood})
    told = evaluation.as_json(names) if evaluation else {}
    gate = check_gate(
        config.evaluation.thresholds,
        evaluation.metrics if evaluation else understood,
        false=evaluation.events.false_incidents if evaluation else 0,
        host_weeks=evaluation.events.host_weeks if evaluation else 0.0,
    )
    facts = TrainFacts(
        agent=spec.name,
        version=version,
        trained_at=began,
        duration_s=ended - began,
        peak_memory_bytes=peak_bytes(),
        sources=source.files(),
        rows=learner.rows,
        first=learner.first,
        last=learner.last,
        hosts={role: len(np.unique(table.hosts)) for role, table in tables.roles.items()},
        windows={role: len(table) for role, table in clean.roles.items()},
        features_used=tuple(used),
        hyperparameters={name: getattr(config.model, name) for name in config.model.__dataclass_fields__},
        threshold=fitted.threshold,
        rarity=fitted.threshold_rarity(),
        agent_title=spec.title,
        agent_version=spec.version,
        window_s=spec.window_s,
        own_rows=learner.own_rows,
        unknown_rows=learner.unknown_rows,
        unknown_shapes=tuple((names.messages([shape])[0], count) for shape, count in learner.shapes.most_common(10)),
        features_excluded=tuple(config.features.exclude),
        alert_budget=config.detection.alert_budget if config.model.contamination is None else None,
        contamination=config.model.contamination,
        normal=normal_ranges(clean.roles, spec),
        scores=score_counts(fitted),
        budget=fitted.budget_rows(),
        guard=clean.left_out,
        validation_windows=int(told.get("validation_windows", 0)),
        test_windows=int(told.get("test_windows", 0)),
        evaluation=told,
        expected=dict(config.evaluation.thresholds),
        gate=gate.as_json(),
        comparison=comparison.as_json(names) if comparison else {},
        config=dict(config.source),
        config_hash=config.digest(),
        monitoring=dict(config.monitoring),
        library_versions=library_versions(),
        warnings=tuple(warnings),
    )
    return replace(facts, advice=advice(facts))
