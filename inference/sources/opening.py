"""The log source that the settings name, and where its reading begins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from inference.config import Settings
from inference.source import Cursor, LogSource, start_cursor
from shared.errors import ConfigError
from shared.frame import parse_time


def open_source(settings: Settings, on_wait: Callable[[], None] = lambda: None) -> LogSource:
    """The log source that the settings name; the embedded one is created where it is missing.

    `on_wait` is called while a database's answer is waited for, and may raise.

    Raises:
        ConfigError: the URL is of no kind that is known.
    """
    url = settings.source_url
    if url.startswith(("postgresql://", "postgres://")):
        from inference.postgres import PostgresSource  # 11 MB that the embedded store need not have

        return PostgresSource(url, settings.table, settings.column_names, settings.query_timeout_s, on_wait)
    if url.startswith("sqlite:///"):
        from inference.sqlite_source import SqliteSource, create_table

        path = Path(url.removeprefix("sqlite:///")).expanduser()
        if settings.is_embedded:
            create_table(path)
        return SqliteSource(path, settings.table, settings.column_names)
    kind = url.partition(":")[0][:20]
    raise ConfigError(f"settings: INFERENCE_DATABASE_URL begins with {kind!r}; use postgresql://… or sqlite:///FILE")


def describe_source(settings: Settings) -> str:
    """The source without user and password."""
    if not settings.source_url.startswith("postgres"):
        return settings.source_url
    from inference.postgres import describe

    return describe(settings.source_url)


def begin(source: LogSource, start: str) -> Cursor:
    """The first cursor, from the setting `start`.

    Raises:
        ConfigError: it is no span, word or date.
    """
    try:
        return start_cursor(source, start, parse_time)
    except ValueError as error:
        raise ConfigError(
            f"settings: INFERENCE_START is {start!r}, not 24h, 7d, all, now or a date ({error})"
        ) from None
