"""The trainer's HTTP API as one table; its routes, checks and documentation come from here."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue

from shared import __version__
from shared.values import iso
from shared.web import words
from shared.web.app import this_site
from shared.web.openapi import Operation, add_operations
from trainer.metrics import JobFigures, ModelFigures, render_metrics
from trainer.registry import ModelEntry
from trainer.web import api_exports, api_fleet, api_models, api_training, bundle_files
from trainer.web.answering import answering
from trainer.web.room import this_room
from trainer.web.schemas import exports, fleet, models, training
from trainer.web.schemas.parts import Removed

TITLE = "Pipit trainer"
V1 = "/api/v1"
MODEL, EXPORT, JOB = f"{V1}/models/<reference>", f"{V1}/exports/<name>", "<reference>"
OCTETS, HTML, TAR = "application/octet-stream", "text/html", "application/x-tar"
LABELS_BYTES = 2_000_000  # a body with many known episodes


def operations(max_upload_bytes: int) -> list[Operation]:
    """Every call of the API."""
    return [
        replace(each, view=answering(each.view))
        for each in (*_models(), *_exports(max_upload_bytes), *_training(), *_fleet())
    ]


def _models() -> list[Operation]:
    m, s = api_models, models
    return [
        Operation("GET", f"{V1}/health", "api_health", health, "Whether the service answers", "Service", s.Health(),
                  is_public=True),
        Operation("GET", f"{V1}/models", "api_models", m.list_all, "All versions on this machine", "Models", s.Models()),
        Operation("GET", f"{V1}/models/compare", "api_compare", m.compare, "Two versions side by side", "Models",
                  s.Compared(), query=s.CompareQuery(), also=(404,)),
        Operation("POST", f"{V1}/models/prune", "api_prune", m.prune, "Remove old versions that run nowhere", "Models",
                  Removed(), body=s.PruneBody()),
        Operation("GET", MODEL, "api_model", m.show, "One version", "Models", s.Model(), also=(404,)),
        Operation("GET", f"{MODEL}/report", "api_report", m.report, "Its training report", "Models", answers_as=HTML, also=(404,)),
        Operation("GET", f"{MODEL}/bundle", "api_bundle", m.whole_bundle, "The whole signed bundle", "Models", answers_as=TAR,
                  also=(404,)),
        Operation("GET", f"{MODEL}/files/<name>", "api_model_file", bundle_files.model_file, "One file of the bundle", "Models",
                  answers_as=OCTETS, also=(404,)),
    ]  # fmt: skip


def _exports(max_upload_bytes: int) -> list[Operation]:
    e, s = api_exports, exports
    return [
        Operation("GET", f"{V1}/exports", "api_exports", e.list_all, "All exports on this machine", "Exports", s.Exports()),
        Operation("POST", f"{V1}/exports", "api_export_fetch", e.fetch, "Fetch an export from the configured database", "Exports",
                  training.Task(), body=s.FetchBody(), status=202),
        Operation("GET", EXPORT, "api_export", e.show, "One export", "Exports", s.Export(), also=(404,)),
        Operation("PUT", EXPORT, "api_export_put", e.put, "Upload an export: the body is the file", "Exports", s.Export(),
                  status=201, also=(409,), takes_as=OCTETS, max_bytes=max_upload_bytes),
        Operation("POST", f"{EXPORT}/validate", "api_export_validate", e.validate, "What is in it", "Exports", s.Validated(),
                  query=s.AgentQuery(), also=(404,)),
        Operation("DELETE", EXPORT, "api_export_delete", e.delete, "Delete it", "Exports", Removed(), also=(404, 409)),
    ]  # fmt: skip


def _training() -> list[Operation]:
    t, s = api_training, training
    base = f"{V1}/training"
    return [
        Operation("POST", f"{base}/train", "api_train", t.train, "Start training", "Training", s.Task(), body=s.TrainBody(),
                  status=202, max_bytes=LABELS_BYTES),
        Operation("POST", f"{base}/tune", "api_tune", t.tune, "Start a search for settings, then train", "Training", s.Task(),
                  body=s.TuneBody(), status=202, max_bytes=LABELS_BYTES),
        Operation("POST", f"{base}/evaluate", "api_evaluate", t.evaluate, "Score a version against an export", "Training",
                  s.Task(), body=s.EvaluateBody(), status=202, max_bytes=LABELS_BYTES),
        Operation("GET", f"{base}/status/{JOB}", "api_status", t.status, "One job", "Training", s.Task(), also=(404,)),
        Operation("GET", f"{base}/log/{JOB}", "api_log", t.log, "The end of a job's log", "Training", s.Log(), also=(404,)),
        Operation("GET", f"{base}/tasks", "api_tasks", t.tasks, "Jobs, newest first", "Training", s.Tasks(), query=s.TasksQuery()),
        Operation("POST", f"{base}/cancel/{JOB}", "api_cancel", t.cancel, "Stop a job", "Training", s.Task(), status=202,
                  also=(404, 409)),
    ]  # fmt: skip


def _fleet() -> list[Operation]:
    f, s, task = api_fleet, fleet, training.Task()
    return [
        Operation("GET", f"{V1}/targets", "api_targets", f.list_targets, "All known Pis", "Fleet", s.Targets()),
        Operation("POST", f"{V1}/targets", "api_target_add", f.add_target, "Add a Pi, or change one", "Fleet", s.TargetOut(),
                  body=s.TargetBody(), status=201),
        Operation("DELETE", f"{V1}/targets/<name>", "api_target_remove", f.remove_target, "Forget a Pi", "Fleet", Removed(),
                  also=(404,)),
        Operation("POST", f"{V1}/ship", "api_ship", f.ship, "Ship a version to a Pi or a fleet", "Fleet", task,
                  body=s.ShipBody(), status=202),
        Operation("POST", f"{V1}/catch-up", "api_catch_up", f.catch_up, "Ship again to Pis that could not be reached", "Fleet",
                  task, body=s.CatchUpBody(), status=202),
        Operation("POST", f"{V1}/ship/{JOB}/pause", "api_ship_pause", f.pause, "Let a roll-out begin no further wave", "Fleet",
                  task, status=202, also=(404, 409)),
        Operation("POST", f"{V1}/ship/{JOB}/continue", "api_ship_continue", f.go_on, "Let a paused roll-out go on", "Fleet",
                  task, status=202, also=(404, 409)),
        Operation("POST", f"{V1}/rollback", "api_rollback", f.rollback, "Bring a former version back to a Pi", "Fleet", task,
                  body=s.RollbackBody(), status=202),
        Operation("GET", f"{V1}/transfers", "api_transfers", f.list_transfers, "What was sent, newest first", "Fleet",
                  s.Transfers(), query=s.TransfersQuery()),
    ]  # fmt: skip


def add_api(app: Flask, max_upload_bytes: int) -> None:
    """Attach the table, and the metrics."""
    add_operations(app, operations(max_upload_bytes), TITLE)
    app.add_url_rule("/metrics", "metrics", metrics)


def health() -> ResponseReturnValue:
    """Whether this service answers. Needs no token."""
    return jsonify(status="ok", service="pipit-trainer", release=__version__, time=iso(this_room().now()))


def metrics() -> ResponseReturnValue:
    """What was made, shipped and worked on, and this process's own figures, as Prometheus text."""
    room = this_room()
    shipments = Counter((transfer.target, transfer.state) for transfer in room.transfers(limit=100_000))
    jobs = [JobFigures(kind, state, *figures) for (kind, state), figures in room.jobs.counts().items()]
    text = render_metrics([_figures(entry) for entry in room.models() if not entry.fault], shipments, jobs).decode()
    return Response(text + this_site().meter.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


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
