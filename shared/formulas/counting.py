"""Formula functions that count lines: how many, of which kind, how different, how severe."""

from __future__ import annotations

import math
from collections.abc import Callable

from shared.formulas import formula
from shared.formulas.call import Call, counter, flat
from shared.formulas.formula import Evaluate
from shared.panes import THERE, Pane, View


def _lines(call: Call) -> Evaluate:
    """Rows of the window."""
    call.no_events()
    call.needs.always = True
    return lambda view: float(view.rows)


def _top(call: Call) -> Evaluate:
    """Rows of the commonest event."""
    call.no_events()
    call.needs.always = True
    return lambda view: float(max(view.slots.values(), default=0))


def _count(call: Call) -> Evaluate:
    """Rows of these events; `field=[a, b]` keeps rows whose field is one of them, `field__not=` those where it is not."""
    groups = call.events()
    tests = [
        (key.removesuffix("__not"), formula.constants(call.take(key)), key.endswith("__not"))
        for key in list(call.named)
    ]
    if not tests:
        total = counter(groups)
        return lambda view: float(total(view.slots))
    wanted = flat(groups)

    def evaluate(view: View) -> float:
        slots = wanted
        return float(
            sum(
                count
                for pane in view.panes
                for cell, count in pane.cells.items()
                if cell.slot in slots
                and all((cell.fields.get(key) in values) != negated for key, values, negated in tests)
            )
        )

    return evaluate


def _unique(call: Call) -> Evaluate:
    """Different values of a field: `unique(by=mac)`."""
    call.no_events()
    by = call.key_field()
    call.needs.always = True
    return lambda view: float(len(view.tables[by]))


def _ratio(call: Call) -> Evaluate:
    """Share of these events' rows among all rows, or among the rows of the events in `of=`."""
    hits = counter(call.events())
    if "of" not in call.named:
        return lambda view: hits(view.slots) / view.rows
    of = counter(call.several("of"))
    call.needs.empty = math.nan
    return lambda view: hits(view.slots) / total if (total := of(view.slots)) else math.nan


def _severities(pane: Pane) -> dict[int, int]:
    """Rows per severity, counted once for all formulas."""
    found: dict[int, int] | None = pane.memo.get("severities")
    if found is None:
        found = {}
        for cell, count in pane.cells.items():
            found[cell.severity] = found.get(cell.severity, 0) + count
        pane.memo["severities"] = found
    return found


def _severity_ratio(call: Call) -> Evaluate:
    """Share of rows with a severity from `least` to `most` (0 emergency to 7 debug) among rows that have one."""
    call.no_events()
    call.needs.always = True
    least, most = call.number("least"), call.number("most")

    def evaluate(view: View) -> float:
        hit = known = 0
        for pane in view.panes:
            for severity, count in _severities(pane).items():
                if severity >= 0:
                    known += count
                    if least <= severity <= most:
                        hit += count
        return hit / known if known else math.nan

    return evaluate


def _programs(call: Call) -> Evaluate:
    """Different programs that wrote."""
    call.no_events()
    call.needs.always = True
    return lambda view: float(len({cell.program for pane in view.panes for cell in pane.cells}))


def _entropy(call: Call) -> Evaluate:
    """Shannon entropy in bits of a field's values, `entropy(by=mac)`: 0 when one value says everything."""
    call.no_events()
    by = call.key_field()
    call.needs.always = True
    call.counted(by, tuple((slot,) for slot in range(call.lexicon.size)))

    def evaluate(view: View) -> float:
        sizes = [sum(counts.values()) - counts[THERE] for counts in view.tables[by].values()]
        total = sum(sizes)
        return -sum(size / total * math.log2(size / total) for size in sizes) + 0.0 if total else math.nan

    return evaluate


COUNTING: dict[str, Callable[[Call], Evaluate]] = {
    "lines": _lines,
    "top": _top,
    "count": _count,
    "unique": _unique,
    "ratio": _ratio,
    "severity_ratio": _severity_ratio,
    "programs": _programs,
    "entropy": _entropy,
}
