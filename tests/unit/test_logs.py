"""Logging: plain lines, one a record, on a stream and in a rotating file."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.errors import ConfigError
from shared.logs import setup_logging


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in before:
            handler.close()
    root.handlers[:] = before
    root.setLevel(level)


def test_a_record_is_one_plain_line_with_a_utc_time() -> None:
    stream = io.StringIO()
    setup_logging("INFO", stream=stream)
    logging.getLogger("trainer.fit").info("fit done agent=%s windows=%d", "wifi", 7)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO trainer\.fit: fit done agent=wifi windows=7\n", stream.getvalue()
    )


def test_the_level_holds() -> None:
    stream = io.StringIO()
    setup_logging("WARNING", stream=stream)
    logging.getLogger("x").info("quiet")
    assert stream.getvalue() == ""


def test_a_hostile_message_cannot_forge_a_line_or_move_the_cursor() -> None:
    stream = io.StringIO()
    setup_logging("INFO", stream=stream)
    logging.getLogger("x").info("ssid=%s", "a\n2026 ERROR forged \x1b[2J\u202e")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()
    assert "\u202e" not in stream.getvalue()


def test_a_traceback_keeps_its_lines() -> None:
    stream = io.StringIO()
    setup_logging("INFO", stream=stream)
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("x").exception("it failed")
    assert "Traceback (most recent call last):\n" in stream.getvalue()


def test_the_file_rotates_and_keeps_a_few(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "training.log"
    setup_logging("INFO", file, io.StringIO(), max_bytes=500, backups=2)
    for number in range(60):
        logging.getLogger("x").info("line number=%d", number)
    assert sorted(path.name for path in file.parent.iterdir()) == ["training.log", "training.log.1", "training.log.2"]
    assert all(path.stat().st_size <= 500 for path in file.parent.iterdir())
    assert "number=59" in file.read_text()


def test_a_file_that_cannot_be_written_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="choose another log_file"):
        setup_logging("INFO", tmp_path / "taken" / "training.log")
