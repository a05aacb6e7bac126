"""`pipit-trainer evaluate`: how good is a version on a log that it has not learnt from?"""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from shared import layout
from shared.clean import clean
from shared.memory import peak_bytes
from shared.values import iso
from trainer import catalogue
from trainer.commands.record import Run, recorded
from trainer.commands.registry import state_of
from trainer.config import Settings
from trainer.gate import decided
from trainer.given import span
from trainer.labels import faults_of, read_labels
from trainer.measuring.assess import Assessment, assess
from trainer.measuring.events_found import Outcome
from trainer.model_config import load_model_config, parse_override
from trainer.progress import shown_progress
from trainer.tasks.limits import limited
from trainer.tasks.orders import EvaluateOrder
from trainer.versions import bundled_model

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("version")
@click.option(
    "--export",
    "exports",
    type=FILE,
    multiple=True,
    required=True,
    help="A log it has not learnt from; may be repeated.",
)
@click.option("--labels", type=FILE, help="Known episodes (JSON); without them known faults are injected.")
@click.option("--agent", help="Which agent, where a version's name is not unique.")
@click.option("--budget", type=click.FloatRange(0, min_open=True), help="Alert budget, where it shall be another.")
@click.option("--set", "sets", metavar="A.B=C", multiple=True, help="evaluation.thresholds or evaluation.faults_each.")
@click.option("--start-date", help="Use rows at or after this time.")
@click.option("--end-date", help="Use rows before this time.")
@click.option("--seed", default=42, show_default=True, type=click.IntRange(0), help="Of injected faults.")
@click.option("--no-record", is_flag=True, help="Do not remember the figures and the gate in model_registry.json.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.pass_obj
def evaluate(
    settings: Settings,
    version: str,
    exports: tuple[Path, ...],
    labels: Path | None,
    agent: str | None,
    budget: float | None,
    sets: tuple[str, ...],
    start_date: str | None,
    end_date: str | None,
    seed: int,
    no_record: bool,
    as_json: bool,
) -> None:
    """Measure VERSION against known episodes, or against known faults laid into a log. The newest gate counts for `ship`."""
    agent, version = layout.resolve(settings.models_dir, version, agent)
    config = load_model_config(None, dict(parse_override(text) for text in sets))
    given = "evaluation.thresholds" in config.source
    episodes = faults_of(read_labels(labels)) if labels else ()
    start, end = span(start_date, end_date)
    model = bundled_model(settings.models_dir, agent, version)
    order = EvaluateOrder(agent, version, ", ".join(path.name for path in exports))
    keep = nullcontext(Run(())) if no_record else recorded(settings.state_dir, order, ("measure",))
    with keep as run, limited(settings.max_training_time, settings.max_memory_usage), shown_progress() as show:
        run.step("measure")
        found = assess(
            model, exports, episodes, thresholds=config.evaluation.thresholds if given else None, budget=budget,
            seed=seed, faults_each=config.evaluation.faults_each, start=start, end=end, progress=show,
        )  # fmt: skip
        if not no_record:
            state = state_of(settings)
            catalogue.add_evaluation(settings.models_dir, state, agent, version, found.summary(), time.time())
        run.ended(_in_short(found, agent, version), peak_bytes())
    if as_json:
        click.echo(json.dumps(found.as_json()))
    else:
        _tell(found)


def _in_short(found: Assessment, agent: str, version: str) -> dict[str, Any]:
    return {
        "agent": agent, "version": version, "model_id": found.model_id, "metrics": dict(found.evaluation.metrics),
        "gate_passed": found.gate.passed,
    }  # fmt: skip


def _tell(found: Assessment) -> None:
    """Episodes first, then windows, then the gate."""
    evaluation, metrics = found.evaluation, found.evaluation.metrics
    events = evaluation.events
    what = "known episodes" if evaluation.method == "labels" else "injected faults"
    total, hit = events.visible + events.silences, events.found + events.silences_found
    rate = metrics.get("false_incidents_per_host_week", 0)
    click.echo(f"{found.model_id} found {hit} of {total} {what}, with {events.false_incidents} false incidents in "
               f"{events.host_weeks:.1f} host-weeks ({rate:.3g} a week and host)")  # fmt: skip
    if events.invisible:
        click.echo(f"{events.invisible} more leave no line in the log: no model of it can find them")
    if events.nameable:
        delay = "" if events.median_delay_s is None else f"; median delay {events.median_delay_s:.0f} s"
        click.echo(f"called {events.named} of {events.nameable} by the right name{delay}")
    names = ("accuracy", "precision", "recall", "f1_score", "roc_auc", "average_precision")
    if said := ", ".join(f"{name} {metrics[name]:.3f}" for name in names if name in metrics):
        click.echo(f"windows: {said}")
    for other in evaluation.baselines:
        click.echo(f"  beside: {other.title.lower()}: precision {other.precision:.3f}, recall {other.recall:.3f}")
    for one in evaluation.outcomes:
        if one.visible is not False and not one.found:
            click.echo(clean(_missed(one)))
    notes = "; ".join(f"{check.metric}: {check.note}" for check in found.gate.checks if check.note)
    words = "passed" if decided(found.gate.as_json()) else f"not decided ({notes}), so the one before counts"
    words = words if found.gate.passed else f"missed: {found.gate.reason}"
    click.echo(f"gate: {words}")


def _missed(one: Outcome) -> str:
    return f"missed: {one.title.lower()} ({one.type}) at {one.host}, {iso(int(one.start))} to {iso(int(one.end))}"
