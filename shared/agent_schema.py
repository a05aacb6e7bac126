"""The schema of an agent file: its form, checked by marshmallow. What marshmallow cannot see is in `agent_build`."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from marshmallow import RAISE, Schema, ValidationError, fields, validate

NAMED, NOT_NAMED = r"^[a-z][a-z0-9_]{0,40}$", "must be lower case letters, digits and _, starting with a letter"
NAME = validate.Regexp(NAMED, error=NOT_NAMED)
NAME_OR_NONE = validate.Regexp(f"^$|{NAMED}", error=NOT_NAMED)
LINE = validate.Length(min=1, max=2000)
SEVERITY = validate.OneOf(("info", "warning", "critical"))
SHARE = validate.Range(0, 1)
POSITIVE = validate.Range(min=0, min_inclusive=False)
RESERVED = {"unknown", "repeat"}  # classes that every agent has
TAKEN = {"host", "minutes", "role", "window_start", "silence_s"}  # stand beside the features in texts and tables


class _Strict(Schema):
    """A form that knows all its keys, and names them where somebody writes another."""

    class Meta:
        unknown = RAISE

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        keys = [entry.data_key or name for name, entry in self.fields.items()]
        self.error_messages["unknown"] = f"is no key here; there are {', '.join(keys)}"


class _PatternField(fields.Field[dict[str, Any]]):
    """A pattern: a plain string, or {pattern: ..., set: {field: value}}."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if isinstance(value, str):
            return {"pattern": value, "set": {}}
        loaded: dict[str, Any] = _Pattern().load(value)
        return loaded


class _Pattern(_Strict):
    pattern = fields.String(required=True, validate=LINE)
    set = fields.Dict(keys=fields.String(validate=NAME), values=fields.String(validate=LINE), load_default=dict)


class _Role(_Strict):
    name = fields.String(required=True, validate=NAME)
    title = fields.String(required=True, validate=LINE)
    programs = fields.List(fields.String(validate=LINE), required=True, validate=validate.Length(min=1))


class _Event(_Strict):
    name = fields.String(
        required=True, validate=[NAME, validate.NoneOf(RESERVED, error="is a class that every agent has")]
    )
    description = fields.String(required=True, validate=LINE)
    patterns = fields.List(_PatternField(), required=True, validate=validate.Length(min=1))


class _Scored(_Strict):
    prior = fields.Float(load_default=0.0, validate=validate.Range(min=0))
    guard = fields.Float(load_default=None, allow_none=True, validate=POSITIVE)
    hint = fields.String(load_default=None, allow_none=True, validate=NAME)


class _Feature(_Strict):
    name = fields.String(
        required=True,
        validate=[NAME, validate.NoneOf(TAKEN, error="means something else beside features; choose another")],
    )
    title = fields.String(required=True, validate=LINE)
    description = fields.String(required=True, validate=LINE)
    role = fields.String(load_default="any")
    unit = fields.String(load_default="")
    formula = fields.String(required=True, validate=LINE)
    scored = fields.Nested(_Scored, load_default=None, allow_none=True)


class _Rule(_Strict):
    id = fields.String(required=True, validate=NAME)
    type = fields.String(load_default="", validate=NAME_OR_NONE)
    title = fields.String(required=True, validate=LINE)
    role = fields.String(load_default="any")
    level = fields.String(required=True, validate=LINE)
    when = fields.String(load_default="")
    alone = fields.Float(load_default=None, allow_none=True)
    severity = fields.String(required=True, validate=SEVERITY)
    confidence = fields.Float(required=True, validate=SHARE)
    description = fields.String(required=True, validate=LINE)
    helps = fields.List(fields.String(validate=LINE), load_default=list)


class _Silence(_Strict):
    title = fields.String(load_default="", validate=validate.Length(max=200))
    role = fields.String(required=True)
    type = fields.String(required=True, validate=NAME)
    severity = fields.String(required=True, validate=SEVERITY)
    confidence = fields.Float(required=True, validate=SHARE)
    description = fields.String(required=True, validate=LINE)
    helps = fields.List(fields.String(validate=LINE), load_default=list)
    key = fields.String(required=True)
    joined = fields.List(fields.String(), required=True)
    left = fields.List(fields.String(), required=True)
    expire_s = fields.Float(required=True, validate=POSITIVE)
    min_s = fields.Float(required=True, validate=POSITIVE)
    factor = fields.Float(required=True, validate=POSITIVE)
    slack_s = fields.Float(required=True, validate=validate.Range(min=0))
    empty_factor = fields.Float(required=True, validate=validate.Range(min=0))


class _Heartbeat(_Strict):
    role = fields.String(required=True)
    title = fields.String(required=True, validate=LINE)
    type = fields.String(required=True, validate=NAME)
    severity = fields.String(required=True, validate=SEVERITY)
    confidence = fields.Float(required=True, validate=SHARE)
    description = fields.String(required=True, validate=LINE)
    helps = fields.List(fields.String(validate=LINE), load_default=list)
    steady_s = fields.Float(required=True, validate=POSITIVE)
    min_s = fields.Float(required=True, validate=POSITIVE)
    factor = fields.Float(required=True, validate=validate.Range(min=1))


def _known_timezone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError) as error:  # KeyError: no such zone
        raise ValidationError("is no time zone (use a name like Europe/Berlin)") from error


class AgentSchema(_Strict):
    name = fields.String(required=True, validate=NAME)
    version = fields.Integer(required=True, strict=True, validate=validate.Range(min=1))
    title = fields.String(required=True, validate=LINE)
    description = fields.String(required=True, validate=LINE)
    programs = fields.List(fields.String(validate=LINE), required=True, validate=validate.Length(min=1))
    roles = fields.List(fields.Nested(_Role), load_default=list)
    window_s = fields.Float(load_default=300.0, validate=validate.Range(10, 86_400))
    long_windows = fields.Integer(load_default=6, strict=True, validate=validate.Range(1, 288))
    grace_s = fields.Float(load_default=30.0, validate=validate.Range(0, 3600))
    timezone = fields.String(load_default="UTC", validate=_known_timezone)
    macros = fields.Dict(
        keys=fields.String(validate=validate.Regexp(r"^[A-Z][A-Z0-9_]*$")), values=fields.String(), load_default=dict
    )
    fields_ = fields.Dict(
        keys=fields.String(validate=NAME), values=fields.String(), load_default=dict, data_key="fields"
    )
    leaders = fields.List(fields.String(validate=LINE), load_default=list)
    events = fields.List(fields.Nested(_Event), required=True, validate=validate.Length(min=1))
    features = fields.List(fields.Nested(_Feature), load_default=list, allow_none=True)
    rules = fields.List(fields.Nested(_Rule), load_default=list, allow_none=True)
    silence = fields.Nested(_Silence, load_default=None, allow_none=True)
    heartbeats = fields.List(fields.Nested(_Heartbeat), load_default=list, allow_none=True)
    explains = fields.Dict(
        keys=fields.String(validate=NAME), values=fields.List(fields.String(validate=NAME)), load_default=dict
    )
