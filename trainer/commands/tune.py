"""`pipit-trainer tune`: search for settings, write a model configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from shared import layout
from shared.clean import clean
from shared.errors import ConfigError
from trainer.cluster.choice import team_of
from trainer.commands.learning import FILE, learning_options, read_learning
from trainer.config import Settings
from trainer.labels import faults_of
from trainer.progress import shown_progress
from trainer.tasks.limits import limited


@click.command()
@learning_options
@click.option("--trials", default=27, show_default=True, type=click.IntRange(1, 10_000), help="Candidates in all.")
@click.option("--patience", default=2, show_default=True, type=click.IntRange(1), help="Rounds of 9 without gain.")
@click.option("--time", "time_s", type=click.FloatRange(1), help="Begin no further round after so many seconds.")
@click.option("--seed", default=42, show_default=True, type=click.IntRange(0), help="Equal seeds, equal searches.")
@click.option(
    "--output", type=FILE, default=Path("tuned.yaml"), show_default=True, help="Where the configuration goes."
)
@click.option("--state", type=FILE, help="Trials made so far; else OUTPUT with .state behind. Remove it to begin anew.")
@click.option("--json", "as_json", is_flag=True, help="Print the search as JSON.")
@click.pass_obj
def tune(
    settings: Settings,
    /,
    trials: int,
    patience: int,
    time_s: float | None,
    seed: int,
    output: Path,
    state: Path | None,
    as_json: bool,
    **told: Any,
) -> None:
    """Search for settings that find more on EXPORTs, and write them for `train --config`. May be stopped and repeated."""
    given = read_learning(settings, **told)
    exports, config = given.exports, given.config

    from trainer.search.trials import TuneSettings
    from trainer.tune import STEPS, config_yaml
    from trainer.tune import tune as search

    wanted = TuneSettings(trials, patience, seed, time_s)
    with (
        limited(settings.max_training_time, settings.max_memory_usage),
        shown_progress() as show,
        team_of(settings, given.cluster) as team,
    ):

        def progress(step: str, share: float) -> None:
            number = STEPS.index(step)
            show(f"{number + 1} of {len(STEPS)}: {step}", (number + share) / len(STEPS))

        report = search(
            exports, given.spec, config, wanted, start=given.start, end=given.end, labels=faults_of(given.episodes),
            state=state or output.with_name(output.name + ".state"), team=team, progress=progress,
        )  # fmt: skip
    try:
        layout.write_atomic(output, config_yaml(config, report).encode())
    except OSError as error:
        raise ConfigError(f"tune: {output} cannot be written: {error.strerror}") from error
    if as_json:
        click.echo(json.dumps({"output": str(output), **report.as_json()}))
        return
    before, best = report.confirmed["given"], report.confirmed["best"]
    many = "candidate" if report.trials == 1 else "candidates", "round" if report.rounds == 1 else "rounds"
    click.echo(f"{report.trials} {many[0]} in {report.rounds} {many[1]}, {report.seconds:.0f} s: {report.stopped}"
               + (f"; {report.resumed} trials were known already" if report.resumed else ""))  # fmt: skip
    for name, one in (("given", before), ("best", best)):
        click.echo(f"{name:<6} finds {one['recall']:.0%}, average precision {one['average_precision']:.3f}, "
                   f"{one['false_rate']:.2g} false incidents a week and host")  # fmt: skip
    for key, value in report.best.items():
        click.echo(clean(f"  {key}: {value}"))
    for note in report.notes:
        click.echo(note)
    click.echo(clean(f"next: pipit-trainer train {' '.join(map(str, exports))} --config {output}"))
