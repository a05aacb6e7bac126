"""What an agent file may well say, and its writer hardly means: told when the trainer takes it up, refused nowhere.

A bundle must go on loading on a Pi for ever, so these are no faults of the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from shared.agent import AgentSpec
from shared.formulas import formula

ANY_PROGRAM = "*"
EVENT_FIELDS = {"field", "by"}  # keywords of formulas whose value is a field
FILTERED = "count"  # the function whose keywords are fields themselves


def doubts(spec: AgentSpec) -> list[str]:
    """The doubts, each as "where: what"; empty where there are none."""
    return [*_fields(spec), *_roles(spec), *_patterns(spec), *_scored(spec)]


def _fields(spec: AgentSpec) -> Iterator[str]:
    """Fields that formulas and `silence` ask for and no pattern fills: such a feature is 0 or missing for ever."""
    known = fields_of(spec)
    for feature in spec.features:
        for name in sorted(_asked(feature.formula) - known):
            yield f"feature {feature.name}: no pattern fills the field {name!r}; there are {', '.join(sorted(known))}"
    if spec.silence and spec.silence.key not in known:
        yield f"silence.key: no pattern fills the field {spec.silence.key!r}; there are {', '.join(sorted(known))}"


def fields_of(spec: AgentSpec) -> set[str]:
    """Every field that a line can have: named groups, fixed fields, and those that any line may carry."""
    found = set(spec.fields)
    for event in spec.events:
        found |= {name for pattern in event.patterns for name in re.compile(pattern).groupindex}
        found |= {name for fixed in event.sets for name in fixed}
    return found


def _asked(text: str) -> set[str]:
    """The fields that a formula names."""
    asked = set()
    for call in (node for node in ast.walk(formula.parse(text)) if isinstance(node, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        for word in call.keywords:
            if name == FILTERED and word.arg:
                asked.add(word.arg.removesuffix("__not"))
            elif word.arg in EVENT_FIELDS:
                asked.add(formula.dotted(word.value))
    return asked


def _roles(spec: AgentSpec) -> Iterator[str]:
    """Programs that tell a role and are never read."""
    for role in spec.roles:
        for program in role.programs:
            if program not in spec.programs:
                yield f"role {role.name}: {program!r} is not among the agent's programs, so no line of it is read"


def _patterns(spec: AgentSpec) -> Iterator[str]:
    """Patterns that match anywhere in a line: text that others choose can pose as the event, and every line costs more."""
    for event in spec.events:
        for number, pattern in enumerate(event.patterns):
            if not pattern.startswith("^"):
                yield f"event {event.name}.patterns[{number}]: not anchored; begin it with ^ ({pattern[:60]!r})"


def _scored(spec: AgentSpec) -> Iterator[str]:
    """Roles that nothing is scored for: there is no model without."""
    for role in spec.role_names or ("any",):
        if not any(feature.scored and feature.role in ("any", role) for feature in spec.features):
            of_role = "" if role == "any" else f" for the role {role}"
            yield f"features: none is scored{of_role}; a model needs one: give those that mean something `scored: {{}}`"
