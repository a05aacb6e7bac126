"""Answers of the API about versions, agents, comparisons and transfers."""

from __future__ import annotations

from marshmallow import fields

from inference.web.schemas.found import Verdict
from inference.web.schemas.parts import Answer, flag, text, when, whole


class Model(Answer):
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


class Models(Answer):
    """Every version that is known here, and wishes that are still open."""

    models = fields.List(fields.Nested(Model), required=True)
    wishes = fields.List(fields.Dict(), required=True)


class ModelInfo(Model):
    """A version with what its bundle says."""

    metadata = fields.Dict(required=True, metadata={"description": "as the trainer wrote it"})
    performance = fields.Dict(metadata={"description": "the last 7 days"}, allow_none=True)


class Asked(Answer):
    """What came of a wish. 200: done. 202: the daemon has not answered yet; ask again at /api/v1/wishes/{wish}."""

    wish = whole("its number", required=True, allow_none=True)
    agent = text("agent", required=True)
    version = text("version", required=True)
    action = text("activate or rollback", required=True)
    outcome = text("loaded, good, ... or waiting", required=True)


class Wish(Answer):
    """A wish."""

    wish = whole("its number", required=True)
    outcome = text("what came of it, or waiting", required=True)


class Analysis(Answer):
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


class Check(Answer):
    """One thing looked at."""

    section = text("quality, compatibility, age, drift", required=True)
    what = text("what", required=True)
    state = text("good, odd, wrong, unknown", required=True)
    found = text("what was found", required=True)
    cure = text("what to do", required=True)


class Validation(Answer):
    """All checks of a version."""

    model_id = text("`<agent>_<version>`", required=True)
    version = text("version", required=True)
    is_valid = flag("nothing is wrong", required=True)
    state = text("the worst: good, odd or wrong", required=True)
    at = when("when it was looked at", required=True)
    checks = fields.List(fields.Nested(Check), required=True)
    recommendations = fields.List(fields.String(), required=True)


class Compatibility(Answer):
    """Whether a version fits its agent, and the features asked for."""

    model_id = text("`<agent>_<version>`", required=True)
    is_compatible = flag("nothing is missing", required=True)
    checks = fields.List(fields.Nested(Check), required=True)


class Agent(Answer):
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


class Agents(Answer):
    """All agents."""

    agents = fields.List(fields.Nested(Agent), required=True)


class Comparison(Answer):
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


class Transfers(Answer):
    """What became of bundles, newest first."""

    transfers = fields.List(fields.Dict(), required=True)


class TrainerModels(Answer):
    """What the trainer has."""

    models = fields.List(fields.Dict(), required=True)


class TrainerConnection(Answer):
    """Whether the trainer answers and takes the token."""

    connected = flag("it does", required=True)
    url = text("its address", required=True)
    detail = text("its release, or what is wrong", required=True)
