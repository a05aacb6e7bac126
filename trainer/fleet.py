"""Fleets: a canary first, then the rest in batches; a failure stops the roll-out, and who is offline is caught up later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from shared.errors import PipitError, ShipError
from trainer.ship import Shipped
from trainer.targets import Target

OFFLINE, FAILED, SKIPPED = "offline", "failed", "skipped"
_PARALLEL = 16

ShipOne = Callable[[Target], Shipped]  # raises ShipError when the target says no or nothing
Watch = Callable[[str, str], None]  # is told a target's name and what it does now


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one target: sent, loaded or good; offline, failed or skipped."""

    target: str
    state: str
    code: str = ""
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Has it the version?"""
        return self.state not in (OFFLINE, FAILED, SKIPPED)


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
) -> RollOut:
    """Ship to the first `canaries` that can be reached, one by one; then to the rest, `batch` at a time.

    The first batch with a failure is the last: the others are skipped. `hold` is called before each wave, and returns
    when it may begin.
    """
    results: list[Result] = []
    rest = list(members)
    while rest and sum(result.ok for result in results) < canaries and not _any_failed(results):
        hold()
        results.append(_one(rest.pop(0), ship_canary, watch))
    pool = ThreadPoolExecutor(max_workers=max(1, min(batch, _PARALLEL)))
    try:
        while rest and not _any_failed(results):
            hold()
            wave, rest = rest[:batch], rest[batch:]
            results += pool.map(lambda target: _one(target, ship_rest, watch), wave)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # whoever stops the roll-out does not wait for its receipts
    for target in rest:
        watch(target.name, SKIPPED)
    return RollOut((*results, *(Result(target.name, SKIPPED) for target in rest)))


def catch_up(
    behind: Sequence[tuple[Target, str, str]],
    ship_one: Callable[[Target, str, str], Shipped],
    watch: Watch = lambda _target, _state: None,
) -> RollOut:
    """Ship again what (target, agent, version) lacks, one by one; nobody's failure stops the others."""
    results = []
    for target, agent, version in behind:
        results.append(_one(target, lambda each, a=agent, v=version: ship_one(each, a, v), watch))  # type: ignore[misc]
    return RollOut(tuple(results))


def _one(target: Target, ship_one: ShipOne, watch: Watch) -> Result:
    watch(target.name, "shipping")
    try:
        shipped = ship_one(target)
        result = Result(target.name, shipped.state)
    except ShipError as error:
        result = Result(target.name, OFFLINE if error.code == "offline" else FAILED, error.code, str(error))
    except PipitError as error:
        result = Result(target.name, FAILED, "failed", str(error))
    watch(target.name, result.state)
    return result


def _any_failed(results: Iterable[Result]) -> bool:
    return any(result.state == FAILED for result in results)
