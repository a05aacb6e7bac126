"""What a person gives as words, as values: the name of an agent, a moment."""

from __future__ import annotations

import logging

from shared.agent import BUILTIN, AgentSpec, load_agents
from shared.errors import ConfigError
from shared.frame import parse_time
from trainer.config import Settings
from trainer.doubts import doubts

logger = logging.getLogger(__name__)


def find_agent(settings: Settings, name: str) -> AgentSpec:
    """An agent by its name, built in or from the configured folder.

    Raises:
        ConfigError: there is none of that name.
    """
    folders = [BUILTIN] if settings.agents_dir is None else [BUILTIN, settings.agents_dir]
    agents = load_agents(folders)
    if name not in agents:
        own = "your own lie in the folder that TRAINING_AGENTS_DIR names"
        raise ConfigError(f"--agent {name!r}: no such agent; there are {', '.join(sorted(agents))} ({own})")
    for doubt in doubts(agents[name]):
        logger.warning("agent file of %s: %s", name, doubt)
    return agents[name]


def moment(option: str, text: str | None) -> float | None:
    """The time that an option names, in seconds since the epoch.

    Raises:
        ConfigError: it is no time.
    """
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError as error:
        raise ConfigError(f"{option} {text!r} is no date; write one like 2026-03-01 or 2026-03-01T12:00:00Z") from error


def span(start_date: str | None, end_date: str | None) -> tuple[float | None, float | None]:
    """The times that --start-date and --end-date name.

    Raises:
        ConfigError: one is no time, or nothing can lie between them.
    """
    start, end = moment("--start-date", start_date), moment("--end-date", end_date)
    if start is not None and end is not None and start >= end:
        raise ConfigError(f"--start-date {start_date} is not before --end-date {end_date}; swap or correct them")
    return start, end
