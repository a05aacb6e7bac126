"""Formula functions that look at each device: who did most, who is new, who goes beyond its own habit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import lru_cache

from shared.formulas.call import Call, flat, peaks
from shared.formulas.formula import Evaluate
from shared.panes import Cell, View
from shared.reference import DEFAULT_USUAL, Knowing


def _most(call: Call) -> Evaluate:
    """The largest count that one device (or user, address) has of any of these events."""
    groups, by = call.events(), call.key_field()
    call.counted(by, groups)
    return lambda view: float(max(peaks(view, by, groups), default=0))


def _unfinished(call: Call) -> Evaluate:
    """Sum over devices of what was begun and never done: max of `begun` counts minus max of `done` counts."""
    call.no_events("begun", "done")
    begun, done, by = call.several("begun"), call.several("done"), call.key_field()
    call.counted(by, begun, done)

    def evaluate(view: View) -> float:
        pairs = zip(peaks(view, by, begun), peaks(view, by, done), strict=True)
        return float(sum([many - few for many, few in pairs if many > few]))

    return evaluate


def _devices_with(call: Call) -> Evaluate:
    """Devices that have at least `at_least` of one of these events."""
    groups, by, least = call.events(), call.key_field(), call.number("at_least")
    call.counted(by, groups)
    return lambda view: float(sum([many >= least for many in peaks(view, by, groups)]))


def _excess(call: Call) -> Evaluate:
    """How far the device furthest beyond its own usual count (learnt in training) is beyond it."""
    groups, by = call.events(), call.key_field()
    call.needs.habit = (groups, by)
    call.counted(by, groups)

    def evaluate(view: View) -> float:
        found = peaks(view, by, groups)
        if max(found, default=0) <= DEFAULT_USUAL:  # nobody's usual count is less
            return 0.0
        many = {key: count for key, count in zip(view.tables[by], found, strict=True) if count > DEFAULT_USUAL}
        return float(view.known.excess(many))

    return evaluate


def _unseen(call: Call) -> Evaluate:
    """Rows that name a known network at an access point or channel never seen in training.

    `unseen(attempt.auth, attempt.assoc, done=[handshake_ok.station])`: an access point that changed its channel lets its
    stations in. Tries at a known one on a new channel do not count where one was done in the same window, unless the
    old channel is tried there too: then there are two.
    """
    groups = call.events()
    call.needs.aims = groups
    wanted, done = flat(groups), flat(call.several("done")) if "done" in call.named else frozenset()

    def evaluate(view: View) -> float:
        slots, known, found = wanted, view.known, 0
        for pane in view.panes:
            strange = [cell for cell in pane.cells if cell.slot in slots and known.unseen(cell.fields)]
            found += sum(pane.cells[cell] for cell in strange if not _moved(pane.cells, cell, slots, done, known))
        return float(found)

    return evaluate


def _moved(cells: Iterable[Cell], tried: Cell, wanted: frozenset[int], done: frozenset[int], known: Knowing) -> bool:
    """Whether a try at a strange channel was at an access point that only moved there."""
    if not done or not known.met(tried.fields):
        return False
    here = [cell for cell in cells if cell.fields.get("bssid") == tried.fields["bssid"]]
    beside = any(cell.slot in wanted and not known.unseen(cell.fields) for cell in here)
    return not beside and any(cell.slot in done for cell in here)


def _marked(call: Call) -> Evaluate:
    """Rows of these events on interfaces where, in training, some joins lacked the `step` before them.

    `marked(auth_fail.noack, join=assoc, step=auth_ok, by=mac, within_s=5)`: WPA3 (SAE) joins log no `authenticated`.
    """
    wanted = flat(call.events())
    call.needs.joins = (call.several("join"), call.several("step"), call.key_field(), call.number("within_s"))

    def evaluate(view: View) -> float:
        rows: dict[str, int] = {}
        for pane in view.panes:
            for cell, count in pane.cells.items():
                if cell.slot in wanted:
                    interface = cell.fields.get("iface", "")
                    rows[interface] = rows.get(interface, 0) + count
        return float(view.known.on_marked(view.host, rows)) if rows else 0.0

    return evaluate


def _private_share(call: Call) -> Evaluate:
    """Share of MAC addresses with the locally administered bit: made-up addresses, mostly phones."""
    call.no_events()
    by = call.key_field()
    call.needs.always = True

    def evaluate(view: View) -> float:
        known = [private for private in map(_is_private, view.tables[by]) if private is not None]
        return sum(known) / len(known) if known else math.nan

    return evaluate


@lru_cache(20_000)
def _is_private(mac: str) -> bool | None:
    """Whether the locally administered bit is set; None where the digit that holds it is masked."""
    digit = mac[1:2].lower()
    return digit in "2367abef" if digit and digit in "0123456789abcdef" else None


PER_DEVICE: dict[str, Callable[[Call], Evaluate]] = {
    "most": _most,
    "unfinished": _unfinished,
    "devices_with": _devices_with,
    "excess": _excess,
    "unseen": _unseen,
    "marked": _marked,
    "private_share": _private_share,
}
