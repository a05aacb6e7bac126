"""What the API says of models."""

from __future__ import annotations

from marshmallow import INCLUDE, Schema, validate
from marshmallow import fields as f

from shared.web.openapi import Lenient
from trainer.web.schemas.parts import NAME, number, text, whole, yes


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
