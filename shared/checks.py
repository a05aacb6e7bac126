"""What only compiling can tell of an agent file: formulas, rules, and the names that they use of each other."""

from __future__ import annotations

import string
from collections.abc import Iterator

from shared.agent import UNUSUAL, AgentSpec
from shared.causes import faults_of
from shared.features import FeatureTable
from shared.formula import FormulaError
from shared.rules import RuleBook

ALWAYS_KNOWN = frozenset({"host", "minutes"})


def check_spec(spec: AgentSpec) -> list[str]:
    """The faults of an agent's formulas, rules and texts, each as "where: what"; empty where all is well."""
    try:
        table = FeatureTable(spec)
        table.watch()
        RuleBook(spec)
    except FormulaError as error:
        return [str(error)]
    faults = [
        f"feature {name}: what reads the rows' order again can be neither scored nor used in a rule"
        for name in table.reordered
    ]
    return [*faults, *_texts(spec), *faults_of(spec.explains, _kinds(spec))]


def _kinds(spec: AgentSpec) -> set[str]:
    """Every type that a verdict of this agent can have."""
    hints = {feature.scored.hint for feature in spec.features if feature.scored and feature.scored.hint}
    silence = {one.type for one in spec.heartbeats} | ({spec.silence.type} if spec.silence else set())
    return {rule.names for rule in spec.rules} | hints | silence | {UNUSUAL}


def _texts(spec: AgentSpec) -> Iterator[str]:
    names = {feature.name for feature in spec.features} | ALWAYS_KNOWN
    texts = [(f"rule {rule.id}", rule.description) for rule in spec.rules]
    if spec.silence:
        texts.append(("silence", spec.silence.description))
    texts += [(f"heartbeats.{one.role}", one.description) for one in spec.heartbeats]
    for where, text in texts:
        try:
            used = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        except ValueError as error:
            yield f"{where}.description: {error}"
            continue
        for name in sorted(used - names):
            yield f"{where}.description: {{{name}}} is no feature"
