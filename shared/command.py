"""How both command lines end: errors become one line on stderr and an exit code, here and nowhere else."""

from __future__ import annotations

import errno
import importlib
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from shared.clean import clean
from shared.errors import ConfigError, PipitError, RequestError, ShipError, SourceError

logger = logging.getLogger(__name__)

HELP_ASKED = f"{__name__}.help"
SENTENCE = 300  # characters that the first sentence of a command may have

DONE = 0
REFUSED = 1
USAGE = 2
UNKNOWN = 3  # offline or timed out: nobody knows whether it happened
INTERRUPTED = 128 + signal.SIGINT

# What a machine refuses is no fault of Pipit: what to do about it. Any other OSError is unexpected, and logged whole.
_SPACE = "free some space, then do it again"
_OWNER = "check owner and permissions, or choose another place"
CURES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.EACCES: _OWNER,
    errno.EPERM: _OWNER,
    errno.EROFS: "choose a place that can be written",
    errno.ENOTDIR: "a file lies where a folder is needed; choose another place",
    errno.EEXIST: "a file lies where a folder is needed; choose another place",
    errno.EIO: "the disk fails; look into the kernel's log",
}


class Group(click.Group):
    """A group that lists its commands with their whole first sentence, and knows who only wants to read."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does it; the words are gone from the context when the group itself runs."""
        ctx.meta[HELP_ASKED] = bool({"-h", "--help"} & set(args))
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and sentences, wrapped where click would cut them off."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(SENTENCE)) for name, one in found if one is not None])


def asks_for_help(context: click.Context) -> bool:
    """Does somebody want to read about a command of this group? Then its settings need not be right, nor be there."""
    return bool(context.meta.get(HELP_ASKED))


class LazyGroup(Group):
    """A group whose commands are imported when they are used: `lazy` maps a name to "module:attribute"."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order they were declared."""
        return [*self.commands, *self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command by its name, imported now."""
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command


def exit_code(error: BaseException) -> int:
    """The exit code that an error ends the command with (0 done, 1 refused, 2 usage, 3 unknown).

    Naming a version, an incident or the like that is not there is wrong usage, on both sides.
    """
    if isinstance(error, (ConfigError, click.UsageError)) or (isinstance(error, RequestError) and error.missing):
        return USAGE
    if isinstance(error, SourceError) or (isinstance(error, ShipError) and error.unknown):
        return UNKNOWN
    if isinstance(error, (KeyboardInterrupt, click.Abort)):
        return INTERRUPTED
    return REFUSED


def main_with_exit_codes(group: click.Command, name: str, arguments: Sequence[str] | None = None) -> int:
    """Run a click command and return its exit code.

    An error raised on purpose is one message on stderr, and so is what the machine refuses (a full disk, a folder of
    somebody else's). An unexpected one is logged with its traceback, because that is a fault of ours that somebody
    will have to find.
    """
    stdout = sys.stdout
    try:
        result = group.main(args=arguments, prog_name=name, standalone_mode=False)
        sys.stdout.flush()  # a full disk must be noticed here, where it can still be said
    except click.ClickException as error:
        error.show()
        return exit_code(error)
    except (KeyboardInterrupt, click.Abort) as error:
        _say(name, "interrupted")
        return exit_code(error)
    except PipitError as error:
        _say(name, "\n".join(clean(line) for line in str(error).splitlines()))
        return exit_code(error)
    except SystemExit as end:
        if sys.stdout is not stdout:  # click puts another one in its place when somebody has closed ours
            _drop_stdout()
            return DONE
        return end.code if isinstance(end.code, int) else REFUSED
    except BrokenPipeError:
        _drop_stdout()
        return DONE
    except Exception as error:
        if isinstance(error, OSError) and error.errno in CURES:
            _say(name, _refused_by_machine(error))
            if error.filename is None:
                _drop_stdout()
            return REFUSED
        logger.exception("unexpected error command=%s", name)
        _say(name, f"unexpected {type(error).__name__}: {clean(str(error))} (this is a fault in Pipit; see the log)")
        return REFUSED
    return result if isinstance(result, int) else DONE


def run_main(group: click.Command, name: str) -> None:
    """What a console script and `python -m` call: `main_with_exit_codes`, then leave the process with its code."""
    sys.exit(main_with_exit_codes(group, name))


def _say(name: str, message: str) -> None:
    click.echo(f"{name}: {message}", err=True)


def _refused_by_machine(error: OSError) -> str:
    subject = "writing" if error.filename is None else clean(str(error.filename))
    return f"{subject}: {error.strerror}; {CURES[error.errno or 0]}"


def _drop_stdout() -> None:
    """What is still in the buffer cannot be written (`… | head`, a full disk): say nothing more about it at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
