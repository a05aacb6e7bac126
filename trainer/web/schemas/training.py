"""What the API takes for training, search and evaluation, and what it says of jobs."""

from __future__ import annotations

from marshmallow import Schema, validate
from marshmallow import fields as f

from shared.web.openapi import Lenient
from trainer.web.schemas.parts import NAME, text, whole, yes


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
    marks = yes("What people said on the Pis counts as labels, too.", load_default=False)
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
    kind = text("check, fetch, train, tune, evaluate, ship, catchup or rollback.")
    status = text("initializing (it waits), running, completed, failed, cancelled or interrupted.")
    position = whole("How many jobs are before it.")
    progress = whole("Percent done.", high=100)
    step = text("What is being done.")
    paused = yes("Whether a roll-out begins no further wave for now.")
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
