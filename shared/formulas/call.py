"""One call in a feature formula: its arguments, checked as they are asked for, and what it needs of rows and of training."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.formulas import formula
from shared.formulas.formula import FormulaError
from shared.formulas.lexicon import Groups, Lexicon
from shared.panes import Counts, View


@dataclass(slots=True)
class Needs:
    """What a formula reads, collected while it is compiled."""

    events: set[str] = field(default_factory=set)
    always: bool = False  # evaluate it even where none of its events is there
    empty: float = 0.0  # its value where none of its events is there
    spans: bool = False  # it depends on where the view starts
    timed: bool = False  # it depends on the window's start alone
    habit: tuple[Groups, str] | None = None  # (slots, key field) whose usual counts training learns
    joins: tuple[Groups, Groups, str, float] | None = None  # (join, step, key field, within s)
    keyed: set[tuple[str, int]] = field(default_factory=set)  # (key field, slot) that must be counted per key
    aims: Groups | None = None  # slots whose network, address and channel training learns
    ordered: set[str] = field(default_factory=set)
    by: set[str] = field(default_factory=set)


class Call:
    """The arguments of one call, checked as they are asked for."""

    def __init__(
        self, name: str, args: list[ast.expr], named: dict[str, ast.expr], lexicon: Lexicon, needs: Needs
    ) -> None:
        self.name, self.args, self.named, self.lexicon, self.needs = name, args, dict(named), lexicon, needs

    def refs(self, nodes: Iterable[ast.expr], ordered: bool = False) -> Groups:
        found = []
        for node in nodes:
            reference = formula.dotted(node)
            found.append(self.lexicon.slots(reference))
            self.needs.events.add(reference.partition(".")[0])
            if ordered:
                self.needs.ordered.add(reference.partition(".")[0])
        return tuple(found)

    def events(self, ordered: bool = False) -> Groups:
        if not self.args:
            raise FormulaError(f"{self.name} needs an event")
        return self.refs(self.args, ordered)

    def several(self, key: str, ordered: bool = False) -> Groups:
        node = self.take(key)
        return self.refs(node.elts if isinstance(node, ast.List) else [node], ordered)

    def take(self, key: str) -> ast.expr:
        if key not in self.named:
            raise FormulaError(f"{self.name} needs {key}=")
        return self.named.pop(key)

    def key_field(self) -> str:
        by = formula.dotted(self.take("by"))
        self.needs.by.add(by)
        return by

    def counted(self, by: str, *groups: Groups) -> None:
        """These events are counted for each value of the key field; others only tell that the value was there."""
        self.needs.keyed.update((by, slot) for several in groups for group in several for slot in group)

    def number(self, key: str, default: float | None = None) -> float:
        if key not in self.named and default is not None:
            return default
        return formula.number(self.take(key))

    def word(self, key: str) -> str:
        return formula.dotted(self.take(key))

    def done(self) -> None:
        if self.named:
            raise FormulaError(f"{self.name} does not know {', '.join(sorted(self.named))}")

    def no_events(self, *keys: str) -> None:
        """Refuse events that would be passed over; `keys` are the arguments that they belong to, where there are any."""
        if self.args:
            where = f": name them in {' and '.join(f'{key}=' for key in keys)}" if keys else ""
            raise FormulaError(f"{self.name} takes no event{where}")


def flat(groups: Groups) -> frozenset[int]:
    return frozenset(slot for group in groups for slot in group)


def counter(groups: Groups) -> Callable[[Counts], int]:
    """How many rows of any of the events there are in some counts."""
    return count_of(tuple(flat(groups)))


def count_of(slots: tuple[int, ...]) -> Callable[[Counts], int]:
    if len(slots) == 1:
        (only,) = slots
        return lambda counts: counts.get(only, 0)

    def total(counts: Counts) -> int:
        found = 0
        for slot in slots:
            found += counts.get(slot, 0)
        return found

    return total


def peaks(view: View, by: str, groups: Groups) -> list[int]:
    """For each value of `by` in the view's table, the largest count that any one of the events has; counted once."""
    key = (by, groups)
    found = view.peaks.get(key)
    if found is None:
        rows, there = view.tables[by].values(), view.slots
        present = [slots for group in groups if (slots := tuple([slot for slot in group if slot in there]))]
        columns = [_column(rows, slots) for slots in present]
        found = list(map(max, *columns)) if len(columns) > 1 else columns[0] if columns else [0] * len(rows)
        view.peaks[key] = found
    return found


def _column(rows: Iterable[Counts], slots: tuple[int, ...]) -> list[int]:
    """How many rows of these slots there are in each."""
    if len(slots) == 1:
        (only,) = slots
        return [counts.get(only, 0) for counts in rows]
    count = count_of(slots)
    return [count(counts) for counts in rows]
