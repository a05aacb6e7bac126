"""How values become JSON: times as ISO 8601, numbers without NaN and Infinity, and what queries mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flask import Response, abort
from marshmallow import ValidationError, fields

from shared.values import iso

TIMES = frozenset(
    {
        "started",
        "peak",
        "ended",
        "updated",
        "last_run",
        "since",
        "received",
        "at",
        "window_start",
        "window_end",
        "expires",
    }
    | {"until", "created", "due", "sent", "paused_at", "slot", "day", "drift_at", "scored_at", "taken"}
)


class Moment(fields.Field[float]):
    """A moment given as ISO 8601 (UTC where no zone is said) or as seconds since the epoch."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        text = str(value).strip()
        try:
            found = float(text)
        except ValueError:
            try:
                moment = datetime.fromisoformat(text.replace("Z", "+00:00").replace(" ", "+"))
                found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
            except (ValueError, OverflowError) as error:
                raise ValidationError("is a moment such as 2026-03-12T21:05:00Z, or seconds since 1970.") from error
        if not math.isfinite(found):
            raise ValidationError("is a moment such as 2026-03-12T21:05:00Z, or seconds since 1970.")
        return found


def plain(row: Any) -> dict[str, Any]:
    """A frozen value as JSON-able fields, times as ISO 8601."""
    return timed(asdict(row))


def timed(told: dict[str, Any]) -> dict[str, Any]:
    """The same fields with those that are times as ISO 8601, at any depth."""
    return {name: _timed(name, value) for name, value in told.items()}


def _timed(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return timed(value)
    if isinstance(value, list | tuple):
        return [timed(own) if isinstance(own, dict) else own for own in value]
    if name in TIMES and isinstance(value, int | float) and not isinstance(value, bool):
        return moment(value)
    return value


def moment(time_s: float) -> str | None:
    """A time as ISO 8601; what is no time at all is none."""
    try:
        return iso(time_s)
    except (ValueError, OverflowError, OSError):
        return None


def answer(told: Any, status: int = 200) -> Response:
    """JSON without NaN and Infinity, which no JSON reader has to accept: they become null."""
    try:
        text = json.dumps(told, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(told), allow_nan=False)
    return Response(text, status, mimetype="application/json")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(own) for key, own in value.items()}
    return [_finite(own) for own in value] if isinstance(value, Iterable) and not isinstance(value, str) else value


def need(found: Any) -> Any:
    """What was found, or a 404."""
    if found is None:
        abort(404)
    return found
