"""Agents without patterns: the shapes of messages are mined from the export, and become the bundle's patterns.

An agent whose programs are `*` is a template. `mined` returns an ordinary agent: the programs that the export holds, one
event per common shape, a scored count for the commonest ones and one for the rest together. Mining is Drain's (He et al.,
"Drain: an online log parsing approach with fixed depth tree", 2017) over messages whose changing parts are masked first;
masked are also host names and what follows words like `user`, so that shapes carry little of one site.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

import yaml
from drain3 import TemplateMiner
from drain3.template_miner_config import TemplateMinerConfig

from shared.agent import AgentSpec, parse_agent
from shared.errors import TrainingError
from shared.values import Row

HOLE = "<*>"
MOST_PROGRAMS = 200
MOST_MESSAGES = 20_000  # different masked messages that are kept for the miner
MOST_SHAPES = 150
MOST_SCORED = 40  # shapes with a count of their own
LEAST_LINES = 3  # of a shape; what is rarer may as well be new
MOST_TOKENS = 30
PRIOR = 4.0  # so many lines of one shape in half an hour are never odd

_SPANS = re.compile(r"\"[^\"]*\"|'[^']*'|\[[^\]]*\]|\{.*\}")
_VALUES = re.compile(r"=\S+")
_NAMES = re.compile(r"\b((?:(?:user|User|for|by|from|as|ruser|account|host|identity|invalid)\s+)+)(?!<)[^\s:]+")
_CHANGING = re.compile(
    r"\S*(?:\d\S*\d|/)\S*|(?<!\S)(?:[^\s\d]{0,3}\d\S*|\S*\d[^\s\d]{0,1})(?!\S)"
)  # not 4WAY-HS, EAP2-FAILURE


def mined(spec: AgentSpec, rows: Iterable[Row]) -> AgentSpec:
    """The agent with the programs and shapes of these rows.

    Raises:
        TrainingError: there are no rows to mine.
    """
    hosts, programs, messages = set[str](), Counter[str](), Counter[str]()
    for row in rows:
        hosts.add(row[2])
        programs[row[3]] += 1
        text = masked(row[6])
        if text in messages or len(messages) < MOST_MESSAGES:
            messages[text] += 1
    if not programs:
        raise TrainingError(f"train: there is not one row for agent {spec.name} to learn from")
    shapes = _shapes(messages, hosts)
    names = [name for name, _ in programs.most_common(MOST_PROGRAMS)]
    text = yaml.safe_dump(_filled(spec, names, shapes), width=10_000)
    return parse_agent(text.encode(), f"the mined agent {spec.name}")


def masked(message: str) -> str:
    """The message with `<*>` for what changes from line to line.

    >>> masked("Accepted password for alice from 192.0.2.7 port 40022 ssh2")
    'Accepted password for <*> from <*> port <*> <*>'
    """
    text = _SPANS.sub(HOLE, message)
    text = _VALUES.sub(f"={HOLE}", text)
    text = _CHANGING.sub(HOLE, text)
    text = _NAMES.sub(rf"\1{HOLE}", text)
    return " ".join(text.split()[:MOST_TOKENS])


def _shapes(messages: Counter[str], hosts: set[str]) -> list[tuple[str, int]]:
    """The commonest shapes with their lines, commonest first."""
    config = TemplateMinerConfig()
    config.profiling_enabled = False
    config.drain_sim_th = 0.6
    miner = TemplateMiner(config=config)
    counts: Counter[int] = Counter()
    for text, count in messages.most_common():
        tokens = " ".join(HOLE if token.strip(".,:;") in hosts else token for token in text.split())
        if tokens:
            counts[miner.add_log_message(tokens)["cluster_id"]] += count
    shapes: Counter[str] = Counter()
    for cluster in miner.drain.clusters:
        shape = cluster.get_template()
        if set(shape.split()) != {HOLE}:
            shapes[shape] += counts[cluster.cluster_id]
    return [(shape, count) for shape, count in shapes.most_common(MOST_SHAPES) if count >= LEAST_LINES]


def pattern_of(shape: str) -> str:
    """An expression for the messages of a shape; a hole may be a quoted span, so it takes blanks as well.

    >>> pattern_of("session opened for <*>")
    '^session\\\\s+opened\\\\s+for\\\\s+.+'
    """
    tokens = [
        ".+" if token == HOLE else ".*".join(_literal(part) for part in token.split(HOLE)) for token in shape.split()
    ]
    return "^" + r"\s+".join(tokens)


def _literal(text: str) -> str:
    """The text as RE2 and `re` both take it literally; braces would be macros."""
    return re.sub(r"[^\w\s]", lambda found: "\\" + found[0] if found[0] in r"^\[]" else f"[{found[0]}]", text)


def _filled(spec: AgentSpec, programs: list[str], shapes: list[tuple[str, int]]) -> dict[str, Any]:
    """The template's own text as data, with programs, events and features put in."""
    data: dict[str, Any] = yaml.safe_load(spec.raw)
    names = {shape: f"shape_{number:03d}" for number, (shape, _) in enumerate(shapes, 1)}
    by_precision = sorted(names, key=lambda shape: (shape.count(HOLE), -len(shape)))  # the first that matches wins
    data["programs"] = programs
    data["events"] = [
        *data["events"],
        *(
            {"name": names[shape], "description": shape[:300], "patterns": [pattern_of(shape)]}
            for shape in by_precision
        ),
    ]
    own, rest = shapes[:MOST_SCORED], shapes[MOST_SCORED:]
    features = [_count([names[shape]], names[shape], f"“{shape[:80]}”", f"Lines of: {shape[:300]}") for shape, _ in own]
    if rest:
        others = [names[shape] for shape, _ in rest]
        features.append(_count(others, "rarer_shapes", "Rarer shapes", "Lines of all rarer shapes."))
    data["features"] = [*data["features"], *features]
    return data


def _count(events: list[str], name: str, title: str, description: str) -> dict[str, Any]:
    return {
        "name": name, "title": title, "description": description, "unit": "lines",
        "formula": f"count({', '.join(events)})", "scored": {"prior": PRIOR},
    }  # fmt: skip
