"""Formula functions of order and time: attempts, rejoins, bursts, pauses, the clock."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from datetime import datetime, tzinfo
from functools import lru_cache

from shared.formulas.call import Call, flat, peaks
from shared.formulas.formula import Evaluate, FormulaError
from shared.panes import Pane, View


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


def _attempts(call: Call) -> Evaluate:
    """Attempts, not lines: rows of one device closer than `gap_s` count once.

    `unless=[eap.wps], unless_s=30` leaves out what follows such a row, of the same device where both name one.
    """
    groups, by, gap_s = call.events(ordered=True), call.key_field(), call.number("gap_s")
    wanted = flat(groups)
    if "unless" not in call.named:
        return lambda view: float(sum([sum(_attempt_counts(pane, wanted, by, gap_s).values()) for pane in view.panes]))
    excuses, unless_s = flat(call.several("unless", ordered=True)), call.number("unless_s")

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


def _attempts_of_members(call: Call) -> Evaluate:
    """Most attempts of a device that also got in (`done`, at least `joins` times): one address, two devices."""
    groups, by = call.events(ordered=True), call.key_field()
    gap_s, done, joins = call.number("gap_s"), call.several("done"), call.number("joins")
    call.counted(by, done)
    wanted = flat(groups)

    def evaluate(view: View) -> float:
        slots, total = wanted, dict[str, int]()
        for pane in view.panes:
            for who, tries in _attempt_counts(pane, slots, by, gap_s).items():
                total[who] = total.get(who, 0) + tries
        if not total:
            return 0.0
        members = {who for who, many in zip(view.tables[by], peaks(view, by, done), strict=True) if many >= joins}
        return float(max((n for who, n in total.items() if who in members), default=0))

    return evaluate


def _rejoins(call: Call) -> Evaluate:
    """Joins of devices that were never seen leaving: `rejoins(auth_ok, up=[…], down=[…], by=mac, after_s=1)`."""
    begins, by, after_s = flat(call.events(ordered=True)), call.key_field(), call.number("after_s", 1.0)
    rises, falls = flat(call.several("up", ordered=True)), flat(call.several("down", ordered=True))

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


def _unannounced(call: Call) -> Evaluate:
    """Starts with no stop within `within_s` before them; starts within `merge_s` of each other are one."""
    call.no_events("start", "stop")
    begins, ends = flat(call.several("start", ordered=True)), flat(call.several("stop", ordered=True))
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


def _bursts(call: Call) -> Evaluate:
    """Rows that complete `n` of these events within `within_s`."""
    groups, n, within_s = call.events(ordered=True), int(call.number("n")), call.number("within_s")
    wanted = flat(groups)

    def evaluate(view: View) -> float:
        slots, found = wanted, 0
        for pane in view.panes:
            times = [time for time, cell in pane.ordered if cell.slot in slots]
            found += sum(later - earlier < within_s for earlier, later in zip(times, times[n - 1 :], strict=False))
        return float(found)

    return evaluate


def _seconds(call: Call) -> Evaluate:
    """Different whole seconds in which these events came: how long something went on, however fast it was."""
    wanted = flat(call.events(ordered=True))

    def evaluate(view: View) -> float:
        slots = wanted
        return float(sum([len({int(t) for t, cell in pane.ordered if cell.slot in slots}) for pane in view.panes]))

    return evaluate


def _longest_gap(call: Call) -> Evaluate:
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


def _gap_mean(call: Call) -> Evaluate:
    """Mean seconds between rows; missing with fewer than two rows."""
    call.no_events()
    call.needs.always = True
    return lambda view: (view.last.last - view.panes[0].first) / (view.rows - 1) if view.rows > 1 else math.nan


def _session_time(call: Call) -> Evaluate:
    """Mean seconds that devices were connected inside the window; a session is cut at the window's edges."""
    call.no_events("open", "close")
    begins, ends = flat(call.several("open", ordered=True)), flat(call.several("close", ordered=True))
    by = call.key_field()
    call.needs.empty = math.nan

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
        return math.fsum(lengths) / len(lengths) if lengths else math.nan

    return evaluate


def _clock(call: Call) -> Evaluate:
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


def _cyclic(call: Call) -> Evaluate:
    """`cyclic(of=hour, wave=sin)`: the hour or weekday on a circle, so that 23:59 lies next to 00:00."""
    turn = math.tau / (24 if isinstance(node := call.named.get("of"), ast.Name) and node.id == "hour" else 7)
    wave = {"sin": math.sin, "cos": math.cos}.get(call.word("wave"))
    if wave is None:
        raise FormulaError("cyclic knows wave=sin and wave=cos")
    clock = _clock(call)
    return lambda view: wave(turn * clock(view))


ORDER_AND_TIME: dict[str, Callable[[Call], Evaluate]] = {
    "attempts": _attempts,
    "attempts_of_members": _attempts_of_members,
    "rejoins": _rejoins,
    "unannounced": _unannounced,
    "bursts": _bursts,
    "seconds": _seconds,
    "longest_gap": _longest_gap,
    "gap_mean": _gap_mean,
    "session_time": _session_time,
    "clock": _clock,
    "cyclic": _cyclic,
}
