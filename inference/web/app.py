"""`create_app`: the Pi's site, put together."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flask import Flask

from inference.config import Settings
from inference.web import api, pages, pages_agents, pages_models, pages_notify, pages_performance, pages_said
from inference.web.room import Room
from shared.web.app import NavItem, build_app

NAV = (
    NavItem("Overview", "overview", "home"),
    NavItem("Incidents", "incidents", "bell", "incidents", ("mutes",)),
    NavItem("Models", "models", "box", under=("transfers",)),
    NavItem("Agents", "agents", "eye"),
    NavItem("Drift", "performance", "wave"),
)


def create_app(
    state_dir: Path,
    *,
    state_file: Path | None = None,
    metrics_file: Path | None = None,
    store_dir: Path | None = None,
    interval_s: float = 30.0,
    trusted_hosts: Sequence[str] = (),
    place: str | None = None,
    settings: Settings | None = None,
    now: Callable[[], float] = time.time,
) -> Flask:
    """The Pi's pages and API over one state folder; `interval_s` is the daemon's: a late one is not a dead one."""
    place = place or socket.gethostname().split(".")[0]
    app = build_app(
        __package__ or __name__,
        site="pi",
        place=place,
        home="/",
        nav=NAV,
        state_dir=state_dir,
        public=frozenset({"api_health"}),
        trusted_hosts=trusted_hosts,
        now=now,
    )
    room = Room(
        state_file=state_file or state_dir / "state.db",
        metrics_file=metrics_file or state_dir / "metrics.prom",
        store_dir=store_dir or state_dir / "store",
        interval_s=interval_s,
        now=now,
        settings=settings or Settings(state_dir=state_dir),
    )
    app.extensions["pipit_room"] = room
    app.extensions["pipit"].badges = room.badges
    app.extensions["pipit"].more = (
        ("Settings", "settings"),
        ("Notifications", "notifications"),
        ("Transfers", "transfers"),
        ("API", "api_guide"),
    )
    app.teardown_appcontext(room.close)
    pages.add_pages(app)
    pages_said.add_said_pages(app)
    pages_models.add_model_pages(app)
    pages_agents.add_agent_pages(app)
    pages_performance.add_performance_pages(app)
    pages_notify.add_notify_pages(app)
    api.add_api(app)
    return app
