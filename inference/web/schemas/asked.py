"""What queries and bodies of the API may hold."""

from __future__ import annotations

from marshmallow import EXCLUDE, INCLUDE, Schema, fields, validate

from inference.web.schemas.parts import NAME, Body, limit, moment, number, text, whole
from shared.web.openapi import Lenient


class VerdictQuery(Lenient):
    """Which windows."""

    agent = text("only this agent")
    host = text("only this host")
    since = moment("windows that begin at or after", 0.0)
    until = moment("windows that begin before", 1e18)
    anomalies = fields.Boolean(load_default=False, metadata={"description": "only anomalous ones"})
    limit = limit(1000, 10_000)


class IncidentQuery(Lenient):
    """Which incidents."""

    agent = text("only this agent")
    host = text("only this host")
    type = text("only this kind")
    severity = text("info, warning or critical", validate=validate.OneOf(("info", "warning", "critical")))
    state = text("open or ended", validate=validate.OneOf(("open", "ended")))
    marked = text("false, confirmed or none", validate=validate.OneOf(("false", "confirmed", "none")))
    muted = fields.Boolean(metadata={"description": "only the muted ones, or only the others"})
    since = moment("those that ended at or after", 0.0)
    limit = limit(100, 1000)
    offset = whole("leave out so many of the newest", load_default=0, validate=validate.Range(0, 10**9))


class ExportQuery(IncidentQuery):
    """The same, as a file."""

    format = text("csv or json", load_default="csv", validate=validate.OneOf(("csv", "json")))
    limit = limit(10_000, 100_000)


class AgentQuery(Lenient):
    """Which agent."""

    agent = text("the agent, where there are several")


class WaitQuery(AgentQuery):
    """How long to wait for the daemon."""

    wait_s = number(
        "wait so long for the daemon's answer; 0 answers 202 at once", load_default=10.0, validate=validate.Range(0, 30)
    )


class DaysQuery(Lenient):
    """How old something must be to be removed."""

    days_to_keep = number("keep what is younger", load_default=30.0, validate=validate.Range(0, 36_500))


class ReportQuery(AgentQuery):
    """How many days a report covers."""

    days = whole("days", load_default=14, validate=validate.Range(1, 365))


class TransferQuery(AgentQuery):
    """Which transfers."""

    limit = limit(100, 1000)


class MarkQuery(Lenient):
    """Which marks."""

    agent = text("only this agent")
    mark = text("false or confirmed", validate=validate.OneOf(("false", "confirmed")))
    since = moment("those made at or after", 0.0)
    expired = fields.Boolean(load_default=False, metadata={"description": "also those that count no more"})
    limit = limit(1000, 10_000)


class MuteQuery(Lenient):
    """Which mutes."""

    expired = fields.Boolean(load_default=False, metadata={"description": "also those that are over"})


class AnalyzeQuery(AgentQuery):
    """With which model."""

    version = text("a version that is here; the active one by default")
    budget = number(
        "alert budget, incidents a week and host; the model's own by default", validate=validate.Range(0.001, 1000)
    )


class LogLine(Schema):
    """One log row; the names of exports and their aliases are understood (hostname, process_name, level, ...)."""

    class Meta:
        unknown = INCLUDE

    timestamp = fields.Raw(metadata={"description": "ISO 8601, or seconds since 1970", "type": "string"})
    message = fields.Raw(metadata={"description": "the line", "type": "string"})
    program = fields.Raw(
        metadata={"description": "hostapd and the like; the agent's first by default", "type": "string"}
    )
    host = fields.Raw(metadata={"description": "who wrote it", "type": "string"})
    severity = fields.Raw(metadata={"description": "0 to 7, or its name", "type": "string"})


class MarkBody(Body):
    """What you say of an incident."""

    mark = text("false or confirmed", required=True, validate=validate.OneOf(("false", "confirmed")))
    note = text("why", load_default="", validate=validate.Length(max=1000))
    days = number("counts so long", load_default=180.0, validate=validate.Range(0.01, 3650))


class MuteBody(Body):
    """What you do not want to hear of, and how long."""

    agent = text("the agent", required=True, validate=NAME)
    type = text("the kind", required=True, validate=NAME)
    host = text("at this host only", load_default=None, allow_none=True, validate=NAME)
    days = number("for so many days", load_default=7.0, validate=validate.Range(0.001, 365))
    note = text("why", load_default="", validate=validate.Length(max=1000))


class BudgetBody(Body):
    """The alert budget."""

    per_week = number(
        "incidents a week and host that the model may raise", required=True, validate=validate.Range(0.001, 1000)
    )


class SetModelBody(Body):
    """Which model the agent runs from now on."""

    model_id = text("`<agent>_<version>`", validate=NAME)
    version = text("the version", validate=NAME)


class ChallengerBody(Body):
    """Which version is judged beside the active one."""

    version = text("the version or model id", required=True, validate=NAME)


class CompatibilityBody(Body):
    """Features that the model must have."""

    target_features = fields.List(
        fields.String(validate=NAME), load_default=list, validate=validate.Length(max=1000),
        metadata={"description": "names of features that it must have, besides those of its agent"},
    )  # fmt: skip


class WhyBody(Schema):
    """Why something is changed; kept in the history."""

    class Meta:
        unknown = EXCLUDE

    why = text("kept in the history", load_default="", validate=validate.Length(max=200))
