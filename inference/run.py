"""The daemon's own process, which `pipit-inference run` becomes.

Started anew, because the command line's libraries would stay in memory for as long as the daemon lives, and because
glibc takes the settings that make it give memory back from the environment.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from inference.lean import python_hashes_only
from shared.config import environ
from shared.errors import ConfigError, PipitError, SourceError

# glibc then gives back what a backlog needed; more cores than one have nothing to compute here.
LEAN = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072", "OPENBLAS_NUM_THREADS": "1"}


def become_daemon(config: Path | None, flags: Mapping[str, Any]) -> NoReturn:
    """Replace this process by the daemon; the command line's flags travel as settings in the environment."""
    root = str(Path(__file__).resolve().parent.parent)
    env = environ()
    path = os.pathsep.join(filter(None, [root, env.get("PYTHONPATH", "")]))
    given = {f"INFERENCE_{name.upper()}": str(value) for name, value in flags.items() if value is not None}
    arguments = [sys.executable, "-P", "-m", "inference.run", *([str(config)] if config else [])]
    os.execve(sys.executable, arguments, LEAN | env | {"PYTHONPATH": path} | given)  # noqa: S606 (no shell on purpose)


def main(arguments: list[str]) -> int:
    """Serve until told to stop; the exit code."""
    signal.signal(
        signal.SIGHUP, lambda *_: None
    )  # until the daemon listens; systemd would take its end for a clean one
    python_hashes_only()
    from inference.coming_up import come_up
    from inference.config import Settings, load_settings
    from inference.daemon import Daemon
    from inference.keeping.disk import Disk
    from inference.systemd import Notifier
    from shared.clean import clean
    from shared.logs import setup_logging

    config = Path(arguments[0]) if arguments else None

    def load() -> Settings:
        return load_settings(config, environ(), {})

    try:
        settings = load()
        setup_logging(settings.log_level, settings.log_file)
        come_up(
            lambda: Daemon(load(), environ(), load).run(),
            Disk(settings.state_folder),
            Notifier(environ()),
            time.sleep,
        )
    except PipitError as error:
        print("pipit-inference: " + "\n".join(clean(line) for line in str(error).splitlines()), file=sys.stderr)
        return 2 if isinstance(error, ConfigError) else 3 if isinstance(error, SourceError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
