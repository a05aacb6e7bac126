"""Answers of the API about the daemon, what it found, and what people said of it."""

from __future__ import annotations

from marshmallow import fields

from inference.web.schemas.parts import Answer, flag, number, text, when, whole


class Health(Answer):
    """Whether this process answers, and how the daemon is."""

    status = text("ok or degraded", required=True)
    daemon = text("well, failing, no-model, no-database, stopped, dead or never", required=True)
    release = text("Pipit's release", required=True)
    time = when("now", required=True)


class Status(Answer):
    """What the daemon last said of itself."""

    health = text("as in health", required=True)
    state = text("what it is doing", required=True)
    last_run = when("last cycle", allow_none=True)
    rows = whole("rows read since it started")
    models = fields.List(fields.Dict(), metadata={"description": "what serves"})
    last_24_hours = fields.Dict(metadata={"description": "windows, anomalies, hosts, rows"})


class Verdict(Answer):
    """A scored window of one host; higher scores are stranger, `rarity` is N of "1 in N"."""

    agent = text("agent", required=True)
    host = text("host", required=True)
    window_start = when("begin", required=True)
    window_end = when("end", required=True)
    score = number("0 to 1", required=True, allow_none=True)
    rarity = number("N of 1 in N normal windows", required=True, allow_none=True)
    is_anomaly = flag("over the alert line, or caught by a rule", required=True)
    type = text("kind", required=True, allow_none=True)
    severity = text("info, warning, critical", required=True, allow_none=True)
    confidence = number("0 to 1", required=True, allow_none=True)
    description = text("in words", required=True)
    features = fields.Dict(required=True, metadata={"description": "values by name"})
    explanation = fields.List(fields.Dict(), required=True, metadata={"description": "what moved, most first"})
    incident = text("key of its incident", required=True, allow_none=True)


class Verdicts(Answer):
    """Windows, oldest first."""

    verdicts = fields.List(fields.Nested(Verdict), required=True)
    more = flag("there are more", required=True)


class Incident(Answer):
    """Anomalies of one host that belong together."""

    id = whole("number", required=True)
    key = text("never changes", required=True)
    agent = text("agent", required=True)
    host = text("host", required=True)
    type = text("kind", required=True)
    severity = text("info, warning, critical", required=True)
    started = when("begin of the first window", required=True)
    peak = when("begin of the strangest window", required=True)
    ended = when("end of the last window so far", required=True)
    windows = whole("anomalous windows", required=True)
    description = text("in words", required=True)
    state = text("open or ended", required=True)
    mark = text("false or confirmed, while the mark counts", required=True, allow_none=True)
    muted = flag("nobody wants to hear of it", required=True)


class Incidents(Answer):
    """Incidents, newest first."""

    incidents = fields.List(fields.Nested(Incident), required=True)
    more = flag("there are more", required=True)


class Mark(Answer):
    """What somebody said of an incident."""

    incident_id = whole("incident", required=True)
    mark = text("false or confirmed", required=True)
    by = text("who", required=True)
    at = when("when", required=True)
    expires = when("counts until", required=True)
    note = text("why", required=True)


class Marks(Answer):
    """Marks, newest first."""

    marks = fields.List(fields.Nested(Mark), required=True)


class Labels(Answer):
    """The marks as `pipit-trainer train --labels` reads them."""

    labels = fields.List(fields.Dict(), required=True)


class Mute(Answer):
    """A kind that nobody wants to hear of for a time."""

    id = whole("number", required=True)
    agent = text("agent", required=True)
    type = text("kind", required=True)
    host = text("host; null: everywhere", required=True, allow_none=True)
    until = when("ends", required=True)
    note = text("why", required=True)


class Mutes(Answer):
    """Mutes, the one that ends first at the top."""

    mutes = fields.List(fields.Nested(Mute), required=True)


class Budget(Answer):
    """An agent's alert budget; `per_week` null: the model's own."""

    agent = text("agent", required=True)
    per_week = number("incidents a week and host", required=True, allow_none=True)
    model_per_week = number("what the model was trained for", required=True, allow_none=True)


class Budgets(Answer):
    """All budgets."""

    budgets = fields.List(fields.Nested(Budget), required=True)


class Done(Answer):
    """It was done."""

    done = flag("true", required=True)
