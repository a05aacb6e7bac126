"""An agent: one kind of log, described by one YAML file. Loading, and the values that the rest of Pipit works with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.errors import ConfigError

BUILTIN = Path(__file__).parent / "agents"
UNKNOWN = "unknown"
UNUSUAL = "unusual"  # the kind of an anomaly that nothing names
MAX_BYTES = 1_000_000  # an agent file is a page or ten of text; more is a mistake or an attack


@dataclass(frozen=True, slots=True)
class Role:
    """What a host is, told by the programs that write there most (an access point, a station)."""

    name: str
    title: str
    programs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventSpec:
    """A class of messages. `patterns` are RE2 expressions with all macros expanded; `sets` the fixed fields of each."""

    name: str
    description: str
    patterns: tuple[str, ...]
    sets: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """How a feature takes part in the score: normal floor, the value that is never normal, what it hints at."""

    prior: float = 0
    guard: float | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """A number of a window: one formula over the window's events."""

    name: str
    title: str
    description: str
    role: str  # "any" or the name of a role
    unit: str
    formula: str
    scored: Scored | None = None


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A named condition over features; it holds when `level` is at least 1."""

    id: str
    title: str
    role: str
    level: str
    when: str  # "" means always
    alone: float | None  # the level from which the rule raises by itself; None: it only names
    severity: str
    confidence: float
    description: str
    helps: tuple[str, ...] = ()
    type: str = ""  # what the anomaly is called; several rules may name one thing. "" means the id

    @property
    def names(self) -> str:
        """The type that this rule gives an anomaly."""
        return self.type or self.id


@dataclass(frozen=True, slots=True)
class SilenceSpec:
    """When a host that says nothing is an anomaly. Times in seconds; `joined` and `left` are events or event.kind."""

    role: str
    type: str
    severity: str
    confidence: float
    description: str
    helps: tuple[str, ...]
    key: str
    joined: tuple[str, ...]
    left: tuple[str, ...]
    expire_s: float
    min_s: float
    factor: float
    slack_s: float
    empty_factor: float
    title: str = ""  # what people call it; empty: "Silence"


@dataclass(frozen=True, slots=True)
class HeartbeatSpec:
    """When a host of a role that always talked falls silent. Times in seconds.

    Watched are hosts that training saw on three days or more and never quiet for longer than `steady_s`; they may be quiet
    for `factor` times their longest pause, at least `min_s`.
    """

    role: str
    title: str
    type: str
    severity: str
    confidence: float
    description: str
    helps: tuple[str, ...]
    steady_s: float
    min_s: float
    factor: float


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """One agent, validated. `raw` is the exact text of its file: it travels with every model that was trained with it."""

    name: str
    version: int
    title: str
    description: str
    programs: tuple[str, ...]
    roles: tuple[Role, ...]
    events: tuple[EventSpec, ...]
    window_s: float = 300
    long_windows: int = 6
    grace_s: float = 30
    timezone: str = "UTC"
    macros: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    leaders: tuple[str, ...] = ()
    features: tuple[FeatureSpec, ...] = ()
    rules: tuple[RuleSpec, ...] = ()
    silence: SilenceSpec | None = None
    heartbeats: tuple[HeartbeatSpec, ...] = ()
    explains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # kind at one host -> kinds at its neighbours
    raw: bytes = b""

    @property
    def event_names(self) -> tuple[str, ...]:
        """All classes in the order of the file, `unknown` last: the positions that `Parsed.index` means."""
        return (*(event.name for event in self.events), UNKNOWN)

    @property
    def role_names(self) -> tuple[str, ...]:
        """The roles in the order of the file."""
        return tuple(role.name for role in self.roles)


def parse_agent(text: bytes, where: str) -> AgentSpec:
    """Read and check an agent file; `where` names it in messages.

    Raises:
        ConfigError: with every fault of the file at once, each as "path in the file: what is wrong (value)".
    """
    from shared.agent_build import build  # it needs the classes above

    if len(text) > MAX_BYTES:
        raise ConfigError(f"agent file {where}: {len(text)} bytes, at most {MAX_BYTES} are read; is it an agent file?")
    return build(text, where)


def load_agents(folders: Iterable[Path]) -> dict[str, AgentSpec]:
    """All agents of the given folders by name; a later folder may not redefine a name of an earlier one.

    Raises:
        ConfigError: a folder cannot be read, a file is faulty, or two files have the same name of agent.
    """
    agents: dict[str, AgentSpec] = {}
    faults: list[str] = []
    origin: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            faults.append(f"{folder}: no such folder of agent files; create it or correct the setting")
            continue
        for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
            try:
                spec = parse_agent(path.read_bytes(), str(path))
            except ConfigError as error:
                faults += error.faults or [str(error)]
                continue
            except OSError as error:
                faults.append(f"{path}: cannot be read: {error.strerror}")
                continue
            if spec.name in agents:
                faults.append(f"{path}: name: {spec.name!r} is already the name of the agent in {origin[spec.name]}")
                continue
            agents[spec.name], origin[spec.name] = spec, path
    if faults:
        raise ConfigError("loading agents failed; correct these entries:", tuple(faults))
    return agents


def builtin_agents() -> dict[str, AgentSpec]:
    """The agents that come with Pipit."""
    return load_agents([BUILTIN])
