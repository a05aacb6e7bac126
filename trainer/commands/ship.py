"""`pipit-trainer ship | rollback`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from shared import layout
from shared.clean import clean
from trainer import targets as known
from trainer.commands import fleet
from trainer.commands.again import again
from trainer.commands.fleet import Manner
from trainer.commands.registry import PATH, sender_of
from trainer.remote import Progress, no_progress
from trainer.ship import GOOD, LOADED, Shipped, Wait
from trainer.shipping import history
from trainer.shipping.deliver import Sender, deliver, roll_back
from trainer.stoppable import all_of
from trainer.targets import Target

NAME = "pipit-trainer"
TIMEOUTS_S = {LOADED: 180.0, GOOD: 2700.0}  # probation takes 12 windows, or half an hour with one


class WaitCommand(click.Command):
    """A command whose `--wait` stands alone or has a value (`--wait=good`), and never takes the next word."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [f"--wait={LOADED}" if arg == "--wait" else arg for arg in args])


def _way(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--agent", help="Which agent, where a version's name is not unique."),
            click.option("--identity", type=PATH, help="SSH key to log in with."),
            click.option("--known-hosts", type=PATH, help="File that pins the host's key."),
            click.option(
                "--wait",
                type=click.Choice([LOADED, GOOD]),
                metavar="[=good]",
                help="Wait until the version serves; with =good until probation has passed.",
            ),
            click.option(
                "--timeout",
                type=click.FloatRange(0, min_open=True),
                help="Seconds to wait: 180, or 2700 for probation.",
            ),
            click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON."),
        )
    ):
        command = option(command)
    return command


@click.command(cls=WaitCommand)
@click.argument("version", required=False)
@click.option("--to", "target", help="A known target, or sftp://user@host:port/inbox (two slashes: absolute).")
@click.option(
    "--fleet", "group", help="A group of targets, or `all`: canary first, then batches, each until probation passed."
)
@click.option(
    "--canaries",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Targets that must take it before the rest.",
)
@click.option("--batch", type=click.IntRange(1), default=5, show_default=True, help="Targets at a time after that.")
@click.option("--undo", is_flag=True, help="After a failure roll those back that have it already.")
@click.option(
    "--catch-up",
    is_flag=True,
    help="Ship again to targets that were offline last time; with VERSION only to those that lack that one.",
)
@click.option("--challenger", is_flag=True, help="Have it judged beside what serves there; it alerts nobody.")
@click.option("--force", is_flag=True, help="Ship although the quality gate was missed; recorded.")
@_way
@click.pass_obj
def ship(
    settings: Any,
    version: str | None,
    target: str | None,
    group: str | None,
    canaries: int,
    batch: int,
    undo: bool,
    catch_up: bool,
    challenger: bool,
    force: bool,
    agent: str | None,
    identity: Path | None,
    known_hosts: Path | None,
    wait: str | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Ship VERSION (a version, `latest`, `active` or `wifi_<version>`) to a target or a fleet."""
    if (target is None) == (group is None):
        raise click.UsageError("give either --to or --fleet")
    if challenger and (catch_up or undo):
        raise click.UsageError("--challenger goes with neither --catch-up nor --undo: nothing that serves is changed")
    context = click.get_current_context()
    what = history.CHALLENGE if challenger else history.SHIP
    sender = sender_of(settings)
    waiting = _waiting(wait, timeout) if wait else None
    manner = Manner(
        _waiting(wait or (LOADED if challenger else GOOD), timeout), canaries, batch, undo, force, as_json, what
    )
    if catch_up:
        members = (
            [known.find_target(sender.state_dir, target)] if target else known.fleet(sender.state_dir, group or "")
        )
        only = version and layout.resolve(sender.models, version, agent)
        fleet.catch_up(sender, members, replace(manner, wait=_waiting(wait or LOADED, timeout)), only or None)
        return
    if version is None:
        raise click.UsageError("say which version; `latest` is the newest")
    agent, version = layout.resolve(sender.models, version, agent)
    repeated = again(context, NAME, version=version)
    if group is not None:
        members = known.fleet(sender.state_dir, group)
        fleet.ship_fleet(sender, members, agent, version, replace(manner, again=repeated))
        return
    found = known.find_target(sender.state_dir, target or "", identity, known_hosts)
    with (
        _stoppable(sender, found, agent, repeated),
        _progress(f"{layout.model_id(agent, version)} → {found.name}", as_json) as progress,
    ):
        one = partial(deliver, sender, found, agent, version, wait=waiting, force=force, what=what, progress=progress)
        (shipped,) = all_of([one], sender.stop)
    _say(shipped, as_json)


@click.command(cls=WaitCommand)
@click.argument("version", required=False)
@click.option("--to", "target", required=True, help="A known target, or its URL.")
@_way
@click.pass_obj
def rollback(
    settings: Any,
    version: str | None,
    target: str,
    agent: str | None,
    identity: Path | None,
    known_hosts: Path | None,
    wait: str | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Bring VERSION (or the former one) back to a target, signed anew as `<version>-rN`."""
    sender = sender_of(settings)
    found = known.find_target(sender.state_dir, target, identity, known_hosts)
    with _stoppable(sender, found, agent, ""), _progress(f"rollback → {found.name}", as_json) as progress:
        waiting = _waiting(wait, timeout) if wait else None
        back = partial(roll_back, sender, found, version, agent, wait=waiting, progress=progress)
        (shipped,) = all_of([back], sender.stop)
    _say(shipped, as_json)


def _waiting(until: str, timeout_s: float | None) -> Wait:
    return Wait(until, timeout_s or TIMEOUTS_S[until])


def _say(shipped: Shipped, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({**asdict(shipped), "state": shipped.state}))
        return
    model_id = layout.model_id(shipped.agent, shipped.version)
    click.echo(
        f"{model_id} {shipped.state} on {shipped.target} (serial {shipped.serial}, {shipped.size_bytes / 1e6:.1f} "
        f"MB in {shipped.seconds:.1f} s)"
    )


@contextlib.contextmanager
def _stoppable(sender: Sender, target: Target, agent: str | None, repeated: str) -> Iterator[None]:
    """Ctrl-C: say what is known of the one delivery that was under way, and how it goes on."""
    began = time.time()
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        for left in history.transfers(sender.state_dir, target=target.name, agent=agent, since=began, limit=1):
            click.echo(
                clean(f"{left.target}: {layout.model_id(left.agent, left.version)} {left.state}; {left.reason}"),
                err=True,
            )
        if repeated:
            click.echo(f"go on: {repeated}", err=True)
        raise


@contextlib.contextmanager
def _progress(text: str, as_json: bool) -> Iterator[Progress]:
    """A bar on a terminal, nothing in a pipe."""
    if as_json or not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(clean(text), total=None)
        yield lambda sent: bar.update(task, advance=sent)
