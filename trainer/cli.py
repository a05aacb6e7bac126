"""`pipit-trainer`: the commands of the trainer. Each is imported when it is used, so that start-up stays quick."""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

import click

from shared import __version__
from shared.command import LazyGroup, asks_for_help, run_main
from shared.config import environ
from shared.errors import ConfigError
from shared.logs import setup_logging
from trainer.config import Settings, load_settings

NAME = "pipit-trainer"
logger = logging.getLogger(__name__)


@click.group(
    NAME,
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    lazy={
        "export": "trainer.commands.data:export",
        "validate": "trainer.commands.data:validate",
        "events": "trainer.commands.rows:events",
        "features": "trainer.commands.rows:features",
        "train": "trainer.commands.train:train",
        "tune": "trainer.commands.tune:tune",
        "evaluate": "trainer.commands.evaluate:evaluate",
        "models": "trainer.commands.models:models",
        "keys": "trainer.commands.registry:keys",
        "targets": "trainer.commands.registry:targets",
        "ship": "trainer.commands.ship:ship",
        "rollback": "trainer.commands.ship:rollback",
        "serve": "trainer.commands.serve:serve",
    },
)
@click.option(
    "--config",
    "-c",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file of the service (YAML).",
)
@click.option("--verbose", "-v", is_flag=True, help="Log everything.")
@click.version_option(__version__, prog_name=NAME)
@click.pass_context
def cli(context: click.Context, file: Path | None, verbose: bool) -> None:
    """Learn on this machine what normal logs look like, and ship that knowledge to Raspberry Pis.

    Settings come from --config, then TRAINING_… variables. Exit codes: 0 done, 1 refused, 2 usage, 3 unknown (offline
    or timed out).
    """
    try:
        settings = load_settings(file, environ(), {"debug": verbose or None})
    except ConfigError:
        if not asks_for_help(context):
            raise
        settings = Settings()  # whoever asks for help may have a setting to mend
    setup_logging(settings.log_level, settings.log_file)
    for warning in settings.warnings:
        logger.warning("%s", warning)
    context.obj = settings


def main() -> None:
    """The console script. The end of the process is an orderly one: half-written files are taken away."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    run_main(cli, NAME)
