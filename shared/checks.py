"""What only compiling can tell of an agent file: formulas, rules, and the names that they use of each other."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import replace

from shared.agent import UNUSUAL, AgentSpec
from shared.causes import faults_of
from shared.feature_table import FeatureTable
from shared.formulas.formula import FormulaError
from shared.formulas.lexicon import Lexicon
from shared.formulas.vocabulary import compile_formula
from shared.rules import RuleBook


def check_spec(spec: AgentSpec) -> list[str]:
    """The faults of an agent's formulas, rules and texts, each as "where: what"; empty where all is well."""
    try:
        table = FeatureTable(spec)
        table.watch()
        RuleBook(spec)
    except FormulaError:
        return [*_each_fault(spec)]
    faults = [
        f"feature {name}: what reads the rows' order again can be neither scored nor used in a rule"
        for name in table.reordered
    ]
    return [*faults, *_learnt_once(spec, table), *_texts(spec), *faults_of(spec.explains, _kinds(spec))]


def _each_fault(spec: AgentSpec) -> Iterator[str]:
    """Every formula, reference and rule that does not compile, where the first one is not enough to know."""
    lexicon = Lexicon(spec)
    tries: list[tuple[str, Callable[[], object]]] = [
        (f"feature {one.name}: ", lambda one=one: compile_formula(one.formula, lexicon))  # type: ignore[misc]
        for one in spec.features
    ]
    if spec.silence:
        named = [("joined", spec.silence.joined), ("left", spec.silence.left)]
        tries += [
            (f"silence.{key}: ", lambda event=event: lexicon.slots(event))  # type: ignore[misc]
            for key, events in named
            for event in events
        ]
    tries += [("", lambda rule=rule: RuleBook(replace(spec, rules=(rule,)))) for rule in spec.rules]  # type: ignore[misc]
    for where, attempt in tries:
        try:
            attempt()
        except FormulaError as error:
            yield f"{where}{error}"


def _learnt_once(spec: AgentSpec, table: FeatureTable) -> Iterator[str]:
    """Training learns one habit and one kind of join for an agent; a second of another form would get the first's."""
    for word in ("habit", "joins"):
        first = None
        for feature, formula in zip(spec.features, table.formulas, strict=True):
            need = getattr(formula.needs, word)
            if need is not None and first not in (None, need):
                call = "excess" if word == "habit" else "marked"
                yield f"feature {feature.name}: an agent has one {call}; another feature asks it for other events"
            first = first or need


def _kinds(spec: AgentSpec) -> set[str]:
    """Every type that a verdict of this agent can have."""
    hints = {feature.scored.hint for feature in spec.features if feature.scored and feature.scored.hint}
    silence = {one.type for one in spec.heartbeats} | ({spec.silence.type} if spec.silence else set())
    return {rule.names for rule in spec.rules} | hints | silence | {UNUSUAL}


def _texts(spec: AgentSpec) -> Iterator[str]:
    """Descriptions name what is there, and nothing but name it: a form such as {x:>9999} could fill the memory."""
    features = {feature.name for feature in spec.features} | {"host"}
    texts = [(f"rule {rule.id}", rule.description, features) for rule in spec.rules]
    silences = [("silence", spec.silence.description)] if spec.silence else []
    silences += [(f"heartbeats.{one.role}", one.description) for one in spec.heartbeats]
    texts += [(where, text, {"host", "minutes"}) for where, text in silences]
    for where, text, names in texts:
        try:
            parts = [part[1:] for part in string.Formatter().parse(text) if part[1] is not None]
        except ValueError as error:
            yield f"{where}.description: {error}; a brace that is meant is written twice"
            continue
        for name in sorted({str(name) for name, _, _ in parts} - names):
            known = "feature" if "minutes" not in names else "part of this text, which knows {host} and {minutes}"
            yield f"{where}.description: {{{name}}} is no {known}"
        if any(form or conversion for _, form, conversion in parts):
            yield f"{where}.description: a name in braces stands alone, without : or !"
