"""The schemas of the API: what queries and bodies may hold, and what answers look like."""

from __future__ import annotations

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, fields, validate

from inference.web.answers import Moment
from shared.web.openapi import Lenient

BIGGEST_ID = 2**63 - 1
NAME = validate.Length(min=1, max=200)


class Count(fields.Integer):
    """A whole number in ASCII digits; Python would take those of any script."""

    def _deserialize(self, value: object, attr: str | None, data: object, **kwargs: object) -> int:
        if isinstance(value, str) and not (value.isascii() and value.isdigit()):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)  # type: ignore[arg-type, no-any-return]


def text(about: str, **more: object) -> fields.String:
    """A text field with its description."""
    return fields.String(metadata={"description": about}, **more)  # type: ignore[arg-type]


def number(about: str, **more: object) -> fields.Float:
    """A number with its description."""
    return fields.Float(metadata={"description": about}, allow_nan=False, **more)  # type: ignore[arg-type]


def whole(about: str, **more: object) -> fields.Integer:
    """A whole number with its description."""
    return Count(metadata={"description": about}, **more)  # type: ignore[arg-type]


def flag(about: str, **more: object) -> fields.Boolean:
    """True or false with its description."""
    return fields.Boolean(metadata={"description": about}, **more)  # type: ignore[arg-type]


def when(about: str, **more: object) -> fields.String:
    """A moment in an answer."""
    return text(f"{about} (ISO 8601, UTC)", **more)


def limit(usual: int, most: int) -> fields.Integer:
    """How many entries at most."""
    say = f"is a number from 1 to {most:,}."
    return Count(
        load_default=usual,
        validate=validate.Range(1, most, error=say),
        error_messages={"invalid": say},
        metadata={"description": f"at most so many, 1 to {most:,}"},
    )


class _Answer(Schema):
    class Meta:
        unknown = INCLUDE


class _Body(Schema):
    class Meta:
        unknown = RAISE


def moment(about: str, usual: float) -> Moment:
    """A moment in a query."""
    return Moment(load_default=usual, metadata={"description": about, "type": "string"})


# --- what is asked ---------------------------------------------------------------------------------------------------


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


class MarkBody(_Body):
    """What you say of an incident."""

    mark = text("false or confirmed", required=True, validate=validate.OneOf(("false", "confirmed")))
    note = text("why", load_default="", validate=validate.Length(max=1000))
    days = number("counts so long", load_default=180.0, validate=validate.Range(0.01, 3650))


class MuteBody(_Body):
    """What you do not want to hear of, and how long."""

    agent = text("the agent", required=True, validate=NAME)
    type = text("the kind", required=True, validate=NAME)
    host = text("at this host only", load_default=None, allow_none=True, validate=NAME)
    days = number("for so many days", load_default=7.0, validate=validate.Range(0.001, 365))
    note = text("why", load_default="", validate=validate.Length(max=1000))


class BudgetBody(_Body):
    """The alert budget."""

    per_week = number(
        "incidents a week and host that the model may raise", required=True, validate=validate.Range(0.001, 1000)
    )


class SetModelBody(_Body):
    """Which model the agent runs from now on."""

    model_id = text("`<agent>_<version>`", validate=NAME)
    version = text("the version", validate=NAME)


class ChallengerBody(_Body):
    """Which version is judged beside the active one."""

    version = text("the version or model id", required=True, validate=NAME)


class CompatibilityBody(_Body):
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


# --- what is answered ------------------------------------------------------------------------------------------------


class Health(_Answer):
    """Whether this process answers, and how the daemon is."""

    status = text("ok or degraded", required=True)
    daemon = text("well, failing, no-model, no-database, stopped, dead or never", required=True)
    release = text("Pipit's release", required=True)
    time = when("now", required=True)


class Status(_Answer):
    """What the daemon last said of itself."""

    health = text("as in health", required=True)
    state = text("what it is doing", required=True)
    last_run = when("last cycle", allow_none=True)
    rows = whole("rows read since it started")
    models = fields.List(fields.Dict(), metadata={"description": "what serves"})
    last_24_hours = fields.Dict(metadata={"description": "windows, anomalies, hosts, rows"})


class Verdict(_Answer):
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


class Verdicts(_Answer):
    """Windows, oldest first."""

    verdicts = fields.List(fields.Nested(Verdict), required=True)
    more = flag("there are more", required=True)


class Incident(_Answer):
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


class Incidents(_Answer):
    """Incidents, newest first."""

    incidents = fields.List(fields.Nested(Incident), required=True)
    more = flag("there are more", required=True)


class Model(_Answer):
    """A version on this machine."""

    model_id = text("`<agent>_<version>`", required=True)
    agent = text("agent", required=True)
    version = text("version", required=True)
    state = text("candidate, probation, good, returned, bad, refused", required=True)
    active = flag("it serves", required=True)
    previous = flag("it served before", required=True)
    challenger = flag("it is judged beside the active one", required=True)
    serial = whole("of its signature", required=True)
    size = whole("bytes", required=True)


class Models(_Answer):
    """Every version that is known here, and wishes that are still open."""

    models = fields.List(fields.Nested(Model), required=True)
    wishes = fields.List(fields.Dict(), required=True)


class ModelInfo(Model):
    """A version with what its bundle says."""

    metadata = fields.Dict(required=True, metadata={"description": "as the trainer wrote it"})
    performance = fields.Dict(metadata={"description": "the last 7 days"}, allow_none=True)


class Asked(_Answer):
    """What came of a wish. 200: done. 202: the daemon has not answered yet; ask again at /api/v1/wishes/{wish}."""

    wish = whole("its number", required=True, allow_none=True)
    agent = text("agent", required=True)
    version = text("version", required=True)
    action = text("activate or rollback", required=True)
    outcome = text("loaded, good, ... or waiting", required=True)


class Wish(_Answer):
    """A wish."""

    wish = whole("its number", required=True)
    outcome = text("what came of it, or waiting", required=True)


class Analysis(_Answer):
    """Windows that the rows filled."""

    agent = text("agent", required=True)
    model_version = text("version", required=True)
    rows = whole("usable rows", required=True)
    rows_of_this_agent = whole("rows of programs that the agent watches", required=True)
    bad_rows = whole("rows that cannot be used", required=True)
    bad = fields.List(fields.Dict(), required=True, metadata={"description": "the first of them, with the reason"})
    windows = whole("windows", required=True)
    anomalies = whole("anomalous ones", required=True)
    verdicts = fields.List(fields.Nested(Verdict), required=True)


class Check(_Answer):
    """One thing looked at."""

    section = text("quality, compatibility, age, drift", required=True)
    what = text("what", required=True)
    state = text("good, odd, wrong, unknown", required=True)
    found = text("what was found", required=True)
    cure = text("what to do", required=True)


class Validation(_Answer):
    """All checks of a version."""

    model_id = text("`<agent>_<version>`", required=True)
    version = text("version", required=True)
    is_valid = flag("nothing is wrong", required=True)
    state = text("the worst: good, odd or wrong", required=True)
    at = when("when it was looked at", required=True)
    checks = fields.List(fields.Nested(Check), required=True)
    recommendations = fields.List(fields.String(), required=True)


class Compatibility(_Answer):
    """Whether a version fits its agent, and the features asked for."""

    model_id = text("`<agent>_<version>`", required=True)
    is_compatible = flag("nothing is missing", required=True)
    checks = fields.List(fields.Nested(Check), required=True)


class Performance(_Answer):
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


class Performances(_Answer):
    """All versions that judged."""

    performance = fields.List(fields.Nested(Performance), required=True)


class PerformanceReport(_Answer):
    """A summary with its days, drift and advice."""

    model_id = text("`<agent>_<version>`", required=True)
    summary = fields.Dict(required=True)
    days = fields.List(fields.Dict(), required=True)
    drift = fields.Dict(required=True, allow_none=True)
    recommendations = fields.List(fields.String(), required=True)


class Drift(_Answer):
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


class Transfers(_Answer):
    """What became of bundles, newest first."""

    transfers = fields.List(fields.Dict(), required=True)


class Removed(_Answer):
    """How many were removed."""

    removed = whole("rows", required=True)


class TrainerModels(_Answer):
    """What the trainer has."""

    models = fields.List(fields.Dict(), required=True)


class TrainerConnection(_Answer):
    """Whether the trainer answers and takes the token."""

    connected = flag("it does", required=True)
    url = text("its address", required=True)
    detail = text("its release, or what is wrong", required=True)


class Agent(_Answer):
    """An agent and how it is."""

    id = text("name", required=True)
    title = text("what it watches", required=True)
    description = text("in words", required=True)
    state = text("running, paused, waiting, failed, no-model, refused", required=True)
    is_running = flag("it judges", required=True)
    last_run = when("last cycle with it", required=True, allow_none=True)
    model = text("active version", required=True, allow_none=True)
    challenger = text("version judged beside it", required=True, allow_none=True)
    capabilities = fields.List(fields.String(), required=True)
    error = text("what is wrong", required=True)
    versions = fields.List(fields.String(), required=True, metadata={"description": "what it could run"})


class Agents(_Answer):
    """All agents."""

    agents = fields.List(fields.Nested(Agent), required=True)


class Comparison(_Answer):
    """Active version and challenger over the same windows."""

    agent = text("agent", required=True)
    active = text("version", required=True)
    challenger = text("version", required=True)
    windows = whole("windows that both judged", required=True)
    agree = whole("ended the same way", required=True)
    only_active = whole("only the active one alerts", required=True)
    only_challenger = whole("only the challenger alerts", required=True)
    active_incidents = whole("incidents of the active one", required=True)
    challenger_incidents = whole("incidents that the challenger would have raised", required=True)
    different = fields.List(fields.Dict(), required=True)


class Mark(_Answer):
    """What somebody said of an incident."""

    incident_id = whole("incident", required=True)
    mark = text("false or confirmed", required=True)
    by = text("who", required=True)
    at = when("when", required=True)
    expires = when("counts until", required=True)
    note = text("why", required=True)


class Marks(_Answer):
    """Marks, newest first."""

    marks = fields.List(fields.Nested(Mark), required=True)


class Labels(_Answer):
    """The marks as `pipit-trainer train --labels` reads them."""

    labels = fields.List(fields.Dict(), required=True)


class Mute(_Answer):
    """A kind that nobody wants to hear of for a time."""

    id = whole("number", required=True)
    agent = text("agent", required=True)
    type = text("kind", required=True)
    host = text("host; null: everywhere", required=True, allow_none=True)
    until = when("ends", required=True)
    note = text("why", required=True)


class Mutes(_Answer):
    """Mutes, the one that ends first at the top."""

    mutes = fields.List(fields.Nested(Mute), required=True)


class Budget(_Answer):
    """An agent's alert budget; `per_week` null: the model's own."""

    agent = text("agent", required=True)
    per_week = number("incidents a week and host", required=True, allow_none=True)
    model_per_week = number("what the model was trained for", required=True, allow_none=True)


class Budgets(_Answer):
    """All budgets."""

    budgets = fields.List(fields.Nested(Budget), required=True)


class Done(_Answer):
    """It was done."""

    done = flag("true", required=True)
