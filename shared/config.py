"""Settings of a service: one frozen dataclass, read from a file, then the environment, then flags.

The only reader of the process environment. A service declares its settings with `setting(...)`; `load` fills them and
reports every fault at once, so that nobody mends a configuration one error at a time.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml
from marshmallow import ValidationError

from shared.errors import ConfigError
from shared.setting import Known, known_settings, setting

__all__ = ["Known", "environ", "known_settings", "load", "nearest", "read_yaml", "setting"]

logger = logging.getLogger(__name__)
T = TypeVar("T")


def environ() -> dict[str, str]:
    """A copy of the process environment."""
    return dict(os.environ)


@dataclass(frozen=True, slots=True)
class _Given:
    """A value somebody gave: `where` names the source as they would look for it."""

    name: str
    where: str
    value: object
    spelled: str  # as the name stands there: DATABASE_URL's is TRAINING_DATABASE_URL in the environment


def load(cls: type[T], file: Path | None, env: Mapping[str, str], flags: Mapping[str, object], prefix: str) -> T:
    """Fill `cls` from `file` (YAML), then `env` (names start with `prefix`), then `flags` (None: not given).

    `cls` may carry `SECTIONS` (dotted key of a file → setting), `NO_EFFECT` (name → why nothing comes of it) and a
    field `warnings: tuple[str, ...]`, which receives what should be logged once.

    Raises:
        ConfigError: with every fault found, each naming its source, the value and what is allowed.
    """
    known = known_settings(cls, prefix)
    collected = _Collected(known, getattr(cls, "NO_EFFECT", {}), _home_paths(known))
    for given in [
        *_from_file(cls, file, collected.faults),
        *_from_env(known, env, prefix),
        *_from_flags(flags),
    ]:
        collected.take(given)
    if collected.faults:
        count = len(collected.faults)
        raise ConfigError(f"settings: {count} {'fault' if count == 1 else 'faults'} found", tuple(collected.faults))
    if any(f.name == "warnings" for f in fields(cls)):  # type: ignore[arg-type]
        collected.values["warnings"] = tuple(collected.warnings)
    else:
        for warning in collected.warnings:
            logger.warning("%s", warning)
    return cls(**collected.values)


def _home_paths(known: Mapping[str, Known]) -> dict[str, Any]:
    """Defaults below the home folder: looked up now, not when the module was imported."""
    paths = {name: each.default for name, each in known.items() if isinstance(each.default, Path)}
    return {name: path.expanduser() for name, path in paths.items() if path.parts[:1] == ("~",)}


def nearest(name: str, candidates: Iterable[str]) -> str:
    """`; did you mean X?` where something known is close, else an empty text."""
    import difflib  # only where somebody mistyped

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
            yield _Given(key, f"{file}: {key}", value, key)
            continue
        for inner, inner_value in value.items():
            dotted = f"{key}.{inner}"
            if dotted in sections:
                yield _Given(sections[dotted], f"{file}: {dotted}", inner_value, dotted)
            else:
                faults.append(f"{file}: {dotted} is not a setting{nearest(dotted, sections)}")


def _from_env(known: Mapping[str, Known], env: Mapping[str, str], prefix: str) -> Iterator[_Given]:
    for variable in sorted(env):
        if not variable.startswith(prefix):
            continue
        name, value = variable[len(prefix) :].lower(), env[variable]
        if value == "" and not (name in known and known[name].parser.allow_none):
            continue  # compose files pass `${NAME:-}` for what nobody set
        yield _Given(name, variable, value or None, variable)


def _from_flags(flags: Mapping[str, object]) -> Iterator[_Given]:
    for name, value in flags.items():
        if value is not None:
            yield _Given(name, "--" + name.replace("_", "-"), value, name)


@dataclass(frozen=True, slots=True)
class _Collected:
    """What the sources gave so far: checked values by name (a later source overwrites), faults, warnings."""

    known: Mapping[str, Known]
    no_effect: Mapping[str, str]
    values: dict[str, Any]
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def take(self, given: _Given) -> None:
        plain = given.name.removesuffix("_file")
        if given.name in self.known:
            self._check(self.known[given.name], given.where, given.value)
        elif plain != given.name and plain in self.known and self.known[plain].secret:
            self._read_secret(self.known[plain], given)
        elif given.name in self.no_effect:
            self.warnings.append(f"setting without effect {given.where}: {self.no_effect[given.name]}")
        else:
            in_environment = given.spelled == given.where
            candidates = [each.env for each in self.known.values()] if in_environment else list(self.known)
            self.faults.append(f"{given.where} is not a setting{nearest(given.spelled, candidates)}")

    def _read_secret(self, known: Known, given: _Given) -> None:
        try:
            secret = Path(str(given.value)).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or error
            self.faults.append(f"{given.where}: cannot read {given.value}: {reason}")
        else:
            self._check(known, given.where, secret)

    def _check(self, known: Known, where: str, value: object) -> None:
        try:
            self.values[known.name] = known.parser.deserialize(value)
        except ValidationError:
            shown = "the value (not shown, it is secret)" if known.secret else repr(value)
            self.faults.append(f"{where}: {shown} is not {known.allowed}")
