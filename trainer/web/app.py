"""`create_app`: the trainer's site, put together."""

from __future__ import annotations

import errno
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from flask import Flask, Request, Response, g, request

from shared.web import words
from shared.web.app import NavItem, build_app
from shared.web.refusals import refuse
from trainer.config import Settings
from trainer.web import (
    api,
    catch_up_page,
    fetch_page,
    fleet_pages,
    history_page,
    job_pages,
    pages,
    settings_page,
    train_page,
)
from trainer.web.room import Room

NAV = (
    NavItem("Models", "models", "box", under=("compare", "clean-up")),
    NavItem("Train", "train", "play", under=("jobs", "exports", "fetch")),
    NavItem("Fleet", "fleet", "ship", under=("ship", "rollback", "catch-up")),
    NavItem("History", "history", "clock"),
)
UPLOADS = frozenset({"train"})  # pages that take a file; the API's table says so itself
FORM_BYTES = 256 * 1024  # what the form around the file may take
TOO_LARGE = (
    "An upload may have {} (TRAINING_MAX_UPLOAD), and nothing of this one was kept. Compress it with gzip, export fewer"
    " days, or lay the file into {} yourself."
)
FULL = "The disk is full: nothing was kept. Make room, then send it again."


def create_app(
    state_dir: Path,
    *,
    models_dir: Path,
    trusted_hosts: Sequence[str] = (),
    place: str | None = None,
    now: Callable[[], float] = time.time,
    settings: Settings | None = None,
    wake: Callable[[], None] = lambda: None,
) -> Flask:
    """The trainer's pages and API over one models folder and one state folder.

    settings: the rest of what they need to know; without it, exports lie in the state folder. wake: called when a job
    was added.
    """
    known = settings or Settings(exports_dir=state_dir / "exports")
    known = replace(known, models_dir=models_dir, state_dir=state_dir)
    app = build_app(
        __package__ or __name__,
        site="trainer",
        place=place or f"Trainer on {socket.gethostname().split('.')[0]}",
        home="/",
        nav=NAV,
        state_dir=state_dir,
        public=frozenset({"api_health"}),
        trusted_hosts=trusted_hosts,
        now=now,
    )
    app.extensions["pipit"].more = (("Settings", "settings"), ("API", "api_guide"))
    room = Room(known, now, wake)
    app.extensions["pipit_room"] = room
    for part in (pages, train_page, fetch_page, job_pages, fleet_pages, catch_up_page, history_page, settings_page):
        part.add_pages(app)
    api.add_api(app, known.max_upload * 1_000_000)
    _take_uploads(app, known)
    return app


def _take_uploads(app: Flask, settings: Settings) -> None:
    """Pages that take a file: a wider limit, and room for it beside the exports instead of in memory or on /tmp."""

    class UploadRequest(Request):
        def _get_file_stream(
            self,
            total_content_length: int | None,
            content_type: str | None,
            filename: str | None = None,
            content_length: int | None = None,
        ) -> IO[bytes]:
            settings.exports_dir.mkdir(parents=True, exist_ok=True)
            return cast(IO[bytes], tempfile.TemporaryFile("w+b", dir=settings.exports_dir))

    app.request_class = UploadRequest

    @app.before_request
    def _widen() -> None:
        if request.endpoint in UPLOADS and request.method == "POST":
            request.max_content_length = settings.max_upload * 1_000_000 + FORM_BYTES
            g.limit_words = TOO_LARGE.format(words.size(settings.max_upload * 1_000_000), settings.exports_dir)

    hooks = app.before_request_funcs[None]
    hooks.insert(0, hooks.pop())  # the guard looks at the size, and was attached first

    @app.errorhandler(OSError)
    def _on_disk(error: OSError) -> Response:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return refuse(507, FULL)
        raise error
