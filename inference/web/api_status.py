"""What the daemon knows and found, as JSON: health, status, verdicts, metrics, incidents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from flask import Response, abort
from flask.typing import ResponseReturnValue

from inference.keeping import reading as read
from inference.keeping.incident_export import csv_text, detail_values, incident_values, line_values
from inference.said import marks as said
from inference.web.answers import answer, plain
from inference.web.room import this_room
from shared import __version__
from shared.values import iso
from shared.web.app import this_site


def health() -> ResponseReturnValue:
    """Whether this process answers, and how the daemon is. Needs no token and tells nothing of the log."""
    room = this_room()
    found = room.health(room.status())
    well = found in ("well", "no-model")
    return answer(
        {"status": "ok" if well else "degraded", "daemon": found, "release": __version__, "time": iso(room.now())}
    )


def status() -> ResponseReturnValue:
    """What the daemon last said of itself, what serves, and counts of the last 24 hours."""
    room = this_room()
    found = room.status()
    told = {"health": room.health(found), **plain(found)}
    if room.has_state:
        told["models"] = [plain(row) for row in room.store().actives()]
        told["last_24_hours"] = asdict(read.totals(room.db(), since=room.now() - 86400))
    return answer(told)


def verdicts(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Scored windows, oldest first; the same objects as `pipit-inference replay --json` prints."""
    room, limit = this_room(), query["limit"]
    found = (
        read.verdicts(
            room.db(), agent=query.get("agent"), host=query.get("host"), start=query["since"], end=query["until"],
            anomalies_only=query["anomalies"], limit=limit + 1,
        )
        if room.has_state
        else []
    )  # fmt: skip
    return answer({"verdicts": [verdict.as_json() for verdict in found[:limit]], "more": len(found) > limit})


def incidents(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Incidents, newest first, with what was said of them."""
    found, limit = _incidents(query), query["limit"]
    return answer({"incidents": [incident_values(row) for row in found[:limit]], "more": len(found) > limit})


def incidents_file(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Incidents as a file: CSV for a spreadsheet, or JSON."""
    found = _incidents(query)[: query["limit"]]
    if query["format"] == "json":
        given = answer({"incidents": [incident_values(row) for row in found], "more": False})
    else:
        given = Response(csv_text(found), content_type="text/csv; charset=utf-8")
    given.headers["Content-Disposition"] = f"attachment; filename=incidents.{query['format']}"
    return given


def _incidents(query: Mapping[str, Any]) -> list[read.IncidentRow]:
    """One more than asked for, so that the caller knows whether there are more."""
    room = this_room()
    names = ("agent", "host", "type", "severity", "state", "marked", "muted")
    given = {name: query.get(name) for name in names}
    page = {"since": query["since"], "limit": query["limit"] + 1, "offset": query["offset"], "now": room.now()}
    return read.incidents(room.db(), **page, **given) if room.has_state else []  # type: ignore[arg-type]


def incident(incident_id: int) -> ResponseReturnValue:
    """One incident with its windows, what moved, the log lines and the nearest normal window."""
    room = this_room()
    found = read.incident(room.db(), incident_id, room.now()) if room.has_state and incident_id < 2**63 else None
    if found is None:
        abort(404)
    mark = said.of_incident(room.db(), incident_id, room.now())
    told = detail_values(found, plain(mark) if mark else None)
    windows = [
        {**verdict.as_json(), "lines": [line_values(line) for line in verdict.lines]} for verdict in found.verdicts
    ]
    return answer({**told, "verdicts": windows})


def metrics() -> ResponseReturnValue:
    """The daemon's metrics (its own file, written each cycle) and this process's, as Prometheus text."""
    try:
        text = this_room().metrics_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""  # the daemon has not finished a cycle yet; its absence is what an alert rule looks for
    return Response(text + this_site().meter.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
