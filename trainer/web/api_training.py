"""Jobs over HTTP: start training, search or evaluation, watch, stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flask import abort, jsonify
from flask.typing import ResponseReturnValue

from shared.clean import clean
from shared.errors import ConfigError
from shared.frame import parse_time
from shared.values import iso
from trainer import exports
from trainer.jobs import QUEUED, Job
from trainer.labels import parse_labels
from trainer.model_config import for_agent, load_model_config
from trainer.tasks.orders import EvaluateOrder, TrainOrder, TuneOrder
from trainer.web.room import Room, this_room

BY = "API"
LOG_BYTES = 64_000


def train(body: dict[str, Any]) -> ResponseReturnValue:
    """Start training."""
    return _started(TrainOrder(**_checked(this_room(), body)))


def tune(body: dict[str, Any]) -> ResponseReturnValue:
    """Start a search."""
    return _started(TuneOrder(**_checked(this_room(), body), trials=body.get("trials")))


def evaluate(body: dict[str, Any]) -> ResponseReturnValue:
    """Start an evaluation."""
    room = this_room()
    entry = room.model(body["model"])
    if entry is None:
        raise ConfigError(f"model {body['model']!r}: there is none on this machine")
    one = exports.find_export(room.settings.exports_dir, body["export_file"])
    labels = tuple(body.get("labels") or ())
    parse_labels(list(labels), "labels")
    return _started(EvaluateOrder(entry.agent, entry.version, one.name, labels))


def status(reference: str) -> ResponseReturnValue:
    """One job."""
    return jsonify(told(_found(reference)))


def tasks(query: dict[str, Any]) -> ResponseReturnValue:
    """Jobs, newest first."""
    kinds = [query["kind"]] if query.get("kind") else []
    return jsonify(tasks=[told(job) for job in this_room().jobs.listed(kinds=kinds, limit=query["limit"])])


def cancel(reference: str) -> ResponseReturnValue:
    """Stop a job: one that waits at once, one that runs within seconds."""
    room, job = this_room(), _found(reference)
    stopped = room.jobs.stop(job, room.now())
    if stopped is None:
        abort(409, f"job {job.number} has ended already: {job.state}")
    room.wake()
    return jsonify(told(stopped)), 202


def log(reference: str) -> ResponseReturnValue:
    """The end of a job's log."""
    return jsonify(lines=log_lines(this_room(), _found(reference)))


def log_lines(room: Room, job: Job, limit_bytes: int = LOG_BYTES) -> list[str]:
    """The last lines of a job's log, made harmless."""
    try:
        with room.jobs.log_of(job).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit_bytes))
            lines = file.read(limit_bytes).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [clean(line, 2000) for line in (lines[1:] if size > limit_bytes else lines)]


def told(job: Job) -> dict[str, Any]:
    """A job as JSON."""
    queue = job.state == QUEUED
    return {
        "id": job.key,
        "training_id": job.key,
        "number": job.number,
        "kind": job.kind,
        "status": "initializing" if queue else job.state,
        "position": this_room().jobs.position(job) if queue else 0,
        "progress": 100 if job.state == "completed" else int(100 * job.share),
        "step": job.step or ("waits for its turn" if queue else "starting"),
        "paused": job.paused,
        "error": job.error or None,
        "code": job.code or None,
        "result": dict(job.result) or None,
        "agent": job.agent,
        "export_file": ", ".join(job.exports) or job.subject,
        "started_by": job.by,
        "attempts": job.attempts,
        "memory_bytes": job.memory_bytes,
        "created_at": iso(job.created),
        "start_time": None if job.started is None else iso(job.started),
        "updated_at": iso(job.updated),
        "end_time": None if job.ended is None else iso(job.ended),
    }


def check_settings(room: Room, agent: str, overrides: Mapping[str, Any]) -> None:
    """Are agent and settings such that a job may start?

    Raises:
        ConfigError: with every fault.
    """
    agents = room.agents()
    if agent not in agents:
        raise ConfigError(f"agent {agent!r}: there is none; there are {', '.join(sorted(agents))}")
    for_agent(load_model_config(room.settings.model_config_file, overrides), agents[agent])


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested keys as dotted ones; `evaluation.thresholds` is itself a value."""
    for name, value in values.items():
        key = f"{above}{name}"
        if isinstance(value, Mapping) and key != "evaluation.thresholds":
            yield from flat(value, f"{key}.")
        else:
            yield key, value


def moment(name: str, value: str | None) -> float | None:
    """A time that was given, in seconds since the epoch.

    Raises:
        ConfigError: it is none.
    """
    if not value:
        return None
    try:
        return parse_time(value)
    except ValueError as error:
        raise ConfigError(f"{name} {value!r} is no date; write one like 2026-03-01 or 2026-03-01T12:00:00Z") from error


def _checked(room: Room, body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a TrainOrder, looked at before anything is queued."""
    names = [*([body["export_file"]] if body.get("export_file") else []), *body.get("export_files", ())]
    if not names:
        raise ConfigError("export_file: name the export to learn from")
    found = tuple(dict.fromkeys(exports.find_export(room.settings.exports_dir, name).name for name in names))
    start, end = moment("start_date", body.get("start_date")), moment("end_date", body.get("end_date"))
    if start is not None and end is not None and start >= end:
        raise ConfigError("start_date: it is not before end_date; swap or correct them")
    overrides = dict(flat(body.get("config_overrides") or {}))
    check_settings(room, body["agent"], overrides)
    labels = tuple(body.get("labels") or ())
    parse_labels(list(labels), "labels")
    return {
        "exports": found,
        "agent": body["agent"],
        "overrides": overrides,
        "start": start,
        "end": end,
        "labels": labels,
        "marks": body["marks"],
        "note": body.get("note", ""),
    }


def _started(order: TrainOrder | EvaluateOrder) -> ResponseReturnValue:
    return jsonify(told(this_room().submit(order, BY))), 202


def _found(reference: str) -> Job:
    job = this_room().jobs.find(reference)
    if job is None:
        abort(404)
    return job
