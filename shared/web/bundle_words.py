"""What a bundle says about itself, as far as pages need it: titles, advice, how much it learnt from.

Read from its JSON and agent file, leniently: a page must be drawn whatever a bundle left out.
"""

from __future__ import annotations

import bisect
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from shared import layout
from shared.values import LOG_SILENT
from shared.web import words

logger = logging.getLogger(__name__)

FILE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class RuleWords:
    """How the agent file names a kind of anomaly, and what helps against it."""

    title: str
    description: str = ""
    helps: tuple[str, ...] = ()


@dataclass(frozen=True)
class BundleWords:
    """One version's words and figures."""

    title: str = ""
    description: str = ""
    features: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # name → (title, unit)
    rules: Mapping[str, RuleWords] = field(default_factory=dict)
    silences: Mapping[str, RuleWords] = field(
        default_factory=dict
    )  # a silence has its own words, whatever rule has its kind
    normal: Mapping[str, Mapping[str, tuple[float, float, float]]] = field(
        default_factory=dict
    )  # low, middle, high by role
    samples: tuple[int, ...] = ()  # windows behind the score distribution, a figure a role
    threshold: float | None = None  # the alert line as N of "1 in N"
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sample(self) -> int | None:
        """Windows behind the largest role's score distribution."""
        return max(self.samples, default=None)

    def is_beyond(self, one_in: float | None) -> bool:
        """Whether a rarity says "rarer than all windows of training": its role's number of windows plus one."""
        return one_in is not None and any(abs(one_in - sample - 1) < 0.5 for sample in self.samples)

    def height(self, one_in: float | None, is_anomaly: bool) -> float:
        """Where a chart draws a rarity. Beyond the sample there is no figure, so the bar just stands in the shade; a
        silence has no rows to score, so it stands there too.
        """
        top = float(self.sample or 1000)
        if self.is_beyond(one_in) or (one_in is None and is_anomaly):
            return top * 8
        return max(one_in or 1.0, 1.0)

    def rarity(self, one_in: float | None) -> str:
        """A rarity in words."""
        return words.rarity(one_in, 0 if self.is_beyond(one_in) else self.sample)

    def feature(self, name: str) -> tuple[str, str]:
        """A feature's title and unit; `lines_30min` is `lines` over the half hour."""
        if name in self.features:
            return self.features[name]
        base, _, ending = name.rpartition("_")
        if base in self.features and ending.endswith("min") and ending[:-3].isdigit():
            title, unit = self.features[base]
            return f"{title}, over {ending[:-3]} minutes", unit
        if ending == "s" and base:  # such as silence_s, which no agent file describes
            return base.replace("_", " "), "s"
        return name.replace("_", " "), ""

    def advice(self, type_: str | None, found_by: str = "") -> RuleWords | None:
        """Title and helps of an incident: a silence's own, else those of the first rule of its kind."""
        own = self.silences.get(type_ or "") if found_by == "silence" else None
        return own or self.rules.get(type_ or "")

    def kind(self, type_: str | None, found_by: str = "") -> str:
        """A kind of anomaly as people call it."""
        named = self.advice(type_, found_by)
        if named is not None:
            return named.title
        return (type_ or "unusual").replace("_", " ").capitalize()


NO_WORDS = BundleWords()
NOBODY = RuleWords(
    "The whole log is silent",
    "No host has written a line, though some never were that quiet in training.",
    (
        "See whether rsyslog still runs on the machine that collects the log, and whether its disk is full.",
        "See whether the network between the hosts and that machine is up, and whether there was a power cut.",
        "Windows of this time are judged again when their lines come after all.",
    ),
)


def words_of(models: Path, agent: str, version: str) -> BundleWords:
    """The words of a version in a store or a models folder; NO_WORDS where there is no copy (any more)."""
    if not (layout.is_agent(agent) and layout.is_version(version)):
        return NO_WORDS
    folder = layout.bundle_folder(models, agent, version)
    try:
        return _read(folder, (folder / "metadata.json").stat().st_mtime_ns)
    except OSError:
        return NO_WORDS


@lru_cache(maxsize=8)
def _read(folder: Path, _changed: int) -> BundleWords:
    """Parse one copy; versions never change, so once is enough."""
    metadata, reference = _json(folder / "metadata.json"), _json(folder / "reference.json")
    agent = _yaml(folder / "agent.yaml")
    return BundleWords(
        title=str(agent.get("title", "")),
        description=str(agent.get("description", "")),
        features={
            str(entry.get("name")): (str(entry.get("title") or entry.get("name")), str(entry.get("unit") or ""))
            for entry in _mappings(agent.get("features"))
        },
        rules=_rules(agent),
        silences=_silences(agent),
        normal={
            str(role): {str(name): triple for name, own in _mapping(names).items() if (triple := _triple(own))}
            for role, names in _mapping(reference.get("normal")).items()
        },
        samples=tuple(count for count in _mapping(reference.get("windows")).values() if isinstance(count, int)),
        threshold=_alert_line(metadata, reference),
        metadata=metadata,
    )


def _rules(agent: Mapping[str, Any]) -> dict[str, RuleWords]:
    found: dict[str, RuleWords] = {}
    for entry in _mappings(agent.get("rules")):
        kind = str(entry.get("type") or entry.get("id"))  # several rules may name one kind: the first one's words stand
        title, description = str(entry.get("title") or kind), str(entry.get("description") or "")
        found.setdefault(kind, RuleWords(title, description, _texts(entry.get("helps"))))
    for kind, silence in _silences(agent).items():
        found.setdefault(kind, silence)
    return found


def _silences(agent: Mapping[str, Any]) -> dict[str, RuleWords]:
    """The words of the agent's silences and heartbeats, by kind, and of the silence of all hosts."""
    found = {
        str(own["type"]): RuleWords(
            str(own.get("title") or "Silence"), str(own.get("description") or ""), _texts(own.get("helps"))
        )
        for own in [*_mappings([agent.get("silence")]), *_mappings(agent.get("heartbeats"))]
        if own.get("type")
    }
    return {LOG_SILENT: NOBODY, **found} if found else {}


def _alert_line(metadata: Mapping[str, Any], reference: Mapping[str, Any]) -> float | None:
    """The threshold as N of "1 in N", as training noted it, else from the largest role's score distribution."""
    noted = _mapping(metadata.get("thresholds")).get("rarity")
    if isinstance(noted, int | float) and noted >= 2:
        return words.two_digits(noted)
    threshold, windows = reference.get("threshold"), _mapping(reference.get("windows"))
    known = [
        (count, _mapping(reference.get("scores")).get(role))
        for role, count in windows.items()
        if isinstance(count, int)
    ]
    total, scores = max(known, key=lambda each: each[0], default=(0, None))
    if not isinstance(threshold, int | float) or not isinstance(scores, list) or not scores:
        return None
    above = len(scores) - bisect.bisect_left(scores, threshold)  # only the highest scores may be kept one by one
    return words.two_digits((total + 1) / (above + 1))


def _triple(figures: object) -> tuple[float, float, float] | None:
    """Low, middle and high of a feature, where they are three numbers."""
    if not isinstance(figures, list) or len(figures) != 3 or not all(isinstance(one, int | float) for one in figures):
        return None
    return float(figures[0]), float(figures[1]), float(figures[2])


def _json(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(FILE_BYTES))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError) as error:
        logger.info("bundle file not readable file=%s error=%s", path, error)
        return {}


def _yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = yaml.load(file.read(FILE_BYTES), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
        return found if isinstance(found, dict) else {}
    except (OSError, yaml.YAMLError) as error:
        logger.info("agent file not readable file=%s error=%s", path, error)
        return {}


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(entry) for entry in value) if isinstance(value, list) else ()
