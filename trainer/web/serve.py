"""`pipit-trainer serve`: the trainer's site under gunicorn, and the worker that does its jobs."""

from __future__ import annotations

import atexit
import logging
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from flask import Flask

from shared.errors import PipitError
from shared.web.serve import reset_password
from shared.web.serve import serve as run
from trainer.config import Settings
from trainer.jobs import JobStore
from trainer.tasks.worker import Worker
from trainer.web.app import create_app

logger = logging.getLogger(__name__)
FACTORY = "trainer.web.serve:create_served_app"


def forget_password(settings: Settings) -> str:
    """Forget the administrator's password; the new one-time set-up token."""
    return reset_password(settings.state_dir.expanduser())


def serve(settings: Settings, bind: str | None = None) -> None:
    """Serve pages and API until the process is told to end."""
    here = absolute(settings)
    run(
        FACTORY,
        bind or settings.bind,
        here.state_dir,
        models_dir=here.models_dir,
        trusted_hosts=here.trusted_hosts,
        settings=here,
    )


def absolute(settings: Settings) -> Settings:
    """The same folders, whatever the working folder of a child will be."""

    def full(path: Path | None) -> Path | None:
        return None if path is None else path.expanduser().absolute()

    names = ("signing_key", "agents_dir", "model_config_file")
    optional: dict[str, Any] = {name: full(getattr(settings, name)) for name in names}
    folders: dict[str, Any] = {
        name: full(getattr(settings, name)) for name in ("models_dir", "exports_dir", "state_dir")
    }
    return replace(settings, **folders, **optional)


def create_served_app(state_dir: Path, *, settings: Settings, **options: Any) -> Flask:
    """The site of one web process, with a worker beside it; of several processes one worker works."""
    worker = Worker(settings, JobStore(state_dir))
    app = create_app(state_dir, settings=settings, wake=worker.wake, **options)
    warm_up(app)
    worker.start()
    atexit.register(worker.stop)
    _stop_first(worker)
    return app


def warm_up(app: Flask) -> None:
    """Read what every page needs before the first visitor waits for it: templates and agent files."""
    for name in app.jinja_env.list_templates(["html"]):
        app.jinja_env.get_template(name)
    try:
        app.extensions["pipit_room"].agents()
    except PipitError as error:  # the pages that need them say so, too
        logger.warning("the agent files cannot be used: %s", error)


def _stop_first(worker: Worker) -> None:
    """A web process that is told to end puts its jobs back at once: nobody waits for an hour of training."""

    def chained(number: int) -> None:
        before = signal.getsignal(number)

        def on_signal(received: int, frame: Any) -> None:
            worker.stop_soon()
            if callable(before):
                before(received, frame)

        signal.signal(number, on_signal)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        chained(number)
