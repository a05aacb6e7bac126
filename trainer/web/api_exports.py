"""Exports over HTTP: take in, list, look into, take away."""

from __future__ import annotations

from typing import Any

from flask import abort, jsonify, request
from flask.typing import ResponseReturnValue

from shared.errors import ConfigError, ExportError
from shared.values import iso
from trainer import exports
from trainer.exports import ExportFile
from trainer.jobs import OPEN
from trainer.tasks.orders import CheckOrder
from trainer.web.api_training import moment, told
from trainer.web.fetching import fetch_order
from trainer.web.room import this_room

BY = "API"


def list_all() -> ResponseReturnValue:
    """Every export on this machine, newest first."""
    return jsonify(exports=[_told(one) for one in this_room().exports()])


def fetch(body: dict[str, Any]) -> ResponseReturnValue:
    """Fetch rows of the configured database into a new export."""
    start, end = moment("start_date", body.get("start_date")), moment("end_date", body.get("end_date"))
    order = fetch_order(
        this_room(), agent=body["agent"], name=body.get("name", ""), start=start, end=end,
        programs=body.get("programs", ()), table=body["table"],
    )  # fmt: skip
    return jsonify(told(this_room().submit(order, BY))), 202


def show(name: str) -> ResponseReturnValue:
    """One export, and what was found in it."""
    return jsonify(_told(_found(name)))


def put(name: str) -> ResponseReturnValue:
    """Take in an export: the body is the file."""
    room = this_room()
    if not exports.is_export_name(name):
        abort(
            400,
            f"export: a name has letters, digits, dots, dashes and ends in {', '.join(exports.ENDINGS)}, perhaps with .gz",
        )
    if any(one.name == name for one in room.exports()):
        abort(409, f"export {name}: there is one of this name already; delete it first, or choose another")
    taken = exports.take_in(room.settings.exports_dir, name, request.stream.read, room.settings.max_upload * 1_000_000)
    return jsonify(_told(taken)), 201


def validate(name: str, query: dict[str, Any]) -> ResponseReturnValue:
    """What is in an export: at once where that is known, else the job that looks."""
    room, one = this_room(), _found(name)
    agent = query["agent"]
    if agent not in room.agents():
        raise ConfigError(f"agent {agent!r}: there is none; there are {', '.join(sorted(room.agents()))}")
    known = exports.read_check(room.state_dir, one, agent)
    if known is not None:
        return jsonify(status="completed", validation=known, training_id=None)
    job = room.submit(CheckOrder(one.name, agent), BY)
    return jsonify(status="initializing", validation=None, training_id=job.key)


def delete(name: str) -> ResponseReturnValue:
    """Take an export away; not while a job needs it."""
    one = _found(name)
    needed = user_of(one.name)
    if needed is not None:
        abort(409, f"export {one.name}: job {needed} needs it; stop that job first, or wait for its end")
    exports.delete(this_room().settings.exports_dir, one.name, this_room().state_dir)
    return jsonify(removed=[one.name])


def user_of(name: str) -> int | None:
    """The number of a job that waits or runs and reads this export."""
    for job in this_room().jobs.listed(states=OPEN, limit=200):
        if name in job.exports:
            return job.number
    return None


def _found(name: str) -> ExportFile:
    try:
        return exports.find_export(this_room().settings.exports_dir, name)
    except ExportError:
        abort(404)


def _told(one: ExportFile) -> dict[str, Any]:
    room = this_room()
    checks = (exports.read_check(room.state_dir, one, agent) for agent in ("wifi", *sorted(room.agents())))
    return {
        "name": one.name,
        "size_bytes": one.size_bytes,
        "changed": iso(int(one.changed)),
        "validation": next((found for found in checks if found is not None), None),
    }
