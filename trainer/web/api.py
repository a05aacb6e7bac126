"""The trainer's HTTP API: health, models, metrics."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from flask import Flask, Response, abort, jsonify
from flask.typing import ResponseReturnValue

from shared import __version__
from shared.values import iso
from shared.web import words
from shared.web.app import this_site
from trainer.metrics import ModelFigures, render_metrics
from trainer.registry import ModelEntry
from trainer.web.room import this_room


def add_api(app: Flask) -> None:
    """Attach the routes; all under /api/v1 but /metrics."""
    app.add_url_rule("/api/v1/health", "api_health", health)
    app.add_url_rule("/api/v1/models", "api_models", models)
    app.add_url_rule("/api/v1/models/<reference>", "api_model", model)
    app.add_url_rule("/metrics", "metrics", metrics)


def health() -> ResponseReturnValue:
    """Whether this service answers. Needs no token."""
    return jsonify(status="ok", service="pipit-trainer", release=__version__, time=iso(this_room().now()))


def models() -> ResponseReturnValue:
    """Every version on this machine, newest first, and where it runs."""
    room = this_room()
    serving = room.serving()
    return jsonify(models=[_told(entry, serving) for entry in room.models()])


def model(reference: str) -> ResponseReturnValue:
    """One version, called by its bare version where that is unique, or by `<agent>_<version>`."""
    room = this_room()
    entry = room.model(reference)
    if entry is None:
        abort(404)
    return jsonify(_told(entry, room.serving()))


def metrics() -> ResponseReturnValue:
    """What was made and shipped, and this process's own figures, as Prometheus text."""
    room = this_room()
    shipments = Counter((transfer.target, transfer.state) for transfer in room.transfers(limit=100_000))
    text = render_metrics([_figures(entry) for entry in room.models() if not entry.fault], shipments).decode()
    return Response(text + this_site().meter.text(), mimetype="text/plain; version=0.0.4; charset=utf-8")


def _told(entry: ModelEntry, serving: dict[tuple[str, str], str]) -> dict[str, Any]:
    """A model as JSON, with what happened to it after it was signed merged in."""
    on = sorted(name for (name, agent), version in serving.items() if (agent, version) == (entry.agent, entry.version))
    told = entry.as_json()
    deployed = {
        **dict(entry.metadata.get("deployment_info") or {}),
        "targets": on,
        "status": "deployed" if on else "available",
    }
    return {**told, "targets": on, "metadata": {**told["metadata"], "deployment_info": deployed}}


def _figures(entry: ModelEntry) -> ModelFigures:
    meta = entry.metadata
    windows = meta.get("windows")
    return ModelFigures(
        agent=entry.agent, version=entry.version, trained_at=_trained_at(entry),
        duration_s=_number(meta.get("training_duration")), rows=int(_number(meta.get("training_log_count"))),
        windows=int(_number(windows.get("total") if isinstance(windows, dict) else windows)),
        peak_memory_bytes=int(_number(meta.get("training_memory_usage"))), size_bytes=entry.size_bytes,
    )  # fmt: skip


def _trained_at(entry: ModelEntry) -> float:
    try:
        return datetime.fromisoformat(str(entry.metadata.get("training_date")).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return words.version_time(entry.version) or 0.0


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
