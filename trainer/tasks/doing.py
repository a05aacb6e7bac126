"""What each kind of job does, in its child process: the same calls as on the command line, told step by step."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared import layout
from shared.agent import AgentSpec
from shared.errors import ExportError, TrainingError
from trainer import exports, targets
from trainer.claim import claimed_clock
from trainer.cluster.choice import team_of
from trainer.config import Settings
from trainer.exports import ExportFile
from trainer.given import find_agent
from trainer.keys import ensure_key
from trainer.labels import parse_labels
from trainer.model_config import load_model_config
from trainer.registry import publish
from trainer.shipping import marks
from trainer.tasks.job import Teller
from trainer.tasks.orders import (
    CatchUpOrder,
    CheckOrder,
    EvaluateOrder,
    FetchOrder,
    Order,
    RollbackOrder,
    ShipOrder,
    TrainOrder,
    TuneOrder,
)

logger = logging.getLogger("trainer.tasks.job")
SHOWN_ERRORS = 5


def do(order: Order, settings: Settings, tell: Teller, by: str) -> Mapping[str, Any]:
    """Do what the order says; gives what came of it.

    Raises:
        PipitError: it cannot be done.
    """
    match order:
        case CheckOrder():
            return check(order, settings, tell)
        case FetchOrder():
            from trainer.tasks.fetch import fetch

            return fetch(order, settings, tell)
        case TuneOrder():
            from trainer.tasks.search import tune

            return tune(order, settings, tell)
        case TrainOrder():
            return train(order, settings, tell)
        case EvaluateOrder():
            from trainer.tasks.search import evaluate

            return evaluate(order, settings, tell)
        case ShipOrder():
            from trainer.tasks.ship import ship

            return ship(order, settings, tell, by)
        case CatchUpOrder():
            from trainer.tasks.ship import catch_up

            return catch_up(order, settings, tell, by)
        case RollbackOrder():
            from trainer.tasks.ship import roll_back

            return roll_back(order, settings, tell)


def check(order: CheckOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Is the export fit to train on? What is found is kept as long as the file stays what it is."""
    tell.plan(("validate",))
    one = exports.find_export(settings.exports_dir, order.export)
    report = examined(one, find_agent(settings, order.agent), settings, tell)
    return {
        "export": one.name,
        "fit": report["fit"],
        "errors": len(report["errors"]),
        "warnings": len(report["warnings"]),
    }


def examined(
    one: ExportFile, spec: AgentSpec, settings: Settings, tell: Teller, among: tuple[int, int] = (0, 1)
) -> dict[str, Any]:
    """What an export holds: as it was found before, or looked at now. among: its number, of so many."""
    from trainer.validate import validate

    known = exports.read_check(settings.state_dir, one, spec.name)
    number, count = among

    def told(words: str, share: float | None) -> None:
        tell.step("validate", (number + (share or 0.0)) / count, words)

    if known is None:
        told("", 0.0)
        report = validate(one.path, spec, progress=told)
        known = {**report.as_json(), "path": one.name}
        exports.save_check(settings.state_dir, one, spec.name, known)
    words = f"{known['valid_rows']:,} rows good" + (f", {known['bad_rows']:,} left out" if known["bad_rows"] else "")
    told(words, 1.0)
    for text in known["warnings"]:
        logger.warning("%s: %s", one.name, text)
    return known


def usable(order: TrainOrder, spec: AgentSpec, settings: Settings, tell: Teller) -> list[Path]:
    """The exports of an order, all of them fit to train on.

    Raises:
        ExportError: one is gone, or not fit.
    """
    found = [exports.find_export(settings.exports_dir, name) for name in order.exports]
    if not found:
        raise TrainingError("train: no export was named")
    for number, one in enumerate(found):
        report = examined(one, spec, settings, tell, (number, len(found)))
        if report["errors"]:
            raise ExportError(f"train: {one.name} is not fit to train on: {'; '.join(report['errors'][:SHOWN_ERRORS])}")
    return [one.path for one in found]


def asked(order: TrainOrder) -> tuple[str, ...]:
    """The step that comes first where the Pis are asked for their marks."""
    return ("marks",) if order.marks else ()


def known_episodes(order: TrainOrder, settings: Settings, tell: Teller) -> list[Mapping[str, Any]]:
    """The labels of an order, and what people said on the Pis where that counts.

    Raises:
        ConfigError: no Pi is known.
    """
    if not order.marks:
        return list(order.labels)
    members = targets.fleet(settings.state_dir, "all")
    tell.step("marks", 0.0, f"asking {len(members)}")
    heard = marks.ask(settings.state_dir, members, time.time)
    for each in heard:
        logger.info("marks target=%s count=%d", each.target, len(each.of(order.agent)))
        if each.fault:
            logger.warning("%s could not be asked, its earlier marks are used: %s", each.target, each.fault)
    found = marks.all_labels(heard, order.agent)
    silent = sum(bool(each.fault) for each in heard)
    tell.step("marks", 1.0, f"{len(found)} marks" + (f"; {silent} could not be asked" if silent else ""))
    return [*order.labels, *found]


def train(order: TrainOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Exports in, a signed version out."""
    spec = find_agent(settings, order.agent)
    config = load_model_config(settings.model_config_file, dict(order.overrides))
    parse_labels(list(order.labels), "labels")
    key = ensure_key(settings.state_dir, settings.signing_key)

    from trainer.pipeline import STEPS
    from trainer.pipeline import train as learn
    from trainer.versions import active_model

    tell.plan((*asked(order), "validate", *STEPS, "sign"))
    episodes = parse_labels(known_episodes(order, settings, tell), "labels")
    paths = usable(order, spec, settings, tell)
    rival = active_model(settings.models_dir, spec.name)
    with team_of(settings) as team, claimed_clock(settings.models_dir, spec.name) as now:
        report = learn(
            paths, spec, config, start=order.start, end=order.end, labels=episodes, rival=rival, team=team, now=now,
            progress=tell.step,
        )  # fmt: skip
        tell.step("sign")
        facts = report.facts
        manifest = publish(
            settings.models_dir, report.files, agent=spec.name, version=facts.version, key=key,
            state_dir=settings.state_dir, now=time.time,
        )  # fmt: skip
    gate = json.loads(report.files["metadata.json"]).get("gate") or {}
    logger.info(
        "%s rows, %s windows of %s hosts",
        f"{facts.rows:,}",
        f"{sum(facts.windows.values()):,}",
        sum(facts.hosts.values()),
    )
    for warning in facts.warnings:
        logger.warning("%s", warning)
    logger.info("signed %s serial=%d gate=%s", manifest.model_id, manifest.serial, gate.get("reason") or "passed")
    return {
        **facts.in_short(),
        "model_path": str(layout.bundle_folder(settings.models_dir, spec.name, facts.version)),
        "serial": manifest.serial,
    }
