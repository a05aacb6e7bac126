"""`pipit-trainer serve`: the trainer's site under gunicorn."""

from __future__ import annotations

from shared.web.serve import reset_password
from shared.web.serve import serve as run
from trainer.config import Settings

FACTORY = "trainer.web.app:create_app"


def forget_password(settings: Settings) -> str:
    """Forget the administrator's password; the new one-time set-up token."""
    return reset_password(settings.state_dir.expanduser())


def serve(settings: Settings, bind: str | None = None) -> None:
    """Serve pages and API until the process is told to end."""
    run(
        FACTORY,
        bind or settings.bind,
        settings.state_dir.expanduser(),
        models_dir=settings.models_dir.expanduser().absolute(),
        trusted_hosts=settings.trusted_hosts,
    )
