"""Pages and API under gunicorn: one process with four threads, replacing this one."""

from __future__ import annotations

import os
import sys

from inference.config import Settings
from shared.config import environ

SHM = "/dev/shm"  # noqa: S108 (gunicorn's heartbeat file must not wait for an SD card)


def serve(settings: Settings) -> None:
    """Become gunicorn; does not return."""
    arguments = [
        sys.executable, "-m", "gunicorn", "--workers", "1", "--threads", "4", "--worker-class", "gthread",
        "--timeout", "60", "--no-control-socket", "--bind", settings.bind,
        *(["--worker-tmp-dir", SHM] if os.path.isdir(SHM) else []),
        "inference.web:create_app()",
    ]  # fmt: skip
    os.execve(  # noqa: S606 (an argument list, no shell: this process becomes gunicorn)
        sys.executable, arguments, environ() | _as_environment(settings)
    )


def _as_environment(settings: Settings) -> dict[str, str]:
    """What the flags and the file said, for the new process: it reads the environment alone."""
    given = {
        "STATE_DIR": settings.state_folder, "INBOX": settings.inbox_folder, "BIND": settings.bind,
        "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url,
        "ALLOWED_SIGNERS": settings.allowed_signers, "LOG_LEVEL": settings.log_level,
        "TRUSTED_HOSTS": ",".join(settings.trusted_hosts), "AGENTS_DIR": settings.agents_dir,
    }  # fmt: skip
    return {f"INFERENCE_{name}": str(value) for name, value in given.items() if value}
