"""How a command ends: one line on stderr and an exit code that says what the caller can do."""

from __future__ import annotations

import errno
import subprocess
import sys

import click
import pytest

from shared.command import LazyGroup, exit_code, main_with_exit_codes
from shared.errors import BundleError, ConfigError, ExportError, RequestError, ShipError, SourceError, TrainingError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("settings"), 2),
        (click.UsageError("usage"), 2),
        (ExportError("export"), 1),
        (TrainingError("training"), 1),
        (BundleError("hash", "bundle"), 1),
        (ShipError("refused"), 1),
        (ShipError("no answer", "timeout", unknown=True), 3),
        (SourceError("database"), 3),
        (RequestError("no such day"), 1),
        (RequestError("no such version", missing=True), 2),
        (KeyboardInterrupt(), 130),
        (ValueError("a fault of ours"), 1),
    ],
)
def test_the_exit_code_says_what_the_caller_can_do(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def command_that(error: BaseException | None, value: object = None) -> click.Command:
    def body() -> object:
        if error is not None:
            raise error
        return value

    return click.Command("it", callback=body)


def test_an_error_raised_on_purpose_is_one_message_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_with_exit_codes(command_that(ExportError("read a.csv: no rows")), "pipit-trainer", []) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "pipit-trainer: read a.csv: no rows\n")


def test_every_fault_of_a_configuration_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("settings: 2 faults found", ("one", "two"))
    assert main_with_exit_codes(command_that(error), "pipit-trainer", []) == 2
    assert capsys.readouterr().err == "pipit-trainer: settings: 2 faults found\n  - one\n  - two\n"


def test_hostile_text_in_a_message_cannot_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    main_with_exit_codes(command_that(ExportError("bad \x1b[2J name")), "pipit-trainer", [])
    assert "\x1b" not in capsys.readouterr().err


def test_an_unexpected_error_is_logged_with_its_traceback(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main_with_exit_codes(command_that(ZeroDivisionError("x")), "pipit-trainer", []) == 1
    assert "unexpected ZeroDivisionError" in capsys.readouterr().err
    assert caplog.records[-1].exc_info is not None


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "state/key"), "state/key: Permission denied; check owner"),
        (OSError(errno.EROFS, "Read-only file system", "models"), "models: Read-only file system; choose a place"),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "a/b"), "a/b: Not a directory; a file lies where"),
        (OSError(errno.ENOSPC, "No space left on device", "m/x"), "m/x: No space left on device; free some space"),
    ],
)
def test_what_the_machine_refuses_is_one_message_and_no_fault_of_ours(
    error: OSError, said: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    assert main_with_exit_codes(command_that(error), "pipit-trainer", []) == 1
    assert f"pipit-trainer: {said}" in capsys.readouterr().err
    assert caplog.records == []


@pytest.mark.parametrize("lines", [1, 100_000], ids=["at the end", "in the middle"])
def test_a_full_disk_behind_stdout_is_said_once_and_without_a_traceback(lines: int) -> None:
    script = (
        "import sys, click\nfrom shared.command import run_main\n"
        f"run_main(click.Command('it', callback=lambda: sys.stdout.write('x' * {lines} + '\\n') and None), 'it')\n"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "No space left on device; free some space" in done.stderr


def test_a_wrong_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main_with_exit_codes(command_that(None), "pipit-trainer", ["--nonsense"]) == 2
    assert "--nonsense" in capsys.readouterr().err


def test_a_command_may_choose_its_own_code() -> None:
    assert main_with_exit_codes(command_that(None, 1), "it", []) == 1
    assert main_with_exit_codes(command_that(None, None), "it", []) == 0


def test_a_lazy_command_is_imported_only_when_it_is_used() -> None:
    script = (
        "import sys\nfrom shared.command import LazyGroup\n"
        "group = LazyGroup('it', lazy={'week': 'calendar:TextCalendar'})\n"
        "assert group.list_commands(None) == ['week']\nassert 'calendar' not in sys.modules\n"
        "group.get_command(None, 'week')\nassert 'calendar' in sys.modules\n"
        "assert group.get_command(None, 'other') is None\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert isinstance(LazyGroup("it", lazy={}), click.Group)


def test_a_reader_that_goes_away_is_an_ordinary_end() -> None:
    script = (
        "import click\nfrom shared.command import run_main\n"
        "@click.command()\ndef it():\n    for n in range(1_000_000): click.echo(n)\n"
        "run_main(it, 'it')\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == b""
        assert child.wait() == 0
