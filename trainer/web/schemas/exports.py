"""What the API takes and says of exports."""

from __future__ import annotations

from marshmallow import Schema, validate
from marshmallow import fields as f

from shared.web.openapi import Lenient
from trainer.web.schemas.parts import NAME, text, whole


class Export(Schema):
    """An export on this machine."""

    name = text("File name in the exports folder.")
    size_bytes = whole("Its size.", high=2**63)
    changed = text("When it was last changed.")
    validation = f.Dict(allow_none=True, metadata={"description": "What was found in it; null: nobody has looked yet."})


class Exports(Schema):
    """All exports, newest first."""

    exports = f.List(f.Nested(Export))


class FetchBody(Schema):
    """Which rows of the configured database to fetch, and how the export is to be called."""

    name = text("File name; else logs-DATE-TIME.csv.gz.", validate=NAME)
    agent = text("Who looks into it when it is there.", load_default="wifi", validate=NAME)
    start_date = text("Rows at or after this time; else 30 days before the end.", allow_none=True)
    end_date = text("Rows before this time; else now.", allow_none=True)
    programs = f.List(
        f.String(validate=NAME), validate=validate.Length(max=100), metadata={"description": "Only these; none: all."}
    )
    table = text("Table or view, perhaps with its schema.", load_default="log_entries", validate=NAME)


class AgentQuery(Lenient):
    """Whose eyes to look with."""

    agent = text("Whose events and programs count.", load_default="wifi", validate=NAME)


class Validated(Schema):
    """A validation, or the job that makes it."""

    status = text("completed, or that of the job.")
    validation = f.Dict(allow_none=True, metadata={"description": "The report; null while the job runs."})
    training_id = text("The job, for /api/v1/training/status.", allow_none=True)
