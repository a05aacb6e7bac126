"""The agents of this machine: built in, in files of your own, or brought by a bundle; and how each one is.

The daemon checks the files of `agents_dir` and says what is wrong with them; the pages read every agent file leniently,
because parsing one for good takes libraries that the web process does not carry.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from shared.errors import ConfigError

logger = logging.getLogger(__name__)

FILES_KEY, AGENTS_KEY = "agent_files", "agents"
CAPABILITIES = ("anomaly_detection", "explanation", "silence")
FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class AgentFile:
    """One agent file of the user's: where, which agent, what is wrong with it."""

    path: str
    agent: str
    error: str


@dataclass(frozen=True, slots=True)
class About:
    """What an agent file says, for people."""

    name: str
    title: str
    description: str
    programs: tuple[str, ...]
    events: int
    features: int
    rules: int
    window_s: float
    has_silence: bool
    origin: str  # "built in", "bundle", or the path of the user's file

    @property
    def capabilities(self) -> list[str]:
        """What a model of this agent can do."""
        found = ["anomaly_detection", "explanation"]
        return found + (["rules"] if self.rules else []) + (["silence"] if self.has_silence else [])


class AgentFiles:
    """The daemon's look at the user's agent files; each is parsed once per change."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._seen: dict[Path, tuple[int, AgentFile]] = {}

    def look(self) -> list[AgentFile]:
        """Every file with what is wrong with it."""
        if self._folder is None:
            return []
        if not self._folder.is_dir():
            return [AgentFile(str(self._folder), "", "no such folder of agent files; create it or correct the setting")]
        found = {}
        for path in sorted([*self._folder.glob("*.yaml"), *self._folder.glob("*.yml")]):
            changed = path.stat().st_mtime_ns
            known = self._seen.get(path)
            found[path] = known if known and known[0] == changed else (changed, _checked(path))
        self._seen = found
        return [each for _, each in found.values()]


def _checked(path: Path) -> AgentFile:
    from shared.agent import builtin_agents, parse_agent  # re2: only where somebody has files of their own

    try:
        spec = parse_agent(path.read_bytes(), str(path))
    except ConfigError as error:
        logger.warning("agent file refused file=%s error=%s", path, error)
        return AgentFile(str(path), path.stem, "; ".join(error.faults[:5]) or str(error))
    except OSError as error:
        return AgentFile(str(path), path.stem, f"cannot be read: {error.strerror}")
    if spec.name in builtin_agents():
        return AgentFile(str(path), path.stem, f"name: {spec.name!r} is the name of a built-in agent; choose another")
    return AgentFile(str(path), spec.name, "")


def told_files(db: sqlite3.Connection) -> list[AgentFile]:
    """What the daemon last said of the user's files."""
    return [AgentFile(**each) for each in _status(db, FILES_KEY, [])]


def told_agents(db: sqlite3.Connection) -> dict[str, dict[str, Any]]:
    """What the daemon last said of each agent: last_run, windows, anomalies, cpu_s, error, paused."""
    found = _status(db, AGENTS_KEY, {})
    return found if isinstance(found, dict) else {}


def _status(db: sqlite3.Connection, key: str, usual: Any) -> Any:
    row = db.execute("SELECT value FROM status WHERE key = ?", (key,)).fetchone()
    return usual if row is None else json.loads(row[0])


def builtin() -> dict[str, About]:
    """The agents that come with Pipit."""
    found = {}
    for entry in resources.files("shared.agents").iterdir():
        if entry.name.endswith(".yaml"):
            about = _about(entry.read_bytes(), "built in")
            if about:
                found[about.name] = about
    return found


def of_bundle(folder: Path) -> About | None:
    """The agent that a bundle's copy brings."""
    return _of_file(folder / "agent.yaml", "bundle")


def of_path(path: Path) -> About | None:
    """The agent of a user's file, as far as it can be read."""
    return _of_file(path, str(path))


def _of_file(path: Path, origin: str) -> About | None:
    try:
        with path.open("rb") as file:
            return _about(file.read(FILE_BYTES), origin)
    except OSError:
        return None


@lru_cache(maxsize=16)
def _about(data: bytes, origin: str) -> About | None:
    try:
        value = yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 (both are safe)
    except yaml.YAMLError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return None
    return About(
        name=value["name"], title=str(value.get("title") or value["name"]),
        description=" ".join(str(value.get("description") or "").split()),
        programs=tuple(str(one) for one in value.get("programs") or ()),
        events=_count(value, "events"), features=_count(value, "features"), rules=_count(value, "rules"),
        window_s=_number(value.get("window_s"), 300.0), has_silence=bool(value.get("silence") or value.get("heartbeats")),
        origin=origin,
    )  # fmt: skip


def _count(value: Mapping[str, Any], name: str) -> int:
    found = value.get(name)
    return len(found) if isinstance(found, list) else 0


def _number(value: object, usual: float) -> float:
    return float(value) if isinstance(value, int | float) else usual
