"""`pipit-inference models`: what is in the store, and asking for another version."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from inference import state
from inference.bundle_store import BundleStore
from inference.models import ModelSlot
from inference.reconcile import ACTIVATE, ROLLBACK, reconcile, start
from inference.reconciling import reconcile_settings
from shared import bundle, layout
from shared.clean import clean
from shared.errors import BundleError, ConfigError, ShipError

_POLL_S = 0.1


@click.group()
@click.pass_context
def models(context: click.Context) -> None:
    """The models on this machine."""
    if callable(context.obj):  # the settings are read only by commands that need them
        context.obj = context.obj()


@models.command("list")
@click.option("--agent")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def models_list(settings: Any, agent: str | None, as_json: bool) -> None:
    """Known versions, newest first; `*` serves."""
    with _store(settings) as store:
        active = {row.agent: row for row in store.actives()}
        known = store.bundles(agent)
    rows = [
        {**asdict(row), "active": row.agent in active and active[row.agent].version == row.version} for row in known
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        mark = "*" if row["active"] else " "
        model_id = layout.model_id(row["agent"], row["version"])
        click.echo(
            clean(f"{mark} {model_id:<32} {row['state']:<10} serial {row['serial']:<12} {row['code']} {row['reason']}")
        )
    if not rows:
        click.echo("no model yet; ship one with `pipit-trainer ship VERSION --to …`")


@models.command("activate")
@click.argument("version")
@click.option("--agent")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for the daemon.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def models_activate(settings: Any, version: str, agent: str | None, timeout: float, as_json: bool) -> None:
    """Activate VERSION: one that was good here before, or one that lies in the inbox."""
    with _store(settings) as store:
        agent, version = _find(store, settings.inbox_folder, version, agent)
        _ask(settings, store, agent, ACTIVATE, version, timeout, as_json)


@models.command("rollback")
@click.option("--agent")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for the daemon.")
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def models_rollback(settings: Any, agent: str | None, timeout: float, as_json: bool) -> None:
    """Go back to the former version."""
    with _store(settings) as store:
        agents = [row.agent for row in store.actives() if agent in (None, row.agent)]
        if len(agents) != 1:
            raise ConfigError(
                f"rollback: {'several agents serve' if agents else 'no model serves'}; name one with --agent"
            )
        _ask(settings, store, agents[0], ROLLBACK, None, timeout, as_json)


@models.command("verify")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True)
@click.pass_obj
def models_verify(settings: Any, folder: Path, as_json: bool) -> None:
    """Check a bundle's folder as the daemon would: signature, audience, files. Nothing is loaded."""
    places = reconcile_settings(settings)
    raw = bundle.open_bundle(folder)
    manifest = bundle.verify(raw, places.allowed_signers, places.revoked_keys, machine=places.machine)
    said = {"model_id": manifest.model_id, "serial": manifest.serial, "manifest_sha256": manifest.sha256, "ok": True}
    click.echo(json.dumps(said) if as_json else f"{manifest.model_id} is whole and signed (serial {manifest.serial})")


def _find(store: BundleStore, inbox: Path, reference: str, agent: str | None) -> tuple[str, str]:
    known = {(row.agent, row.version) for row in store.bundles()}
    known |= {(a, v) for a in layout.agents_in(inbox) for v in layout.versions_in(inbox, a)}
    found = [
        (a, v) for a, v in sorted(known) if agent in (None, a) and reference in (v, layout.model_id(a, v), f"{a}/{v}")
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"models: {reference} is a version of several agents; name one with --agent")
    raise BundleError(
        "not_here",
        f"models: {reference} is neither in this machine's store nor in its inbox; see `pipit-inference models list`",
    )


def _ask(
    settings: Any, store: BundleStore, agent: str, action: str, version: str | None, timeout_s: float, as_json: bool
) -> None:
    """Leave the wish for the daemon and wait for its answer; where no daemon runs, fulfil it here."""
    wish = store.wish(agent, action, version, "command line", time.time())
    deadline = time.monotonic() + timeout_s
    while (outcome := store.wish_outcome(wish)) is None:
        if time.monotonic() >= deadline:
            raise ShipError(
                f"models: no answer within {timeout_s:g} s; the daemon will see to it when it can", "timeout", True
            )
        with _daemon_lock(settings.lock_file) as free:
            if free:
                slot, places = ModelSlot(), reconcile_settings(settings)
                start(time.time, store.db, slot, places)
                reconcile(time.time, store.db, slot, places)
                continue
        time.sleep(_POLL_S)
    state_word, _, reason = outcome.partition(" ")
    serving = store.active(agent)
    if as_json:
        click.echo(
            json.dumps(
                {"agent": agent, "state": state_word, "reason": reason, "active": serving.version if serving else None}
            )
        )
    if state_word == "refused":
        raise BundleError(reason.partition(" ")[0], clean(reason))
    if not as_json:
        click.echo(f"{agent} {serving.version if serving else 'no model'} serves ({state_word})")


@contextlib.contextmanager
def _daemon_lock(path: Path) -> Iterator[bool]:
    """Hold the daemon's lock if no daemon does."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


@contextlib.contextmanager
def _store(settings: Any) -> Iterator[BundleStore]:
    db = state.connect(settings.state_file)
    try:
        yield BundleStore(db, settings.state_folder / "store")
    finally:
        db.close()
