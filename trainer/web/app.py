"""`create_app`: the trainer's site, put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flask import Flask

from shared.web.app import NavItem, build_app
from trainer.web import api, bundle_files, pages
from trainer.web.room import Room

NAV = (NavItem("Models", "models", "box"), NavItem("Fleet", "fleet", "ship"))


def create_app(
    state_dir: Path,
    *,
    models_dir: Path,
    trusted_hosts: Sequence[str] = (),
    place: str | None = None,
    now: Callable[[], float] = time.time,
) -> Flask:
    """The trainer's pages and API over one models folder and one state folder."""
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
    app.extensions["pipit_room"] = Room(models_dir=models_dir, state_dir=state_dir, now=now)
    pages.add_pages(app)
    api.add_api(app)
    bundle_files.add_bundle_files(app)
    return app
