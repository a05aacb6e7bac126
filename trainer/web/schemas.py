"""What the API takes and answers, as marshmallow schemas: checks and documentation come from these."""

from __future__ import annotations

from typing import Any

from marshmallow import INCLUDE, Schema, validate
from marshmallow import fields as f

from shared.web.openapi import Lenient

NAME = validate.Length(min=1, max=160)


def text(what: str, **options: Any) -> f.String:
    """A text with its explanation."""
    return f.String(metadata={"description": what}, **options)


def number(what: str, **options: Any) -> f.Float:
    """A number with its explanation."""
    return f.Float(metadata={"description": what}, **options)


def whole(what: str, low: int = 0, high: int = 1_000_000, **options: Any) -> f.Integer:
    """A whole number with its explanation and its bounds."""
    return f.Integer(metadata={"description": what}, validate=validate.Range(low, high), **options)


def yes(what: str, **options: Any) -> f.Boolean:
    """True or false, with its explanation."""
    return f.Boolean(metadata={"description": what}, **options)


class Health(Schema):
    """The service answers."""

    status = text("ok.")
    service = text("pipit-trainer.")
    release = text("Release of Pipit.")
    time = text("The service's clock.")


class Model(Schema):
    """One version on this machine."""

    class Meta:
        unknown = INCLUDE

    model_id = text("`<agent>_<version>`.")
    agent = text("Kind of log.")
    version = text("YYYYMMDD_HHMMSS, perhaps with -rN.")
    active = yes("Whether it is the active one of the models folder.")
    serial = whole("Serial number of its signature.", high=2**63)
    size_bytes = whole("Size of the bundle.", high=2**63)
    fault = text("Why it cannot be used; empty where it can.")
    targets = f.List(f.String(), metadata={"description": "Pis that were last heard to run it."})
    gate = f.Dict(metadata={"description": "The quality gate that counts: passed, reason, checks."})
    notes = f.List(f.Dict(), metadata={"description": "What people said of it."})
    evaluations = f.List(f.Dict(), metadata={"description": "What it reached later, oldest first."})
    deployments = f.List(f.Dict(), metadata={"description": "Where it was sent."})
    metadata = f.Dict(metadata={"description": "The bundle's metadata, with what happened to it later."})


class Models(Schema):
    """All versions, newest first within an agent."""

    models = f.List(f.Nested(Model))


class CompareQuery(Lenient):
    """Two versions."""

    first = text("A version.", required=True, validate=NAME)
    second = text("Another one.", required=True, validate=NAME)


class Figure(Schema):
    """One figure of two models."""

    name = text("What it is.")
    first = f.Raw(allow_none=True, metadata={"description": "Of the first; null: not measured."})
    second = f.Raw(allow_none=True, metadata={"description": "Of the second."})
    better = text("first, second, or empty where neither is better.")


class Compared(Schema):
    """Two models side by side."""

    first = text("`<agent>_<version>`.")
    second = text("`<agent>_<version>`.")
    figures = f.List(f.Nested(Figure))


class PruneBody(Schema):
    """What may go."""

    keep = whole("How many of each agent stay.", low=1, high=10_000, load_default=5)
    agent = text("Of this agent alone.", validate=NAME)
    older_than_days = number("Only versions older than this.", validate=validate.Range(0, 100_000))


class Removed(Schema):
    """What went."""

    removed = f.List(f.String(), metadata={"description": "Names."})


class Export(Schema):
    """An export on this machine."""

    name = text("File name in the exports folder.")
    size_bytes = whole("Its size.", high=2**63)
    changed = text("When it was last changed.")
    validation = f.Dict(allow_none=True, metadata={"description": "What was found in it; null: nobody has looked yet."})


class Exports(Schema):
    """All exports, newest first."""

    exports = f.List(f.Nested(Export))


class AgentQuery(Lenient):
    """Whose eyes to look with."""

    agent = text("Whose events and programs count.", load_default="wifi", validate=NAME)


class Validated(Schema):
    """A validation, or the job that makes it."""

    status = text("completed, or that of the job.")
    validation = f.Dict(allow_none=True, metadata={"description": "The report; null while the job runs."})
    training_id = text("The job, for /api/v1/training/status.", allow_none=True)


class TrainBody(Schema):
    """What to train, and with which settings."""

    export_file = text("An export by name; `exports/NAME` is the same.", validate=NAME)
    export_files = f.List(f.String(validate=NAME), metadata={"description": "Several exports of one network."})
    agent = text("What kind of log this is.", load_default="wifi", validate=NAME)
    config_overrides = f.Dict(
        keys=f.String(),
        metadata={"description": 'Keys of the model configuration, nested or dotted: {"model.n_estimators": 200}.'},
    )
    start_date = text("Learn from rows at or after this time.", allow_none=True)
    end_date = text("Learn from rows before this time.", allow_none=True)
    labels = f.List(
        f.Dict(),
        validate=validate.Length(max=5000),
        metadata={"description": "Known episodes: type, start, end, host."},
    )
    note = text("Kept with the job.", validate=validate.Length(max=400))


class TuneBody(TrainBody):
    """What to search on."""

    trials = whole("Combinations to try.", low=1, high=1000, allow_none=True)


class EvaluateBody(Schema):
    """What to score, and against what."""

    model = text("A version.", required=True, validate=NAME)
    export_file = text("An export by name.", required=True, validate=NAME)
    labels = f.List(
        f.Dict(),
        validate=validate.Length(max=5000),
        metadata={"description": "Known episodes; none: known faults are injected."},
    )


class Task(Schema):
    """A job as it stands."""

    id = text("Its id.")
    training_id = text("The same.")
    number = whole("Its number, as pages show it.")
    kind = text("check, train, tune, evaluate, ship or rollback.")
    status = text("initializing (it waits), running, completed, failed, cancelled or interrupted.")
    position = whole("How many jobs are before it.")
    progress = whole("Percent done.", high=100)
    step = text("What is being done.")
    error = text("Why it failed.", allow_none=True)
    code = text("The reason as a code.", allow_none=True)
    result = f.Dict(allow_none=True, metadata={"description": "What came of it."})
    agent = text("Kind of log.")
    export_file = text("What it works on.")
    started_by = text("Who asked for it.")
    attempts = whole("How often it was begun.")
    memory_bytes = whole("Most memory it took.", high=2**63)
    created_at = text("When it was asked for.")
    start_time = text("When it began.", allow_none=True)
    updated_at = text("When it was last heard of.")
    end_time = text("When it ended.", allow_none=True)


class TasksQuery(Lenient):
    """Which jobs."""

    kind = text("Only of this kind.", validate=NAME)
    limit = whole("At most so many.", low=1, high=1000, load_default=50)


class Tasks(Schema):
    """Jobs, newest first."""

    tasks = f.List(f.Nested(Task))


class Log(Schema):
    """The end of a job's log."""

    lines = f.List(f.String())


class TargetOut(Schema):
    """A Pi that this trainer ships to."""

    name = text("Its name here.")
    url = text("Its inbox.")
    groups = f.List(f.String(), metadata={"description": "Fleets it belongs to."})
    agents = f.Dict(metadata={"description": "Agent → version it was last heard to run, last transfer and its state."})


class Targets(Schema):
    """All known Pis."""

    targets = f.List(f.Nested(TargetOut))


class TargetBody(Schema):
    """A Pi to add or change."""

    name = text("Letters, digits, dots, dashes and underscores.", required=True, validate=NAME)
    url = text("sftp://user@host:port/inbox.", required=True, validate=validate.Length(min=1, max=400))
    identity = text("SSH key on this machine to log in with.", validate=validate.Length(max=400))
    known_hosts = text("File on this machine that pins the host's key.", validate=validate.Length(max=400))
    groups = f.List(f.String(validate=NAME), validate=validate.Length(max=50), metadata={"description": "Fleets."})


class ShipBody(Schema):
    """What to ship, and to whom."""

    version = text("A version.", required=True, validate=NAME)
    agent = text("Where the version is not unique.", validate=NAME)
    target = text("One Pi.", validate=NAME)
    fleet = text("A group of Pis, or all.", validate=NAME)
    wait = text(
        "loaded: until it serves; good: until probation has passed.", validate=validate.OneOf(("loaded", "good"))
    )
    timeout = number("Seconds to wait for a receipt.", load_default=180.0, validate=validate.Range(1, 86_400))
    canaries = whole("Pis that must take it before the rest.", high=100, load_default=1)
    batch = whole("Pis at a time after that.", low=1, high=100, load_default=5)
    force = yes("Ship although the quality gate was missed; recorded.", load_default=False)
    reason = text("Why it is forced.", validate=validate.Length(max=400))


class RollbackBody(Schema):
    """Where to go back, and to what."""

    target = text("One Pi.", required=True, validate=NAME)
    agent = text("Which agent, where the Pi has several.", validate=NAME)
    version = text("Which version; the one before, if none is named.", validate=NAME)
    timeout = number("Seconds to wait for a receipt.", load_default=180.0, validate=validate.Range(1, 86_400))


class TransfersQuery(Lenient):
    """Which transfers."""

    target = text("Only to this Pi.", validate=NAME)
    agent = text("Only of this agent.", validate=NAME)
    limit = whole("At most so many.", low=1, high=10_000, load_default=100)


class TransferOut(Schema):
    """One attempt to bring a version to a Pi."""

    at = text("When.")
    what = text("ship or rollback.")
    target = text("The Pi.")
    agent = text("Kind of log.")
    version = text("The version.")
    serial = whole("Serial of the signature.", high=2**63)
    size_bytes = whole("Size.", high=2**63)
    seconds = number("How long it took.")
    state = text("sent, loaded, good, refused, returned, failed, skipped or unknown.")
    code = text("The reason as a code.")
    reason = text("The reason in words.")


class Transfers(Schema):
    """Transfers, newest first."""

    transfers = f.List(f.Nested(TransferOut))
