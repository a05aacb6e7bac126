"""Asking the daemon for another version from the command line, and waiting for its answer."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from inference import state
from inference.bundles.reconciling import CHALLENGER, reconcile_settings
from inference.bundles.store import BundleStore
from inference.models import ModelSlot
from inference.reconcile import reconcile, start
from shared.clean import clean
from shared.errors import BundleError, ShipError

_POLL_S = 0.1


def ask(
    settings: Any,
    store: BundleStore,
    agent: str,
    action: str,
    version: str | None,
    timeout_s: float,
    as_json: bool,
    by: str = "command line",
) -> None:
    """Leave the wish for the daemon and wait for its answer; where no daemon runs, fulfil it here."""
    wish = store.wish(agent, action, version, by, time.time())
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
    serves = f"{agent} {serving.version if serving else 'no model'} serves"
    if not as_json:
        click.echo(
            f"{serves}, {version} is judged beside it" if state_word == CHALLENGER else f"{serves} ({state_word})"
        )


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
def open_store(settings: Any) -> Iterator[BundleStore]:
    """The rows and copies of this machine."""
    db = state.connect(settings.state_file)
    try:
        yield BundleStore(db, settings.state_folder / "store")
    finally:
        db.close()
