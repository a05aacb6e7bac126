"""An agent's features, compiled once: which of them a window with given events has to compute, and from what.

Most features of most windows are what they are where nothing happened, so each set of events and roles that occurs gets a
plan of the few formulas to evaluate; plans are remembered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from shared.agent import AgentSpec
from shared.formulas.formula import Evaluate, FormulaError
from shared.formulas.lexicon import Lexicon
from shared.formulas.vocabulary import Formula, compile_formula
from shared.panes import Keys, View
from shared.rules import names_in_rules

ANY_ROLE = "any"  # the role of hosts of an agent that tells none apart
MAX_PLANS = 4_096  # sets of events whose plan is remembered

_Work = list[tuple[int, Evaluate]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to compute where certain events and roles occur, by position: now, summed over panes, and from merged counts.

    `spans` are those of the merged that depend on where the trailing view starts. `template` holds the values of all
    features that are not computed; `mixed`: rows of several roles.
    """

    template: list[float]
    short: _Work
    copies: list[tuple[int, int]]
    added: list[int]
    merged: _Work
    spans: _Work
    mixed: bool


class FeatureTable:
    """An agent's features compiled once, and which of them a pane with given events has to compute."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec
        self.lexicon = Lexicon(spec)
        self.names = tuple(feature.name for feature in spec.features)
        self.formulas = tuple(self._compile(feature.name, feature.formula) for feature in spec.features)
        self.roles = spec.role_names or (ANY_ROLE,)
        silence = (*spec.silence.joined, *spec.silence.left) if spec.silence else ()
        self.ordered = frozenset(reference.partition(".")[0] for reference in silence).union(
            *(formula.ordered for formula in self.formulas)
        )
        self.by = tuple(sorted(frozenset().union(*(formula.by for formula in self.formulas))))
        used = names_in_rules(spec)
        self._long = {i for i, feature in enumerate(spec.features) if feature.scored or feature.name in used}
        self.long_by = tuple(sorted(frozenset().union(*(self.formulas[i].by for i in self._long))))
        self.reordered = [self.names[i] for i in sorted(self._long) if self.formulas[i].needs_order]
        self._keyed = frozenset().union(*(formula.needs.keyed for formula in self.formulas))
        self._masks = [self._mask(formula) for formula in self.formulas]
        self._role_bits = {role: 1 << (len(self.lexicon.events) + n) for n, role in enumerate(self.roles)}
        self._timed = [i for i, formula in enumerate(self.formulas) if formula.needs.timed]
        self._first_of = {feature.formula: i for i, feature in reversed(list(enumerate(spec.features)))}
        self._plans: dict[int, _Plan] = {}
        self._clock: tuple[float, list[tuple[int, float]]] = (-math.inf, [])

    def watch(self) -> tuple[str, frozenset[int], frozenset[int]] | None:
        """(key field, slots of joining, slots of leaving) of the agent's `silence` section."""
        silence = self.spec.silence
        if silence is None:
            return None
        joined = frozenset(slot for name in silence.joined for slot in self.lexicon.slots(name))
        return silence.key, joined, frozenset(slot for name in silence.left for slot in self.lexicon.slots(name))

    def events_of(self) -> dict[str, frozenset[str]]:
        """Feature → the events that it counts; those that look at every line have none."""
        return {name: frozenset(formula.needs.events) for name, formula in zip(self.names, self.formulas, strict=True)}

    def keys_of(self, fields: Mapping[str, str], slot: int) -> Keys:
        """Where a message with these fields counts in the tables of key fields."""
        return tuple(
            (place, fields[field], (field, slot) in self._keyed)
            for place, field in enumerate(self.by)
            if field in fields
        )

    def role_bits(self, roles: list[int]) -> int:
        """The bits of the roles that rows were written in."""
        return sum([bit for bit, rows in zip(self._role_bits.values(), roles, strict=False) if rows])

    def _compile(self, name: str, text: str) -> Formula:
        try:
            return compile_formula(text, self.lexicon)
        except FormulaError as error:
            raise FormulaError(f"feature {name}: {error}") from None

    def _mask(self, formula: Formula) -> int:
        return -1 if formula.events is None else sum(self.lexicon.bits[event] for event in formula.events)

    def _plan(self, mask: int) -> _Plan:
        """The plan for the events and roles of `mask`; few masks occur, so they are remembered."""
        plan = self._plans.get(mask)
        if plan is None:
            if len(self._plans) > MAX_PLANS:
                self._plans.clear()
            plan = self._plans[mask] = self._make_plan(mask)
        return plan

    def _make_plan(self, mask: int) -> _Plan:
        roles = {role for role, bit in self._role_bits.items() if mask & bit} or {self.roles[0]}
        features = self.spec.features
        here = [feature.role == ANY_ROLE or feature.role in roles for feature in features]
        active = [
            i
            for i, need in enumerate(self._masks)
            if here[i] and (need == -1 or need & mask) and not self.formulas[i].needs.timed
        ]
        long = [i for i in active if i in self._long]
        origin = {i: self._first_of[features[i].formula] for i in active}
        copies = [(i, first) for i, first in origin.items() if first != i and first in origin]
        copied = {i for i, _ in copies}
        return _Plan(
            [formula.empty if at_home else math.nan for formula, at_home in zip(self.formulas, here, strict=True)],
            [(i, self.formulas[i].evaluate) for i in active if i not in copied],
            copies,
            [i for i in long if self.formulas[i].additive],
            [(i, self.formulas[i].evaluate) for i in long if not self.formulas[i].additive],
            [(i, self.formulas[i].evaluate) for i in long if self.formulas[i].needs.spans],
            len(roles) > 1,
        )

    def short(self, view: View) -> list[float]:
        """Every feature over one pane; NaN where it cannot be known."""
        plan = self._plan(view.last.mask)
        values = plan.template.copy()
        for i, evaluate in plan.short:
            values[i] = evaluate(view)
        for i, first in plan.copies:
            values[i] = values[first]
        for i, value in self._clock_values(view):
            values[i] = value
        return values

    def _clock_values(self, view: View) -> list[tuple[int, float]]:
        """The features that only the window's start decides: the same for all hosts."""
        start, values = self._clock
        if start != view.last.start:
            values = [(i, self.formulas[i].evaluate(view)) for i in self._timed]
            self._clock = view.last.start, values
        return values

    def long(self, view: View) -> list[float]:
        """Scored features and those of rules over all panes of the view: sums where exact, else from merged counts."""
        if len(view.panes) == 1:
            values = view.last.values.copy()
            for i, evaluate in self._plan(view.last.mask).spans:
                values[i] = evaluate(view)
            return values
        mask = 0
        for pane in view.panes:
            mask |= pane.mask
        plan = self._plan(mask)
        values = plan.template.copy()
        vectors = [pane.values for pane in view.panes]
        if plan.mixed:  # a pane without rows of a role misses that role's features
            vectors = [[0.0 if value != value else value for value in vector] for vector in vectors]
        for i in plan.added:
            values[i] = sum([vector[i] for vector in vectors])
        for i, evaluate in plan.merged:
            values[i] = evaluate(view)
        return values

    def of_role(self, values: list[float], role: str, mask: int) -> list[float]:
        """The values with other roles' features missing; `mask` tells the roles that they were computed for."""
        if self._plan(mask).mixed or not mask & self._role_bits[role]:
            return [
                value if feature.role in (ANY_ROLE, role) else math.nan
                for value, feature in zip(values, self.spec.features, strict=True)
            ]
        return values
