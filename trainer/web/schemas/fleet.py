"""What the API takes and says of Pis, shipping and what was sent."""

from __future__ import annotations

from marshmallow import Schema, validate
from marshmallow import fields as f

from shared.web.openapi import Lenient
from trainer.web.schemas.parts import NAME, number, text, whole, yes


class TargetOut(Schema):
    """A Pi that this trainer ships to."""

    name = text("Its name here.")
    url = text("Its inbox.")
    groups = f.List(f.String(), metadata={"description": "Fleets it belongs to."})
    agents = f.Dict(
        metadata={
            "description": "Agent → version it was last heard to run, the one beside it, last transfer and its state."
        }
    )


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
    challenger = yes("Have it judged beside what serves there; it alerts nobody.", load_default=False)
    force = yes("Ship although the quality gate was missed; recorded.", load_default=False)
    reason = text("Why it is forced.", validate=validate.Length(max=400))


class CatchUpBody(Schema):
    """Whom to ship to again what could not be brought there."""

    target = text("One Pi.", validate=NAME)
    fleet = text("A group of Pis, or all; all where neither is named.", validate=NAME)
    wait = text(
        "loaded: until it serves; good: until probation has passed.",
        validate=validate.OneOf(("loaded", "good")), load_default="loaded",
    )  # fmt: skip
    timeout = number("Seconds to wait for a receipt.", load_default=180.0, validate=validate.Range(1, 86_400))
    force = yes("Ship what has missed its quality gate by now, too; recorded.", load_default=False)
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
    what = text("ship, rollback or challenge.")
    target = text("The Pi.")
    agent = text("Kind of log.")
    version = text("The version.")
    serial = whole("Serial of the signature.", high=2**63)
    size_bytes = whole("Size.", high=2**63)
    seconds = number("How long it took.")
    state = text("sent, loaded, good, challenger, refused, returned, failed, skipped or unknown.")
    replaced = yes("It served, or was judged beside, and something newer took its place there.")
    code = text("The reason as a code.")
    reason = text("The reason in words.")


class Transfers(Schema):
    """Transfers, newest first."""

    transfers = f.List(f.Nested(TransferOut))
