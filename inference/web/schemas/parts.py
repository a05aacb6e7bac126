"""What the schemas are made of: fields that carry their description, and the two kinds of body."""

from __future__ import annotations

from marshmallow import INCLUDE, RAISE, Schema, fields, validate

from inference.web.answers import Moment

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


def moment(about: str, usual: float) -> Moment:
    """A moment in a query."""
    return Moment(load_default=usual, metadata={"description": about, "type": "string"})


def limit(usual: int, most: int) -> fields.Integer:
    """How many entries at most."""
    say = f"is a number from 1 to {most:,}."
    return Count(
        load_default=usual,
        validate=validate.Range(1, most, error=say),
        error_messages={"invalid": say},
        metadata={"description": f"at most so many, 1 to {most:,}"},
    )


class Answer(Schema):
    """What is answered; more fields than are named here may come."""

    class Meta:
        unknown = INCLUDE


class Body(Schema):
    """What is sent; a name that is not known is a mistake."""

    class Meta:
        unknown = RAISE
