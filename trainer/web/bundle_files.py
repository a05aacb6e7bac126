"""A bundle's files for a Pi that fetches them itself; any token may read them, the signature is what a Pi trusts."""

from __future__ import annotations

from flask import Response, abort
from flask.typing import ResponseReturnValue

from shared import bundle, layout
from shared.errors import BundleError
from trainer.web.room import this_room

_LIMITS = {**bundle.LIMITS, bundle.MANIFEST: 64 * 1024, bundle.SIGNATURE: 16 * 1024}


def model_file(reference: str, name: str) -> ResponseReturnValue:
    """One file of a version, byte for byte as it was signed."""
    entry = this_room().model(reference)
    if entry is None or name not in _LIMITS:
        abort(404)
    try:
        with bundle.folder_of(layout.bundle_folder(this_room().models_dir, entry.agent, entry.version)) as folder:
            data = bundle.read_file(folder, name, _LIMITS[name])
    except BundleError:
        abort(404)
    answer = Response(data, mimetype="application/octet-stream")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
