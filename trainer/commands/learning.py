"""What `train` and `tune` are told alike: exports, agent, model configuration, span of time, labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from shared.agent import AgentSpec
from trainer import targets
from trainer.config import Settings
from trainer.given import find_agent, span
from trainer.labels import Episode, parse_labels, read_labels
from trainer.model_config import TrainConfig, load_model_config, parse_override
from trainer.shipping import marks as said

logger = logging.getLogger(__name__)
FILE = click.Path(path_type=Path, dir_okay=False)
_OPTIONS = (
    click.argument("exports", metavar="EXPORT...", nargs=-1, required=True, type=FILE),
    click.option("--agent", default="wifi", show_default=True, help="What kind of log this is."),
    click.option("--config", "file", type=FILE, help="Model configuration (YAML); else TRAINING_MODEL_CONFIG_FILE."),
    click.option(
        "--set", "sets", metavar="A.B=C", multiple=True, help="One key of the model configuration; may be repeated."
    ),
    click.option("--start-date", help="Use rows at or after this time (ISO 8601, UTC unless it has a zone)."),
    click.option("--end-date", help="Use rows before this time."),
    click.option("--labels", type=FILE, help="Known episodes (JSON): not learnt from, and what is to be found."),
    click.option(
        "--cluster", metavar="ADDRESS", help="Dask scheduler whose workers help to read; else TRAINING_CLUSTER."
    ),
    click.option("--marks", is_flag=True, help="Also what people said of incidents on the Pis; asks all of them now."),
)


@dataclass(frozen=True, slots=True)
class Learning:
    """The options, looked at."""

    exports: tuple[Path, ...]
    spec: AgentSpec
    config: TrainConfig
    start: float | None
    end: float | None
    episodes: tuple[Episode, ...]
    cluster: str | None


def learning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command these options; `read_learning` takes what they say."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_learning(
    settings: Settings, exports: tuple[Path, ...], agent: str, file: Path | None, sets: Sequence[str],
    start_date: str | None, end_date: str | None, labels: Path | None, cluster: str | None, marks: bool,
) -> Learning:  # fmt: skip
    """What the options mean; the Pis are asked for their marks where that is wanted.

    Raises:
        ConfigError: a setting, an agent or a time cannot be. ExportError: the labels cannot be used.
    """
    spec = find_agent(settings, agent)
    config = load_model_config(file or settings.model_config_file, dict(parse_override(text) for text in sets))
    start, end = span(start_date, end_date)
    episodes = read_labels(labels) if labels else ()
    if marks:
        episodes += _marked(settings.state_dir, spec.name)
    return Learning(exports, spec, config, start, end, episodes, cluster)


def _marked(state_dir: Path, agent: str) -> tuple[Episode, ...]:
    heard = said.ask(state_dir, targets.fleet(state_dir, "all"), time.time)
    for each in heard:
        if each.fault:
            logger.warning("marks of %s: using %d known already: %s", each.target, len(each.labels), each.fault)
    return parse_labels(list(said.all_labels(heard, agent)), "the marks")
