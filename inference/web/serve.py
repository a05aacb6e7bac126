"""`pipit-inference web`: the Pi's site under gunicorn."""

from __future__ import annotations

from inference.config import Settings
from shared.web.serve import reset_password
from shared.web.serve import serve as run

FACTORY = "inference.web.app:create_app"


def forget_password(settings: Settings) -> str:
    """Forget the administrator's password; the new one-time set-up token."""
    return reset_password(settings.state_folder)


def serve(settings: Settings) -> None:
    """Serve pages and API until the process is told to end."""
    run(
        FACTORY,
        settings.bind,
        settings.state_folder,
        state_file=settings.state_file,
        metrics_file=settings.metrics_file,
        store_dir=settings.state_folder / "store",
        interval_s=settings.interval_s,
        trusted_hosts=settings.trusted_hosts,
        settings=settings,
    )
