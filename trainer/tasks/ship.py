"""Shipping as a job: one target, or a group in waves; what becomes of each is told as it happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from shared import layout
from shared.errors import ShipError
from trainer import targets as known
from trainer.config import Settings
from trainer.jobs import JobStore
from trainer.keys import ensure_key
from trainer.ship import Shipped, Wait
from trainer.shipping import deliver, fleet, history
from trainer.shipping.deliver import Sender
from trainer.shipping.fleet import RollOut
from trainer.shipping.serving import serves_already
from trainer.stoppable import all_of
from trainer.targets import Target
from trainer.tasks.job import Teller
from trainer.tasks.orders import CatchUpOrder, RollbackOrder, ShipOrder

logger = logging.getLogger("trainer.tasks.job")
HELD_S = 0.5  # between two looks whether a paused roll-out may go on


def sender_of(settings: Settings) -> Sender:
    """This machine as a sender."""
    return Sender(settings.models_dir, settings.state_dir, ensure_key(settings.state_dir, settings.signing_key))


def ship(order: ShipOrder, settings: Settings, tell: Teller, by: str) -> Mapping[str, Any]:
    """Bring a version to one target, or to a group: canary first, then in batches.

    Raises:
        ShipError: a target refused or cannot be reached; the first failing wave is the last.
    """
    sender, wait = sender_of(settings), Wait(order.wait, order.timeout_s)
    layout.resolve(settings.models_dir, order.version, order.agent)
    _note_force(order, by)
    if order.target is not None:
        tell.plan((order.target,))
        tell.step(order.target, 0.0, "shipping")
        target = known.find_target(settings.state_dir, order.target)
        (sent,) = all_of([partial(_send, sender, order, target, wait)], sender.stop)
        tell.step(order.target, 1.0, sent.state)
        return {"version": order.version, "results": [{"target": target.name, "state": sent.state}]}
    return _in_waves(order, settings, sender, wait, tell)


def catch_up(order: CatchUpOrder, settings: Settings, tell: Teller, by: str) -> Mapping[str, Any]:
    """Ship again to those that could not be reached, what they lacked then; nobody's failure stops the others.

    Raises:
        ShipError: a target refused, or none can be reached.
    """
    sender, state_dir = sender_of(settings), settings.state_dir
    members = (
        [known.find_target(state_dir, order.target)] if order.target else known.fleet(state_dir, order.group or "all")
    )
    lacking = deliver.behind(sender, members)
    _note_force(order, by)
    board = Board(tell, list(dict.fromkeys(target.name for target, _, _ in lacking)))

    def send(target: Target, agent: str, version: str) -> Shipped:
        wait = Wait(order.wait, order.timeout_s, heard=partial(board.hear, target.name))
        force = layout.model_id(agent, version) in order.forced
        return deliver.deliver(sender, target, agent, version, wait=wait, force=force)

    done = fleet.catch_up(lacking, send, board.say, sender.stop)
    if done.failed:
        raise ShipError(f"catch up: {_failures(done)}; the others are done", "fleet")
    return _ended("catch up", done)


def roll_back(order: RollbackOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Bring a former version back to a target."""
    tell.plan((order.target,))
    tell.step(order.target, 0.0, "rolling back")
    target = known.find_target(settings.state_dir, order.target)
    wait = Wait(timeout_s=order.timeout_s)
    sender = sender_of(settings)
    back = partial(deliver.roll_back, sender, target, order.version, order.agent, wait=wait)
    (sent,) = all_of([back], sender.stop)
    tell.step(order.target, 1.0, sent.state)
    return {"version": sent.version, "results": [{"target": target.name, "state": sent.state}]}


def _in_waves(order: ShipOrder, settings: Settings, sender: Sender, wait: Wait, tell: Teller) -> Mapping[str, Any]:
    members = known.fleet(settings.state_dir, order.group or "all")
    board, gate = Board(tell, [target.name for target in members]), Gate(JobStore(settings.state_dir), tell.number)

    what = history.CHALLENGE if order.challenger else history.SHIP

    def send(target: Target) -> Shipped:
        if not order.challenger and (
            there := serves_already(sender.connect, sender.state_dir, target, order.agent, order.version, wait.until)
        ):
            logger.info("%s: it serves there already", target.name)
            return there
        return _send(sender, order, target, replace(wait, heard=partial(board.hear, target.name)))

    try:
        done = fleet.roll_out(
            members, send, send, canaries=order.canaries, batch=order.batch, watch=board.say, hold=gate.wait,
            stop=sender.stop,
        )  # fmt: skip
    except SystemExit:  # somebody stopped it
        deliver.forget_offline(sender, board.offline, order.agent, order.version, what)
        deliver.note_unfinished(sender, board.unfinished, order.agent, order.version, what)
        raise
    logger.info("roll-out done version=%s results=%s", order.version, {r.target: r.state for r in done.results})
    if done.failed:
        deliver.forget_offline(sender, done.named(fleet.OFFLINE), order.agent, order.version, what)
        skipped = ", ".join(done.named(fleet.SKIPPED)) or "nobody"
        raise ShipError(f"fleet: stopped after a failure ({_failures(done)}); not asked any more: {skipped}", "fleet")
    return {"version": order.version, **_ended("fleet", done)}


def _send(sender: Sender, order: ShipOrder, target: Target, wait: Wait) -> Shipped:
    what = history.CHALLENGE if order.challenger else history.SHIP
    return deliver.deliver(sender, target, order.agent, order.version, wait=wait, force=order.force, what=what)


def _note_force(order: ShipOrder | CatchUpOrder, by: str) -> None:
    forced = order.forced if isinstance(order, CatchUpOrder) else (order.version,) * order.force
    if forced:
        logger.warning(
            "shipping past the gate if it was missed versions=%s by=%s reason=%s",
            ",".join(forced),
            by,
            order.reason or "none given",
        )


def _failures(done: RollOut) -> str:
    return "; ".join(f"{r.target}: {r.reason}" for r in done.results if r.state == fleet.FAILED)


def _ended(step: str, done: RollOut) -> dict[str, Any]:
    """Results and who was offline.

    Raises:
        ShipError: everybody was.
    """
    offline = done.named(fleet.OFFLINE)
    if offline and len(offline) == len(done.results):
        raise ShipError(f"{step}: nobody could be reached ({', '.join(offline)}); nothing was changed", "offline", True)
    return {"results": [asdict(result) for result in done.results], "offline": offline}


class Gate:
    """Holds a roll-out back before its next wave for as long as somebody paused its job."""

    def __init__(self, store: JobStore, number: int) -> None:
        self._store, self._number = store, number
        self._never = threading.Event()

    def wait(self) -> None:
        """Return when the next wave may begin."""
        held = False
        while (job := self._store.find(str(self._number))) is not None and job.paused:
            if not held:
                logger.info("paused: no further wave begins until somebody says so")
            held = True
            self._never.wait(HELD_S)
        if held:
            logger.info("the roll-out goes on")


class Board:
    """Who of a fleet is how far; several ship at the same time."""

    def __init__(self, tell: Teller, names: list[str]) -> None:
        self._tell, self._names = tell, names
        self._done: set[str] = set()
        self.offline: list[str] = []
        self.unfinished: list[str] = []
        self._lock = threading.Lock()
        tell.plan(names)

    def say(self, name: str, state: str) -> None:
        """Such a target is in such a state now."""
        with self._lock:
            if state != "shipping":
                self._done.add(name)
                self.offline += [name] if state == fleet.OFFLINE else []
                self.unfinished += [name] if state == fleet.UNKNOWN else []
                logger.info("%s: %s", name, state)
            self._note(name, state)

    def hear(self, name: str, state: str) -> None:
        """A target's receipt says so on the way."""
        with self._lock:
            self._note(name, f"{state}, waiting")

    def _note(self, name: str, words: str) -> None:
        self._tell.note(name, words, len(self._done) / max(1, len(self._names)))
