"""How one setting is declared, and what each type of setting accepts."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import marshmallow as ma


def setting(
    default: Any,
    doc: str,
    unit: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    pattern: str = "",
    form: str = "",
    parser: Callable[..., ma.fields.Field[Any]] | None = None,
    secret: bool = False,
) -> Any:
    """Declare one setting of a dataclass: its default, one sentence, its unit and what is allowed.

    `choices` are matched without regard to case. A text must match `pattern` wholly; `form` says so in words.
    `parser` takes the place of the type's own marshmallow field.
    A secret may also be given as NAME_FILE, the path of a file that holds it, and is never printed.
    """
    metadata = {"doc": doc, "unit": unit, "low": low, "high": high, "choices": choices, "secret": secret}
    return field(default=default, metadata={**metadata, "pattern": pattern, "form": form, "parser": parser})


@dataclass(frozen=True, slots=True)
class Known:
    """A declared setting as `load`, the documentation's test and the settings page see it."""

    name: str
    env: str
    default: object
    doc: str
    unit: str
    allowed: str
    secret: bool
    parser: ma.fields.Field[Any]


def known_settings(cls: type, prefix: str) -> dict[str, Known]:
    """Every setting of `cls` by name; a field without a `doc` in its metadata is not a setting."""
    hints = _hints(cls)
    return {f.name: _known(f, hints[f.name], prefix) for f in fields(cls) if f.metadata.get("doc")}


class _Whole(ma.fields.Integer):
    """A whole number: 3 and "3", but neither 3.5 nor true."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class _Number(ma.fields.Float):
    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return super()._deserialize(value, attr, data, **kwargs)


class _Choice(ma.fields.Field[str]):
    """One of a few words, in any case."""

    def __init__(self, choices: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.choices = {choice.lower(): choice for choice in choices}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        try:
            return self.choices[str(value).lower()]
        except KeyError:
            raise ma.ValidationError("choice") from None


class _Path(ma.fields.Field[Path]):
    """A path; `~` is the home folder. A relative one counts from the working directory."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Path:
        if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
            raise ma.ValidationError("path")
        return Path(value).expanduser()


class Words(ma.fields.Field[tuple[str, ...]]):
    """Texts: a list in a file, separated by commas in the environment."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
            raise ma.ValidationError("list")
        return tuple(value)


_PARSERS: dict[object, tuple[Callable[..., ma.fields.Field[Any]], str]] = {
    str: (ma.fields.String, "a text"),
    int: (_Whole, "a whole number"),
    float: (_Number, "a number"),
    bool: (ma.fields.Boolean, "true or false"),
    Path: (_Path, "a path"),
    tuple[str, ...]: (Words, "a list of texts"),
}


@lru_cache(maxsize=8)
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _known(f: Field[Any], hint: Any, prefix: str) -> Known:
    optional = typing.get_origin(hint) in (types.UnionType, typing.Union) and type(None) in typing.get_args(hint)
    kind = next(arg for arg in typing.get_args(hint) if arg is not type(None)) if optional else hint
    own = f.metadata.get("parser")
    parser, words = (own, f.metadata["form"]) if own else _PARSERS[kind]
    low, high, choices = (f.metadata.get(name) for name in ("low", "high", "choices"))
    checks: list[Any] = []
    if choices:
        parser, words = partial(_Choice, choices), "one of " + ", ".join(choices)
    if f.metadata.get("pattern"):
        checks.append(ma.validate.Regexp(f"(?:{f.metadata['pattern']})\\Z"))
        words = f.metadata["form"]
    if low is not None or high is not None:
        checks.append(ma.validate.Range(min=low, max=high))
        words += _bounds(low, high)
    unit = f.metadata.get("unit", "")
    return Known(
        name=f.name,
        env=prefix + f.name.upper(),
        default=None if f.default is MISSING else f.default,
        doc=f.metadata["doc"],
        unit=unit,
        allowed=words + (f" ({unit})" if unit else "") + (", or empty" if optional else ""),
        secret=bool(f.metadata.get("secret")),
        parser=parser(allow_none=optional, validate=checks),
    )


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f" from {low:.12g} to {high:.12g}"
    return f" of at least {low:.12g}" if low is not None else f" of at most {high:.12g}"
