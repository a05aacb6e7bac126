"""Fleets: a canary first, then the rest in batches; a failure stops the roll-out, and who is offline is caught up later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from shared.errors import PipitError, ShipError
from trainer.ship import STOPPED, Shipped
from trainer.stoppable import all_of
from trainer.targets import Target

OFFLINE, FAILED, SKIPPED, UNKNOWN = "offline", "failed", "skipped", "unknown"

ShipOne = Callable[[Target], Shipped]  # raises ShipError when the target says no or nothing
Watch = Callable[[str, str], None]  # is told a target's name and what it does now


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one target: sent, loaded or good; offline, failed or skipped; unknown where it was left half-way."""

    target: str
    state: str
    code: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Has it the version?"""
        return self.state not in (OFFLINE, FAILED, SKIPPED, UNKNOWN)


@dataclass(frozen=True, slots=True)
class RollOut:
    """What became of a fleet, in the order of the roll-out."""

    results: tuple[Result, ...]

    @property
    def failed(self) -> bool:
        """Did any target refuse, or give the version back?"""
        return any(result.state == FAILED for result in self.results)

    def named(self, *states: str) -> list[str]:
        """The targets in one of these states."""
        return [result.target for result in self.results if result.state in states]


def roll_out(
    members: Sequence[Target],
    ship_canary: ShipOne,
    ship_rest: ShipOne,
    *,
    canaries: int = 1,
    batch: int = 5,
    watch: Watch = lambda _target, _state: None,
    hold: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
) -> RollOut:
    """Ship to the first `canaries` that can be reached, one by one; then to the rest, `batch` at a time.

    The first batch with a failure is the last: the others are skipped. `hold` is called before each wave, and returns
    when it may begin. `stop` is set when somebody ends the roll-out (Ctrl-C): the interrupt goes on from here when those
    under way have told `watch` what became of them.
    """
    results: list[Result] = []
    rest, ended = list(members), stop or threading.Event()

    def wave(count: int, ship_one: ShipOne) -> None:
        hold()
        now = [rest.pop(0) for _ in range(min(count, len(rest)))]
        works = [partial(_one, target, ship_one, watch) for target in now]
        results.extend(all_of(works, ended, lambda number: watch(now[number].name, UNKNOWN)))

    while rest and sum(result.ok for result in results) < canaries and not _any_failed(results):
        wave(1, ship_canary)
    while rest and not _any_failed(results):
        wave(batch, ship_rest)
    for target in rest:
        watch(target.name, SKIPPED)
    return RollOut((*results, *(Result(target.name, SKIPPED) for target in rest)))


def catch_up(
    behind: Sequence[tuple[Target, str, str]],
    ship_one: Callable[[Target, str, str], Shipped],
    watch: Watch = lambda _target, _state: None,
    stop: threading.Event | None = None,
) -> RollOut:
    """Ship again what (target, agent, version) lacks, one by one; nobody's failure stops the others."""
    results: list[Result] = []
    ended = stop or threading.Event()

    def one(target: Target, agent: str, version: str) -> Result:
        return _one(target, lambda each: ship_one(each, agent, version), watch)

    for lack in behind:
        results += all_of([partial(one, *lack)], ended)
    return RollOut(tuple(results))


def _one(target: Target, ship_one: ShipOne, watch: Watch) -> Result:
    watch(target.name, "shipping")
    try:
        shipped = ship_one(target)
        result = Result(target.name, shipped.state)
    except ShipError as error:
        result = Result(target.name, _state_of(error), error.code, str(error))
    except PipitError as error:
        result = Result(target.name, FAILED, "failed", str(error))
    watch(target.name, result.state)
    return result


def _state_of(error: ShipError) -> str:
    if error.code == STOPPED:
        return UNKNOWN if error.unknown else SKIPPED
    return OFFLINE if error.code == "offline" else FAILED


def _any_failed(results: Iterable[Result]) -> bool:
    return any(result.state == FAILED for result in results)
