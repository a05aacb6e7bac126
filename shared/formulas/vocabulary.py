"""The functions that feature formulas are made of, and how a formula becomes one of a window.

A formula such as `attempts(psk_mismatch, by=mac, gap_s=2)` is compiled against an agent's events into a closure over a
`View`. What a host cannot have is NaN. Sessions and attempts are cut at a window's edge, so a window is a pure function
of its rows. `docs/agents.md` lists the functions for writers of agent files.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from shared.formulas import formula
from shared.formulas.call import Call, Needs
from shared.formulas.counting import COUNTING
from shared.formulas.device import PER_DEVICE
from shared.formulas.formula import Evaluate, FormulaError
from shared.formulas.lexicon import Lexicon
from shared.formulas.reading import READINGS
from shared.formulas.time import ORDER_AND_TIME

ADDITIVE = frozenset({"lines", "count", "attempts", "rejoins", "unannounced", "bursts", "seconds", "unseen"})

FUNCTIONS: dict[str, Callable[[Call], Evaluate]] = {**COUNTING, **PER_DEVICE, **ORDER_AND_TIME, **READINGS}


@dataclass(frozen=True, slots=True)
class Formula:
    """A compiled feature formula. `additive`: the value over several panes is the sum of the panes' values."""

    evaluate: Evaluate
    additive: bool
    events: frozenset[str] | None  # None: always evaluate; otherwise `empty` where none of these events is there
    empty: float
    ordered: frozenset[str]
    by: frozenset[str]
    spans: bool = False
    needs_order: bool = False  # over several panes it reads timed rows again
    needs: Needs = field(default_factory=Needs)  # what training has to learn for it


def compile_formula(text: str, lexicon: Lexicon) -> Formula:
    """Compile a feature's formula against an agent's events. Raises FormulaError with the part that is wrong."""
    needs = Needs()

    def call(function: str, args: list[ast.expr], named: dict[str, ast.expr]) -> Evaluate:
        if function not in FUNCTIONS:
            raise FormulaError(f"unknown function {function!r}; there are {', '.join(FUNCTIONS)}")
        arguments = Call(function, args, named, lexicon, needs)
        evaluate = FUNCTIONS[function](arguments)
        arguments.done()
        return evaluate

    def name(identifier: str) -> Evaluate:
        raise FormulaError(f"{identifier!r} is not a function call; write count({identifier})")

    evaluate = formula.compile_expression(text, name, call)
    root = formula.parse(text)
    single = isinstance(root, ast.Call) and isinstance(root.func, ast.Name)
    if not single and (needs.habit or needs.joins):
        raise FormulaError(
            "excess and marked stand alone: in training their answer is known only once all rows were seen; "
            "give them a feature of their own and use its name in the rules"
        )
    additive = single and root.func.id in ADDITIVE  # type: ignore[attr-defined]
    always = needs.always or not single
    return Formula(
        evaluate,
        additive,
        None if always else frozenset(needs.events),
        needs.empty,
        frozenset(needs.ordered),
        frozenset(needs.by),
        needs.spans,
        bool(needs.ordered) and not additive and "attempts_of_members" not in text,
        needs,
    )
