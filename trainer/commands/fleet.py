"""`pipit-trainer ship --fleet`: a roll-out and its catching up, as the command line shows and ends them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import click

from shared import layout
from shared.clean import clean
from shared.errors import PipitError, ShipError
from trainer.commands.fleet_view import SENDING, SENT, WAITING, FleetView
from trainer.ship import BESIDE, GOOD, LOADED, Shipped, Wait, load_signed
from trainer.shipping import fleet, history
from trainer.shipping.deliver import Sender, behind, deliver, forget_offline, note_unfinished, roll_back
from trainer.shipping.fleet import RollOut
from trainer.shipping.serving import serves_already
from trainer.targets import Target

# what a stopped roll-out leaves: words → states
LEFT = {
    "it serves at": (LOADED, GOOD),
    "it is judged beside at": (BESIDE,),
    "it lies there, no word yet:": ("sent", SENT, fleet.UNKNOWN),
    "nobody knows yet:": (SENDING,),
    "nothing was changed at": (WAITING, fleet.SKIPPED, fleet.OFFLINE, fleet.FAILED),
}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a fleet is rolled out."""

    wait: Wait
    canaries: int = 1
    batch: int = 5
    undo: bool = False
    force: bool = False
    as_json: bool = False
    what: str = history.SHIP
    again: str = ""  # the command that goes on where this one was stopped


def ship_fleet(sender: Sender, members: Sequence[Target], agent: str, version: str, manner: Manner) -> None:
    """The roll-out. A failure ends the command with 1, offline targets with 3.

    Raises:
        ShipError: a target refused or gave the version back, or is offline.
    """
    with _view(sender, [target.name for target in members], agent, version, manner) as view:

        def send(target: Target) -> Shipped:
            wait = replace(manner.wait, heard=partial(view.say, target.name))
            if manner.what == history.SHIP and (
                there := serves_already(sender.connect, sender.state_dir, target, agent, version, wait.until)
            ):
                view.explain(target.name, "it serves there already")
                return there
            progress = partial(view.sent, target.name)
            try:
                return deliver(
                    sender, target, agent, version, wait=wait, force=manner.force, what=manner.what, progress=progress
                )
            except PipitError as error:
                view.explain(target.name, str(error))
                raise

        try:
            done = fleet.roll_out(
                members, send, send, canaries=manner.canaries, batch=manner.batch, watch=view.say, stop=sender.stop
            )
        except (KeyboardInterrupt, SystemExit):
            named = {state: [n for n, s in view.states.items() if s == state] for state in view.states.values()}
            forget_offline(sender, named.get(fleet.OFFLINE, ()), agent, version, manner.what)
            note_unfinished(sender, named.get(fleet.UNKNOWN, ()), agent, version, manner.what)
            view.close()
            _tell_stopped(version, view, manner)
            raise
        if done.failed:
            forget_offline(sender, done.named(fleet.OFFLINE), agent, version, manner.what)
        undone = _undo(sender, members, done, agent, manner, view) if done.failed and manner.undo else []
    if manner.as_json:
        click.echo(json.dumps({"version": version, "results": [asdict(r) for r in done.results], "undone": undone}))
    _raise_for(done)


def _tell_stopped(version: str, view: FleetView, manner: Manner) -> None:
    """What a roll-out that was stopped leaves behind, and how it goes on."""
    if manner.as_json:
        results = [{"target": n, "state": state, "reason": view.notes[n]} for n, state in view.states.items()]
        click.echo(json.dumps({"version": version, "results": results, "stopped": True, "again": manner.again}))
    click.echo(clean(f"stopped; of {view.title}:"), err=True)
    for words, states in LEFT.items():
        if names := [f"{name} ({view.states[name]})" for name in view.states if view.states[name] in states]:
            click.echo(clean(f"  {words:<32}{', '.join(names)}"), err=True)
    click.echo(f"go on: {manner.again}", err=True)


def catch_up(sender: Sender, members: Sequence[Target], manner: Manner, only: tuple[str, str] | None = None) -> None:
    """Ship again to those that were offline last time, what they lacked then; only one agent's version where given.

    Raises:
        ShipError: as `ship_fleet`.
    """

    def send(target: Target, agent: str, version: str) -> Shipped:
        return deliver(sender, target, agent, version, wait=manner.wait, force=manner.force)

    lacking = [lack for lack in behind(sender, list(members)) if only in (None, lack[1:])]
    done = fleet.catch_up(lacking, send, stop=sender.stop)
    if manner.as_json:
        click.echo(json.dumps([asdict(result) for result in done.results]))
    else:
        for result, (target, agent, version) in zip(done.results, lacking, strict=True):
            click.echo(f"{target.name}: {layout.model_id(agent, version)} {result.state}")
        if not lacking:
            click.echo("nobody is behind")
    _raise_for(done)


def _view(sender: Sender, names: list[str], agent: str, version: str, manner: Manner) -> FleetView:
    signed = load_signed(sender.models, agent, version, sender.key)  # a version that cannot be shipped ends it here
    size = sum(len(data) for data in signed.raw.values())
    return FleetView(layout.model_id(agent, version), names, size, live=False if manner.as_json else None)


def _undo(
    sender: Sender, members: Sequence[Target], done: RollOut, agent: str, manner: Manner, view: FleetView
) -> list[str]:
    """Back to the former version wherever this one serves."""
    undone, serving = [], set(done.named("sent", "loaded", "good"))
    for target in members:
        if target.name in serving:
            view.say(target.name, SENDING, "rolling back")
            try:
                back = roll_back(sender, target, None, agent, wait=Wait(LOADED, manner.wait.timeout_s))
                view.say(target.name, "rolled back", f"to {back.version}")
                undone.append(target.name)
            except PipitError as error:
                view.say(target.name, fleet.FAILED, f"not rolled back: {error}")
    return undone


def _raise_for(done: RollOut) -> None:
    if done.failed:
        bad = "; ".join(f"{r.target}: {r.reason}" for r in done.results if r.state == fleet.FAILED)
        raise ShipError(
            f"fleet: stopped after a failure ({bad}); skipped: {', '.join(done.named(fleet.SKIPPED)) or '-'}", "fleet"
        )
    if offline := done.named(fleet.OFFLINE):
        raise ShipError(
            f"fleet: offline: {', '.join(offline)}; `ship --fleet … --catch-up` tries these again", "offline", True
        )
