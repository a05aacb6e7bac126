"""`pipit-trainer train`: exports in, a signed bundle in the models folder out."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from shared import layout
from shared.clean import clean
from shared.errors import ConfigError
from shared.logs import setup_logging
from trainer.claim import claimed_clock
from trainer.cluster.choice import team_of
from trainer.commands.learning import Learning, learning_options, read_learning
from trainer.commands.record import recorded
from trainer.config import Settings
from trainer.fitting.facts import TrainFacts
from trainer.keys import SigningKey, ensure_key
from trainer.model_config import TrainConfig, for_agent
from trainer.progress import shown_progress
from trainer.registry import publish
from trainer.tasks.limits import limited
from trainer.tasks.orders import TrainOrder

logger = logging.getLogger(__name__)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@learning_options
@click.option("--models", type=FOLDER, help="Models folder; else TRAINING_MODELS_DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print the new version and its metadata as JSON.")
@click.pass_obj
def train(settings: Settings, /, models: Path | None, as_json: bool, **told: Any) -> None:
    """Learn from EXPORTs what normal is, and sign the result as a new version in the models folder."""
    given = read_learning(settings, **told)
    spec, config = given.spec, given.config
    _log_as_configured(settings, config)
    for warning in for_agent(config, spec).warnings:
        logger.warning("%s", warning)
    key = ensure_key(settings.state_dir, settings.signing_key)
    folder = _writable(_models_dir(settings, config, models))

    from trainer.pipeline import STEPS  # scikit-learn comes with it: imported once all else is right
    from trainer.pipeline import train as learn
    from trainer.versions import active_model

    rival = active_model(folder, spec.name)
    with (
        recorded(settings.state_dir, _order(given), (*STEPS, "sign")) as run,
        limited(settings.max_training_time, settings.max_memory_usage),
        shown_progress() as show,
        team_of(settings, given.cluster) as team,
        claimed_clock(folder, spec.name) as now,
    ):

        def progress(step: str, share: float) -> None:
            number = STEPS.index(step)
            run.step(step)
            show(f"{number + 1} of {len(STEPS)}: {step}", (number + share) / len(STEPS))

        report = learn(
            given.exports, spec, config, start=given.start, end=given.end, labels=given.episodes, rival=rival,
            team=team, now=now, progress=progress,
        )  # fmt: skip
        run.step("sign")
        version = report.facts.version
        manifest = publish(
            folder, report.files, agent=spec.name, version=version, key=key, state_dir=settings.state_dir, now=time.time
        )
        run.ended(report.facts.in_short(), report.facts.peak_memory_bytes, folder == settings.models_dir)
    made = layout.bundle_folder(folder, spec.name, version)
    if as_json:
        answer = {
            "model_id": manifest.model_id,
            "agent": spec.name,
            "version": version,
            "bundle": str(made),
            "serial": manifest.serial,
            "signed_with": key.fingerprint,
            "key_made": key.made,
            "metadata": json.loads(report.files["metadata.json"]),
        }
        click.echo(json.dumps(answer))
    else:
        _tell(report.facts, made, key, for_agent(config, spec).warnings)


def _order(given: Learning) -> TrainOrder:
    """What was asked for, as a job's order."""
    names = tuple(path.name for path in given.exports)
    return TrainOrder(names, given.spec.name, dict(given.config.source), given.start, given.end)


def _tell(facts: TrainFacts, folder: Path, key: SigningKey, said: Sequence[str]) -> None:
    """What a person wants to know after training, in five lines. said: warnings that were told before it."""
    hosts, windows = sum(facts.hosts.values()), sum(facts.windows.values())
    why = f"at most {facts.alert_budget:g} incidents a week and host" if facts.alert_budget else "from contamination"
    line = "rarer than anything seen" if facts.rarity is None else f"1 in {facts.rarity:,.0f}"
    bad = sum(source.bad_rows for source in facts.sources)
    click.echo(f"{facts.agent}_{facts.version} learnt {facts.length} of {hosts} host{'s' * (hosts != 1)}: {facts.rows:,} rows, "
               f"{windows:,} windows, in {facts.duration_s:.1f} s")  # fmt: skip
    if bad:
        click.echo(f"{bad:,} rows could not be read; `pipit-trainer validate` names them")
    click.echo(f"alert line: {line} ({why}); lines that no pattern knows: {facts.unknown_share:.1%}")
    for line in _measured(facts):
        click.echo(line)
    for warning in facts.warnings:
        if warning not in said:
            click.echo(clean(f"warning: {warning}"))
    click.echo(f"signed with {key.fingerprint}" + (f", a key made just now: {key.path}" if key.made else ""))
    click.echo(clean(f"report: {folder / 'report.html'}"))
    if facts.gate.get("passed", True):
        click.echo(f"next: pipit-trainer ship {facts.version} --to TARGET --wait")
    else:
        click.echo(f"next: the report says what helps; `pipit-trainer ship {facts.version}` refuses it without --force")


def _measured(facts: TrainFacts) -> Iterator[str]:
    """What evaluation found, and the gate."""
    metrics = facts.evaluation.get("metrics", {})
    if "episode_recall" in metrics:
        what = "known episodes" if facts.evaluation["method"] == "labels" else "injected faults"
        yield (
            f"on time it had not seen: found {metrics['episodes_found']:.0f} of {metrics['episodes']:.0f} {what}, "
            f"{metrics.get('false_incidents_per_host_week', 0):.2g} false incidents a week and host"
        )
    if not facts.gate.get("passed", True):
        yield f"the gate was missed: {facts.gate['reason']}; `ship` refuses this version without --force"


def _models_dir(settings: Settings, config: TrainConfig, given: Path | None) -> Path:
    """--models, else the setting where it is another than its default, else the configuration's storage.directory."""
    if given is not None:
        return given
    default = Settings.models_dir
    return config.storage.directory or default if settings.models_dir == default else settings.models_dir


def _writable(folder: Path) -> Path:
    """The models folder, made if need be; what is wrong with it is said before minutes of work, not after them."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"train: the models folder {folder} cannot be written; check its owner, or give --models")
    return folder


def _log_as_configured(settings: Settings, config: TrainConfig) -> None:
    """The model configuration may name a log file and a level for the run, where the settings name none."""
    wanted = config.logging
    if wanted.file is None and wanted.level is None:
        return
    level = wanted.level if wanted.level and settings.log_level == Settings.log_level else settings.log_level
    setup_logging(
        level,
        settings.log_file or wanted.file,
        max_bytes=wanted.max_size,
        backups=wanted.backup_count,
        form=wanted.format,
    )
