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
from trainer import deliver, fleet
from trainer import targets as known
from trainer.config import Settings
from trainer.deliver import Sender
from trainer.job import Teller
from trainer.keys import ensure_key
from trainer.orders import RollbackOrder, ShipOrder
from trainer.ship import Wait
from trainer.targets import Target

logger = logging.getLogger("trainer.job")


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
    if order.force:
        logger.warning("shipping past the gate if it was missed by=%s reason=%s", by, order.reason or "none given")
    if order.target is not None:
        tell.plan((order.target,))
        tell.step(order.target, 0.0, "shipping")
        target = known.find_target(settings.state_dir, order.target)
        sent = deliver.deliver(sender, target, order.agent, order.version, wait=wait, force=order.force)
        tell.step(order.target, 1.0, sent.state)
        return {"version": order.version, "results": [{"target": target.name, "state": sent.state}]}
    return _in_waves(order, settings, sender, wait, tell)


def roll_back(order: RollbackOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Bring a former version back to a target."""
    tell.plan((order.target,))
    tell.step(order.target, 0.0, "rolling back")
    target = known.find_target(settings.state_dir, order.target)
    wait = Wait(timeout_s=order.timeout_s)
    sent = deliver.roll_back(sender_of(settings), target, order.version, order.agent, wait=wait)
    tell.step(order.target, 1.0, sent.state)
    return {"version": sent.version, "results": [{"target": target.name, "state": sent.state}]}


def _in_waves(order: ShipOrder, settings: Settings, sender: Sender, wait: Wait, tell: Teller) -> Mapping[str, Any]:
    members = known.fleet(settings.state_dir, order.group or "all")
    board = Board(tell, [target.name for target in members])

    def send(target: Target) -> Any:
        heard = replace(wait, heard=partial(board.hear, target.name))
        return deliver.deliver(sender, target, order.agent, order.version, wait=heard, force=order.force)

    done = fleet.roll_out(members, send, send, canaries=order.canaries, batch=order.batch, watch=board.say)
    results = [asdict(result) for result in done.results]
    logger.info("roll-out done version=%s results=%s", order.version, {r["target"]: r["state"] for r in results})
    if done.failed:
        deliver.forget_offline(sender, done.named(fleet.OFFLINE), order.agent, order.version)
        bad = "; ".join(f"{r.target}: {r.reason}" for r in done.results if r.state == fleet.FAILED)
        skipped = ", ".join(done.named(fleet.SKIPPED)) or "nobody"
        raise ShipError(f"fleet: stopped after a failure ({bad}); not asked any more: {skipped}", "fleet")
    offline = done.named(fleet.OFFLINE)
    if len(offline) == len(results):
        raise ShipError(f"fleet: nobody could be reached ({', '.join(offline)}); nothing was changed", "offline", True)
    return {"version": order.version, "results": results, "offline": offline}


class Board:
    """Who of a fleet is how far; several ship at the same time."""

    def __init__(self, tell: Teller, names: list[str]) -> None:
        self._tell, self._names = tell, names
        self._done: set[str] = set()
        self._lock = threading.Lock()
        tell.plan(names)

    def say(self, name: str, state: str) -> None:
        """Such a target is in such a state now."""
        with self._lock:
            if state != "shipping":
                self._done.add(name)
                logger.info("%s: %s", name, state)
            self._note(name, state)

    def hear(self, name: str, state: str) -> None:
        """A target's receipt says so on the way."""
        with self._lock:
            self._note(name, f"{state}, waiting")

    def _note(self, name: str, words: str) -> None:
        self._tell.note(name, words, len(self._done) / max(1, len(self._names)))
