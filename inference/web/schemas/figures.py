"""Answers of the API about performance and drift."""

from __future__ import annotations

from marshmallow import fields

from inference.web.schemas.parts import Answer, flag, number, text, whole


class Performance(Answer):
    """Figures of a version over the last days; null where there is nothing to tell."""

    model_id = text("`<agent>_<version>`", required=True)
    version = text("version", required=True)
    windows = whole("windows judged", required=True)
    anomalies = whole("anomalous ones", required=True)
    anomaly_rate = number("share", required=True, allow_none=True)
    inference_ms = number("CPU time of a window", required=True, allow_none=True)
    score_quantiles = fields.Dict(required=True, allow_none=True)
    false_rate = number("false of all marked incidents", required=True, allow_none=True)
    memory_mb = number("most that was resident", required=True, allow_none=True)
    cpu_share = number("of one core", required=True, allow_none=True)
    drift = text("steady, watch, drifted, unknown", required=True)
    warnings = fields.List(fields.String(), required=True)


class Performances(Answer):
    """All versions that judged."""

    performance = fields.List(fields.Nested(Performance), required=True)


class PerformanceReport(Answer):
    """A summary with its days, drift and advice."""

    model_id = text("`<agent>_<version>`", required=True)
    summary = fields.Dict(required=True)
    days = fields.List(fields.Dict(), required=True)
    drift = fields.Dict(required=True, allow_none=True)
    recommendations = fields.List(fields.String(), required=True)


class Drift(Answer):
    """One measurement of drift."""

    model_id = text("`<agent>_<version>`", required=True)
    drift_detected = flag("something has drifted", required=True)
    word = text("steady, watch, drifted, unknown", required=True)
    windows = whole("windows compared", required=True)
    worst_psi = number("of a feature", required=True, allow_none=True)
    score_psi = number("of the scores", required=True, allow_none=True)
    known = number("share of lines that a pattern knows", required=True, allow_none=True)
    features = fields.List(fields.Dict(), required=True)
    scores = fields.List(fields.Dict(), required=True)


class Removed(Answer):
    """How many were removed."""

    removed = whole("rows", required=True)
