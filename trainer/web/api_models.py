"""Models over HTTP: list, show, compare, report, bundle, clean up."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Any

from flask import Response, abort, jsonify
from flask.typing import ResponseReturnValue

from shared import bundle, layout
from shared.errors import BundleError
from shared.web.headers import REPORT_POLICY
from trainer import catalogue, registry
from trainer.registry import ModelEntry
from trainer.web.comparison import compared
from trainer.web.room import this_room


def list_all() -> ResponseReturnValue:
    """Every version on this machine, newest first, and where it runs."""
    room = this_room()
    serving, kept = room.serving(), room.kept()
    return jsonify(models=[_told(entry, serving, kept) for entry in room.models()])


def show(reference: str) -> ResponseReturnValue:
    """One version, called by its bare version where that is unique, or by `<agent>_<version>`."""
    return jsonify(_told(_found(reference), this_room().serving(), this_room().kept()))


def compare(query: dict[str, Any]) -> ResponseReturnValue:
    """Two versions, figure by figure."""
    first, second = _found(query["first"]), _found(query["second"])
    figures = [one.as_json() for one in compared(first, second)]
    return jsonify(first=first.model_id, second=second.model_id, figures=figures)


def report(reference: str) -> ResponseReturnValue:
    """The training report of a version."""
    text = this_room().report(_found(reference))
    if text is None:
        abort(404)
    return Response(text, mimetype="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def whole_bundle(reference: str) -> ResponseReturnValue:
    """A version with its manifest and signature, as one tar file."""
    entry = _found(reference)
    try:
        raw = bundle.open_bundle(layout.bundle_folder(this_room().models_dir, entry.agent, entry.version))
    except BundleError:
        abort(404)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in raw.items():
            member = tarfile.TarInfo(f"{entry.agent}/{entry.version}/{name}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    answer = Response(packed.getvalue(), mimetype="application/x-tar")
    answer.headers["Content-Disposition"] = f'attachment; filename="{entry.model_id}.tar"'
    return answer


def prune(body: dict[str, Any]) -> ResponseReturnValue:
    """Remove old versions; never one that is active here or on a Pi."""
    room, days = this_room(), body.get("older_than_days")
    before = None if days is None else room.now() - days * 86_400
    gone = registry.prune(room.models_dir, body["keep"], agent=body.get("agent"), before=before, held=room.held())
    catalogue.refresh_or_warn(room.models_dir, room.state_dir, room.now())
    return jsonify(removed=gone)


def _found(reference: str) -> ModelEntry:
    entry = this_room().model(reference)
    if entry is None:
        abort(404)
    return entry


def _told(
    entry: ModelEntry, serving: Mapping[tuple[str, str], str], kept: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """A model as JSON, with what happened to it after it was signed merged in."""
    later = kept.get(entry.model_id, {})
    on = sorted(name for (name, agent), version in serving.items() if (agent, version) == (entry.agent, entry.version))
    told = entry.as_json()
    deployed = {
        **dict(entry.metadata.get("deployment_info") or {}),
        "targets": on,
        "status": "deployed" if on else "available",
    }
    return {
        **told,
        "targets": on,
        "gate": dict(catalogue.gate_of(entry.metadata, later)),
        **{name: list(later.get(name) or ()) for name in ("notes", "evaluations", "deployments")},
        "metadata": {**told["metadata"], "deployment_info": deployed},
    }
