"""Logging set-up of both services: plain words, then key=value, on a stream and perhaps in a rotating file."""

from __future__ import annotations

import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

from shared.clean import clean
from shared.errors import ConfigError

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MAX_BYTES = 10_000_000
BACKUPS = 5
MAX_LINE = 20_000  # characters
# Libraries that tell more than an operator wants to know at INFO.
NOISY = ("paramiko", "watchdog", "werkzeug")


class Plain(logging.Formatter):
    """One record, one line: control characters of hostile messages are shown escaped; times are UTC."""

    converter = staticmethod(time.gmtime)  # type: ignore[assignment]
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        first, *rest = text.split("\n") if record.exc_info or record.stack_info else [text]
        return "\n".join(clean(line, MAX_LINE) for line in (first, *rest))


def setup_logging(
    level: str = "INFO",
    file: Path | None = None,
    stream: TextIO | None = None,
    *,
    max_bytes: int = MAX_BYTES,
    backups: int = BACKUPS,
    form: str | None = None,
) -> None:
    """Send log records to `stream` (default stderr; stdout belongs to a command's answer) and perhaps to `file`.

    The file is renamed to `.1` at `max_bytes`, and `backups` such are kept. Calling it again replaces what an earlier
    call set up. `form` is a format of the logging module, in place of ours.

    Raises:
        ConfigError: the file cannot be opened.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler(stream or sys.stderr)]
    if file is not None:
        handlers.append(_file_handler(file, max_bytes, backups))
    formatter = Plain(form or FORMAT)
    for handler in handlers:
        handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _file_handler(file: Path, max_bytes: int, backups: int) -> logging.Handler:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return RotatingFileHandler(file, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"logging: cannot write {file}: {error.strerror}; choose another log_file") from error
