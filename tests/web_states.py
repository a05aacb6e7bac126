"""Pis in every state that a page must be shown in, each served at an address of its own."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from flask import Flask
from werkzeug.serving import make_server

from inference import state
from inference.config import Settings
from inference.web.app import create_app
from tests import web_data, web_more
from tests.web_client import set_up

NOW = web_data.NOW
LONG = "ap-on-the-third-floor-of-the-east-wing-beside-the-stairs.building-7.campus.example.org"


def pi(folder: Path, now: float = NOW, **settings: object) -> Flask:
    """The pages over a state folder."""
    own = Settings(state_dir=folder, **settings)  # type: ignore[arg-type]
    return create_app(folder, now=lambda: now, place="pi-attic", settings=own)


def filled(folder: Path) -> Flask:
    """Everything that a Pi can have to show."""
    web_data.fill(folder)
    web_more.fill_more(folder)
    return pi(folder, notify_urls=web_more.NOTIFY_URLS, quiet_hours="22:00-07:00", page_url="https://pi-attic:8000")


def never(folder: Path) -> Flask:
    """No daemon has run."""
    return pi(folder)


def no_model(folder: Path) -> Flask:
    """The daemon waits for its first model."""
    state.connect(folder / "state.db").close()
    web_data.set_status(folder, NOW, state="waiting for a model")
    return pi(folder)


def calm(folder: Path) -> Flask:
    """All is well."""
    web_data.fill(folder, attacks=(), days=1)
    return pi(folder, notify_urls="ntfy://a-secret-topic")


def no_database(folder: Path) -> Flask:
    """The log database has not answered for a while."""
    web_data.fill(folder, days=0.5)
    why = "connect: db.riverside.lan:5432: connection refused; check that PostgreSQL runs and may be reached"
    web_data.set_status(folder, NOW, source_error=why, last_run=NOW - 840, state="waiting for the database")
    return pi(folder)


def dead(folder: Path) -> Flask:
    """The daemon has not been heard for an hour."""
    web_data.fill(folder, days=0.5)
    return pi(folder, now=NOW + 3600)


def crowded(folder: Path) -> Flask:
    """A hundred hosts, with the longest names that there are and some that mean harm."""
    names = (
        [f"{n:02d}-{LONG}" for n in range(5)] + [f"station-{n:03d}" for n in range(90)] + [web_data.HOSTILE_SSID, "-"]
    )
    attacks = [
        web_data.Attack(900 + 3700 * n, name, "psk_bruteforce", "critical", f"Somebody guesses the password at {name} (9 times)", 2)
        for n, name in enumerate([*names[:3], web_data.HOSTILE_SSID, *names[5:15]])
    ]  # fmt: skip
    web_data.fill(folder, attacks=attacks, days=0.3, hosts=names)
    return pi(folder)


STATES = {
    "filled": filled, "never": never, "no-model": no_model, "calm": calm, "no-database": no_database, "dead": dead,
    "crowded": crowded,
}  # fmt: skip


@contextlib.contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address of an application with a password set."""
    set_up(app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
