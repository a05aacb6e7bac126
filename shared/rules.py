"""Rules of an agent file: conditions over a window's features that name an attack or a fault.

A rule's `level` is an expression; a value of at least 1 means that it holds. `over(feature, floor, cap)` is the feature
over the last half hour divided by twice the host's own worst normal day, kept between floor and cap; `over_now` is the
same over the newest window. A bare name is the feature over the half hour, `now(name)` over the newest window,
`normal(name)` the host's worst normal day. `leaves` is 1 where access points log that clients leave.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.agent import AgentSpec, RuleSpec
from shared.formulas import formula
from shared.formulas.formula import Evaluate, FormulaError

_WORD = re.compile(r"[a-z][a-z0-9_]*")
_FUNCTIONS = frozenset({"over", "over_now", "now", "normal", "max", "min", "and", "or", "not", "leaves", "times"})


def names_in_rules(spec: AgentSpec) -> frozenset[str]:
    """Every word of the rules' expressions that may be a feature."""
    return frozenset().union(*(names_in_rule(rule) for rule in spec.rules))


def names_in_rule(rule: RuleSpec) -> frozenset[str]:
    """Every word of a rule's expressions that may be a feature."""
    return frozenset(_WORD.findall(f"{rule.level} {rule.when}")) - _FUNCTIONS


@dataclass(frozen=True, slots=True)
class Facts:
    """What a rule sees: features over the half hour and now (NaN: missing), and the host's worst normal day.

    Features follow `RuleBook.feature_names`; those without a worst day count as 0 there.
    """

    long: Sequence[float]
    now: Sequence[float]
    worst: Mapping[str, float]  # long view
    worst_now: Mapping[str, float]
    leaves: bool


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that holds, and how far over its own threshold."""

    rule: RuleSpec
    level: float

    @property
    def raises(self) -> bool:
        """Whether the rule is sure enough to raise an anomaly by itself."""
        return self.rule.alone is not None and self.level >= self.rule.alone


class RuleBook:
    """The compiled rules of an agent. Raises FormulaError for a rule that does not compile."""

    def __init__(self, spec: AgentSpec) -> None:
        self.feature_names = tuple(feature.name for feature in spec.features)
        self._places = {name: place for place, name in enumerate(self.feature_names)}
        self._rules = [
            (rule, self._compile(rule, rule.level), self._compile(rule, rule.when or "1")) for rule in spec.rules
        ]

    def hits(self, role: str, facts: Facts) -> list[Hit]:
        """The rules that hold, in the order of the agent file: the first names the anomaly."""
        found = []
        for rule, level, when in self._rules:
            if rule.role in ("any", role) and (value := level(facts)) >= 1 and when(facts):
                found.append(Hit(rule, value))
        return found

    def _compile(self, rule: RuleSpec, text: str) -> Evaluate:
        try:
            return formula.compile_expression(text, self._name, self._call)
        except FormulaError as error:
            raise FormulaError(f"rule {rule.id}: {error}") from None

    def _feature(self, node: ast.expr) -> str:
        name = formula.dotted(node)
        if name not in self._places:
            raise FormulaError(f"no feature is called {name!r}")
        return name

    def _name(self, identifier: str) -> Evaluate:
        if identifier == "leaves":
            return lambda facts: float(facts.leaves)
        place = self._places[self._feature(ast.Name(id=identifier))]
        return lambda facts: _present(facts.long[place])

    def _call(self, function: str, args: list[ast.expr], named: dict[str, ast.expr]) -> Evaluate:
        times = formula.number(named.pop("times")) if "times" in named else 2.0
        if named:
            raise FormulaError(f"{function} does not know {', '.join(named)}")
        if function in ("max", "min"):
            parts = [formula.build(arg, self._name, self._call) for arg in args]
            if not parts:
                raise FormulaError(f"{function} needs something to choose from")
            choose = max if function == "max" else min
            return lambda facts: choose(part(facts) for part in parts)
        if function in ("now", "normal") and len(args) == 1:
            name = self._feature(args[0])
            if function == "now":
                place = self._places[name]
                return lambda facts: _present(facts.now[place])
            return lambda facts: facts.worst.get(name, 0.0)
        if function in ("over", "over_now") and len(args) == 3:
            name = self._feature(args[0])
            floor, cap = formula.number(args[1]), formula.number(args[2])
            return _over(name, self._places[name], floor, cap, times, function == "over_now")
        raise FormulaError(
            f"{function} with {len(args)} arguments is unknown; there are over(feature, floor, cap), over_now(…) alike, "
            "now(feature), normal(feature), max(…), min(…)"
        )


def _present(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _over(name: str, place: int, floor: float, cap: float, times: float, newest: bool) -> Evaluate:
    if not 0 < floor <= cap:
        raise FormulaError(f"over({name}) needs 0 < floor ≤ cap")

    def evaluate(facts: Facts) -> float:
        value, worst = (facts.now, facts.worst_now) if newest else (facts.long, facts.worst)
        present = value[place]
        if not present or present != present:  # most are 0 in most windows
            return 0.0
        return present / max(floor, min(cap, times * worst.get(name, 0.0)))

    return evaluate
