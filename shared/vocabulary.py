"""The functions that feature formulas are made of, each written once.

A formula such as `attempts(psk_mismatch, by=mac, gap_s=2)` is compiled against an agent's events into a closure over a
`View`. What a host cannot have is NaN. Sessions and attempts are cut at a window's edge, so a window is a pure function
of its rows. `docs/agents.md` lists the functions for writers of agent files.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from functools import lru_cache

from shared import formula
from shared.agent import AgentSpec
from shared.formula import Evaluate, FormulaError
from shared.panes import THERE, Counts, Pane, View
from shared.reference import DEFAULT_USUAL

NAN = math.nan


Groups = tuple[tuple[int, ...], ...]  # the slots meant by each of a call's events


class Lexicon:
    """An agent's events and their kinds as small numbers (slots)."""

    def __init__(self, spec: AgentSpec) -> None:
        self.events = spec.event_names
        self.bits = {event: 1 << index for index, event in enumerate(self.events)}
        self._slots: dict[tuple[str, str], int] = {}
        self._of_event: dict[str, tuple[int, ...]] = {}
        kinds = {event.name: sorted({"", *(fixed.get("kind", "") for fixed in event.sets)}) for event in spec.events}
        for event in self.events:
            for kind in kinds.get(event, [""]):
                self._slots[event, kind] = len(self._slots)
                self._of_event[event] = (*self._of_event.get(event, ()), self._slots[event, kind])

    @property
    def size(self) -> int:
        """How many slots there are."""
        return len(self._slots)

    def slot(self, event: str, kind: str) -> int:
        """The slot of an event's kind ("" for none)."""
        return self._slots[event, kind]

    def slots(self, reference: str) -> tuple[int, ...]:
        """Slots meant by `event` (all its kinds) or by `event.kind`."""
        event, _, kind = reference.partition(".")
        if event not in self.bits:
            raise FormulaError(f"no event is called {event!r}; there are {', '.join(self.events)}")
        if kind and (event, kind) not in self._slots:
            raise FormulaError(f"event {event} has no kind {kind!r}")
        return (self._slots[event, kind],) if kind else self._of_event[event]


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


class _Call:
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

    def no_events(self) -> None:
        if self.args:
            raise FormulaError(f"{self.name} takes no event")


def _flat(groups: Groups) -> frozenset[int]:
    return frozenset(slot for group in groups for slot in group)


def _counter(groups: Groups) -> Callable[[Counts], int]:
    """How many rows of any of the events there are in some counts."""
    return _count_of(tuple(_flat(groups)))


def _count_of(slots: tuple[int, ...]) -> Callable[[Counts], int]:
    if len(slots) == 1:
        (only,) = slots
        return lambda counts: counts.get(only, 0)

    def total(counts: Counts) -> int:
        found = 0
        for slot in slots:
            found += counts.get(slot, 0)
        return found

    return total


def _peaks(view: View, by: str, groups: Groups) -> list[int]:
    """For each value of `by` in the view's table, the largest count that any one of the events has; counted once."""
    key = (by, groups)
    found = view.peaks.get(key)
    if found is None:
        rows, there = view.tables[by].values(), view.slots
        present = [slots for group in groups if (slots := tuple([slot for slot in group if slot in there]))]
        if not present:
            found = [0] * len(rows)
        elif len(present) == 1:
            count = _count_of(present[0])
            found = [count(counts) for counts in rows]
        elif all(len(group) == 1 for group in present):
            singles = [group[0] for group in present]
            found = [max([counts.get(slot, 0) for slot in singles]) if len(counts) > 1 else 0 for counts in rows]
        else:
            counters = [_count_of(group) for group in present]
            found = [max([counter(counts) for counter in counters]) if len(counts) > 1 else 0 for counts in rows]
        view.peaks[key] = found
    return found


# -- counting ----------------------------------------------------------------------------------------------------------


def _lines(call: _Call) -> Evaluate:
    """Rows of the window."""
    call.no_events()
    call.needs.always = True
    return lambda view: float(view.rows)


def _top(call: _Call) -> Evaluate:
    """Rows of the commonest event."""
    call.no_events()
    call.needs.always = True
    return lambda view: float(max(view.slots.values(), default=0))


def _count(call: _Call) -> Evaluate:
    """Rows of these events; `field=[a, b]` keeps rows whose field is one of them, `field__not=` those where it is not."""
    groups = call.events()
    tests = [
        (key.removesuffix("__not"), formula.constants(call.take(key)), key.endswith("__not"))
        for key in list(call.named)
    ]
    if not tests:
        total = _counter(groups)
        return lambda view: float(total(view.slots))
    wanted = _flat(groups)

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


def _unique(call: _Call) -> Evaluate:
    """Different values of a field: `unique(by=mac)`."""
    call.no_events()
    by = call.key_field()
    call.needs.always = True
    return lambda view: float(len(view.tables[by]))


def _ratio(call: _Call) -> Evaluate:
    """Share of these events' rows among all rows, or among the rows of the events in `of=`."""
    hits = _counter(call.events())
    if "of" not in call.named:
        return lambda view: hits(view.slots) / view.rows
    of = _counter(call.several("of"))
    call.needs.empty = NAN
    return lambda view: hits(view.slots) / total if (total := of(view.slots)) else NAN


def _severities(pane: Pane) -> dict[int, int]:
    """Rows per severity, counted once for all formulas."""
    found: dict[int, int] | None = pane.memo.get("severities")
    if found is None:
        found = {}
        for cell, count in pane.cells.items():
            found[cell.severity] = found.get(cell.severity, 0) + count
        pane.memo["severities"] = found
    return found


def _severity_ratio(call: _Call) -> Evaluate:
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
        return hit / known if known else NAN

    return evaluate


def _programs(call: _Call) -> Evaluate:
    """Different programs that wrote."""
    call.no_events()
    call.needs.always = True
    return lambda view: float(len({cell.program for pane in view.panes for cell in pane.cells}))


def _entropy(call: _Call) -> Evaluate:
    """Shannon entropy in bits of a field's values, `entropy(by=mac)`: 0 when one value says everything."""
    call.no_events()
    by = call.key_field()
    call.needs.always = True
    call.counted(by, tuple((slot,) for slot in range(call.lexicon.size)))

    def evaluate(view: View) -> float:
        sizes = [sum(counts.values()) - counts[THERE] for counts in view.tables[by].values()]
        total = sum(sizes)
        return -sum(size / total * math.log2(size / total) for size in sizes) + 0.0 if total else NAN

    return evaluate


# -- per device --------------------------------------------------------------------------------------------------------


def _most(call: _Call) -> Evaluate:
    """The largest count that one device (or user, address) has of any of these events."""
    groups, by = call.events(), call.key_field()
    call.counted(by, groups)
    return lambda view: float(max(_peaks(view, by, groups), default=0))


def _unfinished(call: _Call) -> Evaluate:
    """Sum over devices of what was begun and never done: max of `begun` counts minus max of `done` counts."""
    begun, done, by = call.several("begun"), call.several("done"), call.key_field()
    call.counted(by, begun, done)

    def evaluate(view: View) -> float:
        pairs = zip(_peaks(view, by, begun), _peaks(view, by, done), strict=True)
        return float(sum([many - few for many, few in pairs if many > few]))

    return evaluate


def _devices_with(call: _Call) -> Evaluate:
    """Devices that have at least `at_least` of one of these events."""
    groups, by, least = call.events(), call.key_field(), call.number("at_least")
    call.counted(by, groups)
    return lambda view: float(sum([many >= least for many in _peaks(view, by, groups)]))


def _excess(call: _Call) -> Evaluate:
    """How far the device furthest beyond its own usual count (learnt in training) is beyond it."""
    groups, by = call.events(), call.key_field()
    call.needs.habit = (groups, by)
    call.counted(by, groups)

    def evaluate(view: View) -> float:
        found = _peaks(view, by, groups)
        if max(found, default=0) <= DEFAULT_USUAL:  # nobody's usual count is less
            return 0.0
        many = {key: count for key, count in zip(view.tables[by], found, strict=True) if count > DEFAULT_USUAL}
        return float(view.known.excess(many))

    return evaluate


def _unseen(call: _Call) -> Evaluate:
    """Rows that name a known network at an access point or channel never seen in training."""
    groups = call.events()
    call.needs.aims = groups
    wanted = _flat(groups)

    def evaluate(view: View) -> float:
        slots, known = wanted, view.known
        return float(
            sum(
                count
                for pane in view.panes
                for cell, count in pane.cells.items()
                if cell.slot in slots and known.unseen(cell.fields)
            )
        )

    return evaluate


def _marked(call: _Call) -> Evaluate:
    """Rows of these events on interfaces where, in training, some joins lacked the `step` before them.

    `marked(auth_fail.noack, join=assoc, step=auth_ok, by=mac, within_s=5)`: WPA3 (SAE) joins log no `authenticated`.
    """
    wanted = _flat(call.events())
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


def _private_share(call: _Call) -> Evaluate:
    """Share of MAC addresses with the locally administered bit: made-up addresses, mostly phones."""
    call.no_events()
    by = call.key_field()
    call.needs.always = True

    def evaluate(view: View) -> float:
        known = [private for private in map(_is_private, view.tables[by]) if private is not None]
        return sum(known) / len(known) if known else NAN

    return evaluate


@lru_cache(20_000)
def _is_private(mac: str) -> bool | None:
    """Whether the locally administered bit is set; None where the digit that holds it is masked."""
    digit = mac[1:2].lower()
    return digit in "2367abef" if digit and digit in "0123456789abcdef" else None


# -- order and time ----------------------------------------------------------------------------------------------------


def _attempt_counts(pane: Pane, slots: frozenset[int], by: str, gap_s: float) -> dict[str, int]:
    """Attempts per device in one pane: rows of one device closer than `gap_s` are one attempt."""
    key = ("attempts", slots, by, gap_s)
    found: dict[str, int] | None = pane.memo.get(key)
    if found is None:
        found = {}
        last: dict[str, float] = {}
        for time, cell in pane.ordered:
            if cell.slot in slots:
                who = cell.fields.get(by, "")
                if time - last.get(who, -math.inf) > gap_s:
                    found[who] = found.get(who, 0) + 1
                last[who] = time
        pane.memo[key] = found
    return found


def _attempts(call: _Call) -> Evaluate:
    """Attempts, not lines: rows of one device closer than `gap_s` count once.

    `unless=[eap.wps], unless_s=30` leaves out what follows such a row, of the same device where both name one.
    """
    groups, by, gap_s = call.events(ordered=True), call.key_field(), call.number("gap_s")
    wanted = _flat(groups)
    if "unless" not in call.named:
        return lambda view: float(sum([sum(_attempt_counts(pane, wanted, by, gap_s).values()) for pane in view.panes]))
    excuses, unless_s = _flat(call.several("unless", ordered=True)), call.number("unless_s")

    def evaluate(view: View) -> float:
        return float(sum([_unexcused(pane, wanted, by, gap_s, excuses, unless_s) for pane in view.panes]))

    return evaluate


def _unexcused(
    pane: Pane, slots: frozenset[int], by: str, gap_s: float, excuses: frozenset[int], unless_s: float
) -> int:
    """Attempts in one pane without those that follow an excuse of the same device, or of none, within `unless_s`."""
    found, last, excused = 0, dict[str, float](), dict[str, float]()
    for time, cell in pane.ordered:
        who = cell.fields.get(by, "")
        if cell.slot in excuses:
            excused[who] = time
        elif cell.slot in slots:
            if time - last.get(who, -math.inf) > gap_s:
                found += time - max(excused.get(who, -math.inf), excused.get("", -math.inf)) > unless_s
            last[who] = time
    return found


def _attempts_of_members(call: _Call) -> Evaluate:
    """Most attempts of a device that also got in (`done`, at least `joins` times): one address, two devices."""
    groups, by = call.events(ordered=True), call.key_field()
    gap_s, done, joins = call.number("gap_s"), call.several("done"), call.number("joins")
    call.counted(by, done)
    wanted = _flat(groups)

    def evaluate(view: View) -> float:
        slots, total = wanted, dict[str, int]()
        for pane in view.panes:
            for who, tries in _attempt_counts(pane, slots, by, gap_s).items():
                total[who] = total.get(who, 0) + tries
        members = {who for who, many in zip(view.tables[by], _peaks(view, by, done), strict=True) if many >= joins}
        return float(max((n for who, n in total.items() if who in members), default=0))

    return evaluate


def _rejoins(call: _Call) -> Evaluate:
    """Joins of devices that were never seen leaving: `rejoins(auth_ok, up=[…], down=[…], by=mac, after_s=1)`."""
    begins, by, after_s = _flat(call.events(ordered=True)), call.key_field(), call.number("after_s", 1.0)
    rises, falls = _flat(call.several("up", ordered=True)), _flat(call.several("down", ordered=True))

    def evaluate(view: View) -> float:
        found = 0
        for pane in view.panes:
            since: dict[str, float] = {}
            for time, cell in pane.ordered:
                who = cell.fields.get(by)
                if who is None:
                    continue
                if cell.slot in begins and time - since.get(who, math.inf) > after_s:
                    found += 1
                if cell.slot in rises:
                    since.setdefault(who, time)
                elif cell.slot in falls:
                    since.pop(who, None)
        return float(found)

    return evaluate


def _unannounced(call: _Call) -> Evaluate:
    """Starts with no stop within `within_s` before them; starts within `merge_s` of each other are one."""
    begins, ends = _flat(call.several("start", ordered=True)), _flat(call.several("stop", ordered=True))
    within_s, merge_s = call.number("within_s"), call.number("merge_s", 3.0)

    def evaluate(view: View) -> float:
        found = 0
        for pane in view.panes:
            stop = begun = -math.inf
            for time, cell in pane.ordered:
                if cell.slot in ends:
                    stop = time
                elif cell.slot in begins:
                    found += time - begun > merge_s and time - stop > within_s
                    begun = time
        return float(found)

    return evaluate


def _bursts(call: _Call) -> Evaluate:
    """Rows that complete `n` of these events within `within_s`."""
    groups, n, within_s = call.events(ordered=True), int(call.number("n")), call.number("within_s")
    wanted = _flat(groups)

    def evaluate(view: View) -> float:
        slots, found = wanted, 0
        for pane in view.panes:
            times = [time for time, cell in pane.ordered if cell.slot in slots]
            found += sum(later - earlier < within_s for earlier, later in zip(times, times[n - 1 :], strict=False))
        return float(found)

    return evaluate


def _seconds(call: _Call) -> Evaluate:
    """Different whole seconds in which these events came: how long something went on, however fast it was."""
    wanted = _flat(call.events(ordered=True))

    def evaluate(view: View) -> float:
        slots = wanted
        return float(sum([len({int(t) for t, cell in pane.ordered if cell.slot in slots}) for pane in view.panes]))

    return evaluate


def _longest_gap(call: _Call) -> Evaluate:
    """Longest pause in seconds before a row, the one at the view's start included."""
    call.no_events()
    call.needs.always = call.needs.spans = True

    def evaluate(view: View) -> float:
        longest, last = 0.0, view.start
        for pane in view.panes:
            longest = max(longest, pane.first - last, pane.gap)
            last = pane.last
        return longest

    return evaluate


def _gap_mean(call: _Call) -> Evaluate:
    """Mean seconds between rows; missing with fewer than two rows."""
    call.no_events()
    call.needs.always = True
    return lambda view: (view.last.last - view.panes[0].first) / (view.rows - 1) if view.rows > 1 else NAN


def _readings(view: View, slots: frozenset[int], name: str) -> list[tuple[float, float]]:
    """(time, value) of a numeric field in time order; text that is no number is left out."""
    found = []
    for pane in view.panes:
        for time, cell in pane.ordered:
            if cell.slot in slots:
                try:
                    found.append((time, float(cell.fields[name])))
                except (KeyError, ValueError):
                    continue
    return found


def _statistic(compute: Callable[[list[tuple[float, float]]], float]) -> Callable[[_Call], Evaluate]:
    def build(call: _Call) -> Evaluate:
        name = call.word("field")
        wanted = _flat(call.events(ordered=True))
        call.needs.empty = NAN
        return lambda view: compute(found) if (found := _readings(view, wanted, name)) else NAN

    return build


def _mean_of(readings: list[tuple[float, float]]) -> float:
    return math.fsum(value for _, value in readings) / len(readings)


def _std_of(readings: list[tuple[float, float]]) -> float:
    mean = _mean_of(readings)
    return math.sqrt(math.fsum((value - mean) ** 2 for _, value in readings) / len(readings))


def _last_of(readings: list[tuple[float, float]]) -> float:
    return readings[-1][1]


def _slope_of(readings: list[tuple[float, float]]) -> float:
    """Least-squares slope per minute; missing with fewer than two different times."""
    mean_t = math.fsum(time for time, _ in readings) / len(readings)
    mean_v = _mean_of(readings)
    spread = math.fsum((time - mean_t) ** 2 for time, _ in readings)
    return 60 * math.fsum((t - mean_t) * (v - mean_v) for t, v in readings) / spread if spread else NAN


def _session_time(call: _Call) -> Evaluate:
    """Mean seconds that devices were connected inside the window; a session is cut at the window's edges."""
    begins, ends = _flat(call.several("open", ordered=True)), _flat(call.several("close", ordered=True))
    by = call.key_field()
    call.needs.empty = NAN

    def evaluate(view: View) -> float:
        lengths: list[float] = []
        for pane in view.panes:
            since: dict[str, float] = {}
            for time, cell in pane.ordered:
                who = cell.fields.get(by, "")
                if cell.slot in begins:
                    since.setdefault(who, time)
                elif cell.slot in ends:
                    lengths.append(time - since.pop(who, pane.start))
            lengths.extend(pane.end - begun for begun in since.values())
        return math.fsum(lengths) / len(lengths) if lengths else NAN

    return evaluate


def _clock(call: _Call) -> Evaluate:
    """`clock(of=hour)` 0 to 24 or `clock(of=weekday)` 0 (Monday) to 6, local to the agent's time zone."""
    call.no_events()
    call.needs.always = True
    call.needs.timed = True
    part = call.word("of")
    if part not in ("hour", "weekday"):
        raise FormulaError("clock knows of=hour and of=weekday")

    def evaluate(view: View) -> float:
        weekday, hour = _local(view.last.start, view.zone)
        return weekday if part == "weekday" else hour

    return evaluate


@lru_cache(4096)
def _local(time: float, zone: tzinfo) -> tuple[float, float]:
    """(weekday, hour with its fraction) of a moment; many hosts ask for the same one."""
    moment = datetime.fromtimestamp(time, zone)
    return float(moment.weekday()), moment.hour + moment.minute / 60


def _cyclic(call: _Call) -> Evaluate:
    """`cyclic(of=hour, wave=sin)`: the hour or weekday on a circle, so that 23:59 lies next to 00:00."""
    turn = math.tau / (24 if isinstance(node := call.named.get("of"), ast.Name) and node.id == "hour" else 7)
    wave = {"sin": math.sin, "cos": math.cos}.get(call.word("wave"))
    if wave is None:
        raise FormulaError("cyclic knows wave=sin and wave=cos")
    clock = _clock(call)
    return lambda view: wave(turn * clock(view))


ADDITIVE = frozenset({"lines", "count", "attempts", "rejoins", "unannounced", "bursts", "seconds", "unseen"})

FUNCTIONS: dict[str, Callable[[_Call], Evaluate]] = {
    "lines": _lines,
    "top": _top,
    "count": _count,
    "unique": _unique,
    "ratio": _ratio,
    "severity_ratio": _severity_ratio,
    "programs": _programs,
    "entropy": _entropy,
    "most": _most,
    "unfinished": _unfinished,
    "devices_with": _devices_with,
    "excess": _excess,
    "unseen": _unseen,
    "marked": _marked,
    "private_share": _private_share,
    "attempts": _attempts,
    "attempts_of_members": _attempts_of_members,
    "rejoins": _rejoins,
    "unannounced": _unannounced,
    "bursts": _bursts,
    "seconds": _seconds,
    "longest_gap": _longest_gap,
    "gap_mean": _gap_mean,
    "mean": _statistic(_mean_of),
    "std": _statistic(_std_of),
    "last": _statistic(_last_of),
    "slope": _statistic(_slope_of),
    "session_time": _session_time,
    "clock": _clock,
    "cyclic": _cyclic,
}


def compile_formula(text: str, lexicon: Lexicon) -> Formula:
    """Compile a feature's formula against an agent's events. Raises FormulaError with the part that is wrong."""
    needs = Needs()

    def call(function: str, args: list[ast.expr], named: dict[str, ast.expr]) -> Evaluate:
        if function not in FUNCTIONS:
            raise FormulaError(f"unknown function {function!r}; there are {', '.join(FUNCTIONS)}")
        arguments = _Call(function, args, named, lexicon, needs)
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
