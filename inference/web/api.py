"""The Pi's HTTP API: what the daemon knows, as JSON. Times are ISO 8601 in UTC; a senseless filter is a 400."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Flask, Response, abort, jsonify, request
from flask.typing import ResponseReturnValue

from inference import state_read as read
from inference.web.room import this_room
from shared import __version__
from shared.values import iso
from shared.web.app import this_site

VERDICTS_MOST = 10_000
INCIDENTS_MOST = 1_000
TIMES = frozenset(
    {"started", "peak", "ended", "updated", "last_run", "since", "received", "at", "window_start", "window_end"}
)


def add_api(app: Flask) -> None:
    """Attach the routes; all under /api/v1 but /metrics."""
    for path, name, view in (
        ("/api/v1/health", "api_health", health),
        ("/api/v1/status", "api_status", status),
        ("/api/v1/verdicts", "api_verdicts", verdicts),
        ("/api/v1/incidents", "api_incidents", incidents),
        ("/api/v1/incidents/<int:incident_id>", "api_incident", incident),
        ("/api/v1/models", "api_models", models),
        ("/metrics", "metrics", metrics),
    ):
        app.add_url_rule(path, name, view)


def health() -> ResponseReturnValue:
    """Whether this process answers, and how the daemon is. Needs no token and tells nothing of the log."""
    room = this_room()
    found = room.health(room.status())
    well = found in ("well", "no-model")
    return jsonify(status="ok" if well else "degraded", daemon=found, release=__version__, time=iso(room.now()))


def status() -> ResponseReturnValue:
    """What the daemon last said of itself, what serves, and counts of the last 24 hours."""
    room = this_room()
    found = room.status()
    told = {"health": room.health(found), **_plain(found)}
    if room.has_state:
        told["models"] = [_plain(row) for row in room.store().actives()]
        told["last_24_hours"] = asdict(read.totals(room.db(), since=room.now() - 86400))
    return jsonify(told)


def verdicts() -> ResponseReturnValue:
    """Scored windows, oldest first; the same objects as `pipit-inference replay --json` prints."""
    room = this_room()
    limit = _limit(1000, VERDICTS_MOST)
    start, end = _time("since", 0.0), _time("until", 1e18)
    only = request.args.get("anomalies", "") in ("1", "true", "yes")
    found = (
        read.verdicts(
            room.db(),
            agent=request.args.get("agent") or None,
            host=request.args.get("host") or None,
            start=start,
            end=end,
            anomalies_only=only,
            limit=limit + 1,
        )
        if room.has_state
        else []
    )
    return _json({"verdicts": [verdict.as_json() for verdict in found[:limit]], "more": len(found) > limit})


def incidents() -> ResponseReturnValue:
    """Incidents, newest first."""
    room = this_room()
    limit = _limit(100, INCIDENTS_MOST)
    given = {name: request.args.get(name) or None for name in ("agent", "host", "type", "severity", "state")}
    found = read.incidents(room.db(), since=_time("since", 0.0), limit=limit + 1, **given) if room.has_state else []  # type: ignore[arg-type]
    return _json({"incidents": [_plain(row) for row in found[:limit]], "more": len(found) > limit})


def incident(incident_id: int) -> ResponseReturnValue:
    """One incident with its windows and their log lines."""
    room = this_room()
    found = read.incident(room.db(), incident_id) if room.has_state and incident_id < 2**63 else None
    if found is None:
        abort(404)
    windows = [
        {
            **verdict.as_json(),
            "lines": [
                {"time": iso(line.time), "program": line.program, "message": line.message} for line in verdict.lines
            ],
        }
        for verdict in found.verdicts
    ]
    return _json({**_plain(found.incident), "verdicts": windows})


def models() -> ResponseReturnValue:
    """Every bundle that is known here, what serves, and wishes that are still open."""
    room = this_room()
    if not room.has_state:
        return jsonify(models=[], wishes=[])
    store = room.store()
    actives = {row.agent: row for row in store.actives()}
    told = []
    for row in store.bundles():
        active = actives.get(row.agent)
        told.append(
            {
                **_plain(row),
                "model_id": f"{row.agent}_{row.version}",
                "active": active is not None and active.version == row.version,
                "previous": active is not None and active.previous == row.version,
            }
        )
    return _json({"models": told, "wishes": [_plain(wish) for wish in store.open_wishes()]})


def metrics() -> ResponseReturnValue:
    """The daemon's metrics (its own file, written each cycle) and this process's, as Prometheus text."""
    try:
        text = this_room().metrics_file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""  # the daemon has not finished a cycle yet; its absence is what an alert rule looks for
    return Response(text + this_site().meter.text(), mimetype="text/plain; version=0.0.4; charset=utf-8")


def _plain(row: Any) -> dict[str, Any]:
    """A frozen value as JSON-able fields, times as ISO 8601."""
    return {name: iso(value) if name in TIMES and value else value for name, value in asdict(row).items()}


def _json(told: dict[str, Any]) -> Response:
    """JSON without NaN and Infinity, which no JSON reader has to accept: they become null."""
    try:
        text = json.dumps(told, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(told), allow_nan=False)
    return Response(text, mimetype="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    return [_finite(own) for own in value] if isinstance(value, Iterable) and not isinstance(value, str) else value


def _limit(usual: int, most: int) -> int:
    text = request.args.get("limit", str(usual))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= most:
        abort(400, f"limit is a number from 1 to {most:,}.")
    return int(text)


def _time(name: str, usual: float) -> float:
    """A moment given as ISO 8601 or as seconds since the epoch."""
    text = request.args.get(name, "").strip()
    if not text:
        return usual
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
        except ValueError:
            abort(400, f"{name} is a moment such as 2026-03-12T21:05:00Z, or seconds since 1970.")
        value = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if not math.isfinite(value):
        abort(400, f"{name} is a moment such as 2026-03-12T21:05:00Z, or seconds since 1970.")
    return value
