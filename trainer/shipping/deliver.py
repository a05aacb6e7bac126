"""Shipping as a person asks for it: the gate, the key, the history around `ship_to`; going back; catching up."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shared import layout
from shared.errors import PipitError, ShipError
from trainer import catalogue, registry, targets
from trainer.keys import SigningKey
from trainer.remote import Progress, Remote, no_progress
from trainer.ship import STOPPED, Shipped, SignedBundle, Wait, load_signed, raise_if_refused, ship_to
from trainer.shipping import history, marks
from trainer.shipping.history import Transfer
from trainer.shipping.serving import former_version
from trainer.targets import Target


@dataclass(frozen=True, slots=True)
class Sender:
    """What every delivery needs of this machine. stop: set when somebody ends it; what is under way ends where it may."""

    models: Path
    state_dir: Path
    key: SigningKey
    connect: Callable[[Target], Remote] = field(default=targets.connect)
    now: Callable[[], float] = field(default=time.time)
    stop: threading.Event = field(default_factory=threading.Event)


def check_gate(signed: SignedBundle, force: bool, models: Path | None = None) -> str:
    """A model that missed its quality gate is shipped only with force; gives what is to be recorded of that.

    The gate that counts is that of the newest evaluation which the registry of `models` knows, else the bundle's own.

    Raises:
        ShipError: code gate. StoreError: the registry cannot be read.
    """
    manifest = signed.manifest
    kept = catalogue.kept_of(models, manifest.agent, manifest.version) if models else {}
    try:
        metadata: Any = json.loads(signed.raw["metadata.json"])
        gate = catalogue.gate_of(metadata, kept)
        passed, reason = gate.get("passed", True), gate.get("reason") or "see its report"
    except (ValueError, AttributeError):
        return ""
    if not passed and not force:
        raise ShipError(
            f"ship: {signed.manifest.model_id} missed the quality gate ({reason}); --force ships it all the "
            "same and is recorded",
            "gate",
        )
    return "" if passed else "forced past the gate"


def deliver(
    sender: Sender,
    target: Target,
    agent: str,
    version: str,
    *,
    wait: Wait | None = None,
    force: bool = False,
    what: str = history.SHIP,
    progress: Progress = no_progress,
) -> Shipped:
    """Ship one version to one target and write down what came of it. `what`: ship, rollback, or challenge, which has it
    judged beside the version that serves.

    Raises:
        ShipError: with the receipt's code when the Pi says no; `unknown` when nobody can know.
        BundleError: the version here is not whole.
    """
    signed = load_signed(sender.models, agent, version, sender.key)
    forced = check_gate(signed, force, sender.models)
    began = sender.now()
    state, code, reason = "failed", "", forced
    try:
        link = layout.CHALLENGER if what == history.CHALLENGE else layout.ACTIVE
        shipped = ship_to(
            signed, target, replace(wait, stop=sender.stop) if wait else None, _watched(sender, target, progress),
            connect=_connecting(sender), sleep=sender.stop.wait, link=link,
        )  # fmt: skip
        state = shipped.state
        if shipped.receipt:
            code, reason = shipped.receipt.code, shipped.receipt.reason or forced
        raise_if_refused(shipped)
    except ShipError as error:
        if state == "failed":
            left = "skipped" if error.code == STOPPED else "failed"
            state, code, reason = ("unknown" if error.unknown else left), error.code, str(error)
        raise
    finally:
        manifest = signed.manifest
        history.record(
            sender.state_dir,
            Transfer(
                began,
                what,
                target.name,
                agent,
                version,
                manifest.serial,
                manifest.size,
                sender.now() - began,
                state,
                code,
                reason,
            ),
        )
        catalogue.refresh_or_warn(sender.models, sender.state_dir, sender.now())
    return shipped


def _watched(sender: Sender, target: Target, progress: Progress) -> Progress:
    def told(sent: int) -> None:
        _go_on(sender, target)
        progress(sent)

    return told


def _connecting(sender: Sender) -> Callable[[Target], Remote]:
    def connect(target: Target) -> Remote:
        _go_on(sender, target)
        return sender.connect(target)

    return connect


def _go_on(sender: Sender, target: Target) -> None:
    if sender.stop.is_set():
        raise ShipError(f"ship: stopped before all of it was at {target.name}; nothing was changed there", STOPPED)


def roll_back(
    sender: Sender,
    target: Target,
    reference: str | None,
    agent: str | None = None,
    *,
    wait: Wait | None = None,
    progress: Progress = no_progress,
) -> Shipped:
    """Bring a former version back: its files under a fresh signature, as `<version>-rN`.

    Without a version it is the one that the target's receipt calls the former one.

    Raises:
        ConfigError: the version is not on this machine. ShipError, BundleError: as `deliver`.
    """
    if reference is None:
        agent, reference = former_version(sender.connect, target, agent)
    agent, version = layout.resolve(sender.models, reference, agent)
    manifest = registry.sign_anew(
        sender.models, agent, version, key=sender.key, state_dir=sender.state_dir, now=sender.now
    )
    return deliver(
        sender, target, agent, manifest.version, wait=wait, force=True, what=history.ROLLBACK, progress=progress
    )


def behind(sender: Sender, members: list[Target]) -> list[tuple[Target, str, str]]:
    """The targets that could not be reached last time, with the agent and version that they still lack."""
    latest = history.latest(sender.state_dir)
    return [
        (target, agent, transfer.version)
        for target in members
        for (name, agent), transfer in sorted(latest.items())
        if name == target.name and transfer.state == "unknown"
    ]


def forget_offline(sender: Sender, names: Iterable[str], agent: str, version: str, what: str = history.SHIP) -> None:
    """Whoever was offline in a roll-out that was stopped must not be caught up with that version later.

    A challenger is not caught up with anyhow.
    """
    for name in names if what == history.SHIP else ():
        _skip(sender.state_dir, sender.now(), name, agent, version, "roll-out stopped")


def note_unfinished(sender: Sender, names: Iterable[str], agent: str, version: str, what: str = history.SHIP) -> None:
    """Who was under way when somebody stopped a roll-out and did not end in time: nobody knows whether it serves there."""
    told = history.challengers(sender.state_dir) if what == history.CHALLENGE else history.latest(sender.state_dir)
    for name in names:
        last = told.get((name, agent))
        if last is None or last.version != version:
            _note(
                sender.state_dir, what, sender.now(), name, agent, version, ("unknown", STOPPED, "stopped on the way")
            )


def forget_target(state_dir: Path, name: str, now: float) -> None:
    """Take a target off the list; what it lacked and what was said there are nobody's business any more.

    Raises:
        ConfigError: it is not known.
    """
    targets.remove_target(state_dir, name)
    marks.forget(state_dir, name)
    for (target, agent), transfer in history.latest(state_dir).items():
        if target == name and transfer.state == "unknown":
            _skip(state_dir, now, name, agent, transfer.version, "no longer in the list")


def _skip(state_dir: Path, now: float, name: str, agent: str, version: str, why: str) -> None:
    _note(state_dir, history.SHIP, now, name, agent, version, ("skipped", "fleet", why))


def _note(
    state_dir: Path, what: str, now: float, name: str, agent: str, version: str, came_of_it: tuple[str, str, str]
) -> None:
    history.record(state_dir, Transfer(now, what, name, agent, version, 0, 0, 0.0, *came_of_it))


def failure(error: PipitError) -> tuple[str, str]:
    """Code and message of a failure, for JSON."""
    return str(getattr(error, "code", "failed")), str(error)
