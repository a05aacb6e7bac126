"""Fetching an export from the configured database, as page and API ask for it: looked at before it is queued."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from shared.errors import ConfigError
from trainer import exports
from trainer.tasks.fetch import NO_DATABASE
from trainer.tasks.orders import FetchOrder
from trainer.web.room import Room

TABLE = "log_entries"
MOST_PROGRAMS = 100


def fetch_order(
    room: Room,
    *,
    agent: str,
    name: str = "",
    start: float | None = None,
    end: float | None = None,
    programs: Sequence[str] = (),
    table: str = "",
) -> FetchOrder:
    """What is to be fetched; a name of its own where none was given.

    Raises:
        ConfigError: no database is configured, the agent is not known, the span is empty. ExportError: the name cannot be.
    """
    if room.settings.database_url is None:
        raise ConfigError(NO_DATABASE)
    if agent not in room.agents():
        raise ConfigError(f"agent {agent!r}: there is none; there are {', '.join(sorted(room.agents()))}")
    if (room.now() if end is None else end) <= (start or 0.0):
        raise ConfigError("fetch: the first moment must lie before the last; swap or correct the dates")
    chosen = exports.safe_name(name) if name else _own_name(room)
    if any(one.name == chosen for one in room.exports()):
        raise exports.taken(chosen)
    wanted = tuple(dict.fromkeys(text.strip() for text in programs if text.strip()))[:MOST_PROGRAMS]
    return FetchOrder(chosen, agent, start, end, wanted, table or TABLE)


def _own_name(room: Room) -> str:
    return f"logs-{datetime.fromtimestamp(room.now(), UTC):%Y%m%d-%H%M%S}.csv.gz"
