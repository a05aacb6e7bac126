"""Evaluation and search as jobs."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainer import catalogue, exports
from trainer.cluster.choice import team_of
from trainer.config import Settings
from trainer.given import find_agent
from trainer.labels import faults_of, parse_labels
from trainer.model_config import load_model_config
from trainer.tasks.doing import asked, known_episodes, train, usable
from trainer.tasks.job import Teller
from trainer.tasks.orders import EvaluateOrder, TrainOrder, TuneOrder, as_json

logger = logging.getLogger("trainer.tasks.job")
ASSESS_STEPS = ("read", "measure")


def evaluate(order: EvaluateOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Score a version against an export; the registry remembers the figures and the gate."""
    from trainer.measuring.assess import assess
    from trainer.versions import bundled_model

    tell.plan(ASSESS_STEPS)
    tell.step("read")
    one = exports.find_export(settings.exports_dir, order.export)
    episodes = faults_of(parse_labels(list(order.labels), "labels")) if order.labels else ()
    model = bundled_model(settings.models_dir, order.agent, order.version)
    config = load_model_config(settings.model_config_file)
    given = "evaluation.thresholds" in config.source
    found = assess(
        model, [one.path], episodes, thresholds=config.evaluation.thresholds if given else None,
        faults_each=config.evaluation.faults_each, progress=lambda _step, share: tell.step("measure", share),
    )  # fmt: skip
    catalogue.add_evaluation(
        settings.models_dir, settings.state_dir, order.agent, order.version, found.summary(), time.time()
    )
    metrics = {name: value for name, value in found.evaluation.metrics.items() if isinstance(value, int | float)}
    tell.step("measure", 1.0, _in_words(metrics))
    return {
        "agent": order.agent,
        "version": order.version,
        "model_id": found.model_id,
        "metrics": metrics,
        "gate_passed": found.gate.passed,
        "gate": found.gate.as_json(),
    }


def tune(order: TuneOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Search for settings, then train with the best; a search that was cut short goes on where it was."""
    from trainer.pipeline import STEPS as TRAINING
    from trainer.search.trials import TuneSettings
    from trainer.tune import STEPS as SEARCH
    from trainer.tune import tune as search

    spec = find_agent(settings, order.agent)
    config = load_model_config(settings.model_config_file, dict(order.overrides))
    tell.plan((*asked(order), "validate", *SEARCH, *TRAINING, "sign"))
    labels = known_episodes(order, settings, tell)
    paths = usable(order, spec, settings, tell)
    wanted = TuneSettings() if order.trials is None else replace(TuneSettings(), trials=order.trials)
    episodes = faults_of(parse_labels(labels, "labels"))
    state = settings.state_dir / "tune" / f"{tell.number}.json"
    state.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with team_of(settings) as team:
        found = search(
            paths, spec, config, wanted, start=order.start, end=order.end, labels=episodes, state=state, team=team,
            progress=tell.step,
        )  # fmt: skip
    said = found.as_json()
    logger.info("search done trials=%d rounds=%d best=%s", found.trials, found.rounds, said["best"])
    tell.step(
        SEARCH[-1],
        1.0,
        ", ".join(f"{key} {value}" for key, value in said["best"].items()) or "the given settings are best",
    )
    plain = {key: value for key, value in as_json(order).items() if key not in ("trials", "marks")}
    plain["overrides"] = {**dict(order.overrides), **said["best"]}
    made = train(TrainOrder(**{**plain, "exports": order.exports, "labels": tuple(labels)}), settings, tell)
    Path(state).unlink(missing_ok=True)
    return {**made, "search": {name: said[name] for name in ("best", "confirmed", "trials", "rounds", "stopped")}}


def _in_words(metrics: Mapping[str, float]) -> str:
    if "episodes" not in metrics:
        return ""
    return f"found {metrics.get('episodes_found', 0):.0f} of {metrics['episodes']:.0f}"
