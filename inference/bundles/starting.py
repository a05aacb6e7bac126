"""The models when the daemon starts and stops: what was active is loaded again, or given up for what was good before it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable

from inference.bundles import store as rows
from inference.bundles.copies import load_copy
from inference.bundles.fallback import give_up
from inference.bundles.probation import RESTARTS
from inference.bundles.reconciling import (
    Context,
    Load,
    Outcome,
    ReconcileSettings,
    as_refusal,
    load_bundle,
    load_real_model,
)
from inference.bundles.store import BundleStore
from inference.models import ModelSlot
from shared.errors import BundleError


def start(
    now: Callable[[], float],
    db: sqlite3.Connection,
    slot: ModelSlot,
    settings: ReconcileSettings,
    *,
    load: Load = load_real_model,
) -> list[Outcome]:
    """Load what was active, hashing it again; where that fails the former one, else the newest good one."""
    ctx = Context(now, BundleStore(db, settings.store), slot, settings, load)
    ctx.store.shelf.sweep()
    return [outcome for active in ctx.store.actives() if (outcome := _come_up(ctx, active))]


def _come_up(ctx: Context, active: rows.ActiveRow) -> Outcome | None:
    """Serve an active version again; the outcome where it had to be given up."""
    agent, version = active.agent, active.version
    starts = ctx.store.count_start(agent)
    if starts > RESTARTS:
        return give_up(ctx, agent, rows.BAD, "load", f"start: {version} did not come up {starts - 1} times")
    try:
        copy = load_copy(ctx.store, ctx.settings.inbox, agent, version)
    except Exception as error:  # no fault of the bundle's: it is taken again where it comes again
        why = as_refusal(error)
        outcome = give_up(ctx, agent, rows.REFUSED, why.code, str(why))
        ctx.store.forget_link(agent)
        return outcome
    try:
        ctx.slot.put(load_bundle(ctx, *copy))
    except Exception as error:
        why = as_refusal(error)
        return give_up(ctx, agent, rows.BAD, why.code, str(why))
    known = ctx.store.known(agent, version)
    if known and known.state == rows.GOOD:
        ctx.store.reset_starts(agent)
    if active.previous:
        with contextlib.suppress(
            BundleError
        ):  # the way back; without it there is none, which is told when it is asked for
            load_copy(ctx.store, ctx.settings.inbox, agent, active.previous)
    return None


def stop(db: sqlite3.Connection) -> None:
    """The daemon ends as it should: this start does not count as one that the active models did not survive."""
    db.execute("UPDATE active SET starts = 0")
