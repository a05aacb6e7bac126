"""What the schemas are made of: fields with an explanation, and the answers that several calls give."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, validate
from marshmallow import fields as f

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


class Removed(Schema):
    """What went."""

    removed = f.List(f.String(), metadata={"description": "Names."})
