"""Settings of a service: one frozen dataclass, read from a file, then the environment, then flags.

The only reader of the process environment. A service declares its settings with `setting(...)`; `load` fills them and
reports every fault at once, so that nobody mends a configuration one error at a time.
"""

from __future__ import annotations

import difflib
import logging
import os
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import marshmallow as ma
import yaml

from shared.errors import ConfigError

logger = logging.getLogger(__name__)
T = TypeVar("T")


def environ() -> dict[str, str]:
    """A copy of the process environment."""
    return dict(os.environ)


def setting(
    default: Any,
    doc: str,
    unit: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> Any:
    """Declare one setting of a dataclass: its default, one sentence, its unit and what is allowed.

    A secret may also be given as NAME_FILE, the path of a file that holds it, and is never printed.
    """
    return field(
        default=default,
        metadata={"doc": doc, "unit": unit, "low": low, "high": high, "choices": choices, "secret": secret},
    )


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
    parser: ma.fields.Field


@dataclass(frozen=True, slots=True)
class _Given:
    """A value somebody gave: `where` names the source as they would look for it."""

    name: str
    where: str
    value: object


def known_settings(cls: type, prefix: str) -> dict[str, Known]:
    """Every setting of `cls` by name; a field without a `doc` in its metadata is not a setting."""
    hints = _hints(cls)
    return {f.name: _known(f, hints[f.name], prefix) for f in fields(cls) if f.metadata.get("doc")}


def load(
    cls: type[T], file: Path | None, env: Mapping[str, str], flags: Mapping[str, object], prefix: str
) -> T:
    """Fill `cls` from `file` (YAML), then `env` (names start with `prefix`), then `flags` (None: not given).

    `cls` may carry `SECTIONS` (dotted key of a file → setting), `NO_EFFECT` (name → why nothing comes of it) and a
    field `warnings: tuple[str, ...]`, which receives what should be logged once.

    Raises:
        ConfigError: with every fault found, each naming its source, the value and what is allowed.
    """
    known = known_settings(cls, prefix)
    faults: list[str] = []
    warnings: list[str] = []
    values: dict[str, object] = {}
    for given in [
        *_from_file(cls, file, faults),
        *_from_env(cls, known, env, prefix),
        *(_Given(name, "--" + name.replace("_", "-"), value) for name, value in flags.items() if value is not None),
    ]:
        _take(given, cls, known, prefix, values, faults, warnings)
    if faults:
        raise ConfigError(f"settings: {len(faults)} {'fault' if len(faults) == 1 else 'faults'} found", tuple(faults))
    if any(f.name == "warnings" for f in fields(cls)):  # type: ignore[arg-type]
        values["warnings"] = tuple(warnings)
    else:
        for warning in warnings:
            logger.warning("%s", warning)
    return cls(**values)


def nearest(name: str, candidates: typing.Iterable[str]) -> str:
    """`; did you mean X?` where something known is close, else an empty text."""
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def read_yaml(file: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty mapping.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or holds something else than keys and values.
    """
    try:
        loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{what}: cannot read {file}: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what}: {file} is not YAML: {' '.join(str(error).split())}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{what}: {file} must hold keys and values, not {type(loaded).__name__}")
    return {str(key): value for key, value in loaded.items()}


# --- the three sources ------------------------------------------------------------------------------------------


def _from_file(cls: type, file: Path | None, faults: list[str]) -> Iterator[_Given]:
    """Keys of the file, those of a section under the name of the setting that they mean."""
    if file is None:
        return
    sections: Mapping[str, str] = getattr(cls, "SECTIONS", {})
    names = {section.partition(".")[0] for section in sections}
    for key, value in read_yaml(file, "settings").items():
        if key not in names or not isinstance(value, Mapping):
            yield _Given(key, f"{file}: {key}", value)
            continue
        for inner, inner_value in value.items():
            dotted = f"{key}.{inner}"
            if dotted in sections:
                yield _Given(sections[dotted], f"{file}: {dotted}", inner_value)
            else:
                faults.append(f"{file}: {dotted} is not a setting{nearest(dotted, sections)}")


def _from_env(cls: type, known: Mapping[str, Known], env: Mapping[str, str], prefix: str) -> Iterator[_Given]:
    optional = {name for name, setting_ in known.items() if setting_.parser.allow_none}
    for variable in sorted(env):
        if not variable.startswith(prefix):
            continue
        name, value = variable[len(prefix) :].lower(), env[variable]
        if value == "" and name not in optional:
            continue  # compose files pass `${NAME:-}` for what nobody set
        yield _Given(name, variable, None if value == "" else value)


def _take(
    given: _Given,
    cls: type,
    known: Mapping[str, Known],
    prefix: str,
    values: dict[str, object],
    faults: list[str],
    warnings: list[str],
) -> None:
    """Check one given value and put it into `values`; a later source overwrites an earlier one."""
    no_effect: Mapping[str, str] = getattr(cls, "NO_EFFECT", {})
    secret = known.get(given.name.removesuffix("_file")) if given.name.endswith("_file") else None
    if given.name in known:
        target, value = known[given.name], given.value
    elif secret is not None and secret.secret:
        target = secret
        try:
            value = Path(str(given.value)).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{given.where}: cannot read {given.value}: {getattr(error, 'strerror', None) or error}")
            return
    elif given.name in no_effect:
        warnings.append(f"setting without effect {given.where}: {no_effect[given.name]}")
        return
    else:
        spelled = given.name if given.where.startswith(("--", "/")) or ": " in given.where else given.where
        candidates = [known_.env for known_ in known.values()] if spelled == given.where else list(known)
        faults.append(f"{given.where} is not a setting{nearest(spelled, candidates)}")
        return
    try:
        values[target.name] = target.parser.deserialize(value)
    except ma.ValidationError:
        shown = "the value (not shown, it is secret)" if target.secret else repr(value)
        faults.append(f"{given.where}: {shown} is not {target.allowed}")


# --- types ------------------------------------------------------------------------------------------------------


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


class _Path(ma.fields.Field):
    """A path; `~` is the home folder. A relative one counts from the working directory."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Path:
        if not isinstance(value, (str, Path)) or not str(value) or "\0" in str(value):
            raise ma.ValidationError("path")
        return Path(value).expanduser()


class _Words(ma.fields.Field):
    """Texts: a list in a file, separated by commas in the environment."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            return tuple(word.strip() for word in value.split(",") if word.strip())
        if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) for word in value):
            raise ma.ValidationError("list")
        return tuple(value)


_PARSERS: dict[object, tuple[type[ma.fields.Field], str]] = {
    str: (ma.fields.String, "a text"),
    int: (_Whole, "a whole number"),
    float: (_Number, "a number"),
    bool: (ma.fields.Boolean, "true or false"),
    Path: (_Path, "a path"),
    tuple[str, ...]: (_Words, "a list of texts"),
}


@lru_cache(maxsize=8)
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _known(f: Field[Any], hint: Any, prefix: str) -> Known:
    optional = typing.get_origin(hint) in (types.UnionType, typing.Union) and type(None) in typing.get_args(hint)
    kind = next(arg for arg in typing.get_args(hint) if arg is not type(None)) if optional else hint
    parser, words = _PARSERS[kind]
    low, high, choices = (f.metadata.get(name) for name in ("low", "high", "choices"))
    checks: list[Any] = []
    if choices:
        checks.append(ma.validate.OneOf(choices))
        words = "one of " + ", ".join(choices)
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
        return f" from {low:g} to {high:g}"
    return f" of at least {low:g}" if low is not None else f" of at most {high:g}"
