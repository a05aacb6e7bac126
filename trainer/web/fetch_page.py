"""The page that fetches an export from the configured database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flask import Flask, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from shared.errors import ConfigError, ExportError, StoreError
from trainer.tasks.orders import FetchOrder
from trainer.web.api_training import moment
from trainer.web.fetching import TABLE, fetch_order
from trainer.web.room import Room, this_room

BY = "admin"


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form."""

    name: str
    label: str
    hint: str
    placeholder: str = ""


FIELDS = (
    Field("start_date", "From", "a date like 2026-03-01, or 2026-03-01T12:00:00Z; empty: 30 days before the end"),
    Field("end_date", "Until", "rows before this time; empty: now"),
    Field("programs", "Programs", "separated by commas; empty: all", "hostapd, wpa_supplicant"),
    Field("table", "Table", "or a view, perhaps with its schema", TABLE),
    Field("name", "Name of the export", "empty: named by the moment", "march.csv.gz"),
)
TIMES = ("start_date", "end_date")


def add_pages(app: Flask) -> None:
    """Attach the route."""
    app.add_url_rule("/fetch", "fetch", fetch, methods=["GET", "POST"])


def fetch() -> ResponseReturnValue:
    """The form; a POST starts the job."""
    if request.method == "GET":
        return _page(request.args.to_dict(), {})
    room, given, errors = this_room(), request.form.to_dict(), dict[str, str]()
    order = _order(room, given, errors)
    if order is None:
        return _page(given, errors), 400
    try:
        job = room.submit(order, BY)
    except StoreError as error:
        return _page(given, {"": str(error)}), 503
    return redirect(url_for("job", number=job.number), 303)


def place_of(url: str) -> str:
    """A database without user and password; nothing of an address whose parts cannot be told apart."""
    try:
        parts = urlsplit(url)
        if not parts.scheme or "@" in parts.path:  # `host=… password=…`, or a password with a slash in it
            return "the database"
        return f"{parts.path.strip('/') or 'the database'} on {parts.hostname or 'this machine'}"
    except ValueError:
        return "the database"


def _order(room: Room, given: Mapping[str, str], errors: dict[str, str]) -> FetchOrder | None:
    times: dict[str, float | None] = {}
    for name in TIMES:
        try:
            times[name] = moment(name, given.get(name, "").strip())
        except ConfigError as error:
            errors[name] = str(error).removeprefix(f"{name} ")
    if errors:
        return None
    try:
        return fetch_order(
            room, agent=given.get("agent", "wifi"), name=given.get("name", "").strip(), start=times["start_date"],
            end=times["end_date"], programs=given.get("programs", "").split(","), table=given.get("table", "").strip(),
        )  # fmt: skip
    except ExportError as error:
        errors["name"] = str(error)
    except ConfigError as error:
        errors[""] = str(error)
    return None


def _page(given: Mapping[str, str], errors: Mapping[str, str]) -> str:
    settings = this_room().settings
    return render_template(
        "fetch.html", at="Train", fields=FIELDS, given=given, errors=errors, agents=sorted(this_room().agents()),
        agent=given.get("agent", "wifi"), database=place_of(settings.database_url) if settings.database_url else "",
        limit_bytes=settings.max_upload * 1_000_000, limit_s=settings.max_training_time,
    )  # fmt: skip
