"""Make what serves agree with what somebody wants: wish → verify → private copy → probe → commit → swap → probation.

Called by the watcher, the poll, the start-up and the button; calling it again changes nothing. A kill at any step leaves
the old version or the new one active: the commit is one transaction, and everything before it can be thrown away.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from inference import probe as trial
from inference.bundles import store as rows
from inference.bundles.beside import seat_beside
from inference.bundles.fallback import end_probations
from inference.bundles.inbox import Candidate, new_links
from inference.bundles.outcomes import refuse, settle, write_receipts
from inference.bundles.probation import read_promise
from inference.bundles.reconciling import (
    ACTIVATE,
    CHALLENGER,
    GOOD,
    INBOX,
    LOADED,
    REFUSED,
    RETURNED,
    ROLLBACK,
    TRYING,
    Context,
    Load,
    Outcome,
    ReconcileSettings,
    Wish,
    load_bundle,
    load_real_model,
)
from inference.bundles.starting import start, stop
from inference.bundles.store import BundleStore
from inference.bundles.taking import fetch, keep_copy, try_out
from inference.models import ModelSlot
from inference.said.handing import hand_out_marks
from shared.layout import ACTIVE

__all__ = [
    "ACTIVATE",
    "GOOD",
    "LOADED",
    "REFUSED",
    "RETURNED",
    "ROLLBACK",
    "TRYING",
    "Outcome",
    "ReconcileSettings",
    "load_real_model",
    "reconcile",
    "start",
    "stop",
]

logger = logging.getLogger(__name__)


def reconcile(
    now: Callable[[], float],
    db: sqlite3.Connection,
    slot: ModelSlot,
    settings: ReconcileSettings,
    *,
    load: Load = load_real_model,
    probe_command: Sequence[str] = trial.COMMAND,
) -> list[Outcome]:
    """Fulfil or refuse every open wish, end probations that are over, and write the receipts that are due."""
    ctx = Context(now, BundleStore(db, settings.store), slot, settings, load)
    outcomes = []
    for wish in _open_wishes(ctx):
        began = time.monotonic()
        try:
            candidate = fetch(ctx, wish)
            if wish.name == CHALLENGER:
                outcome = seat_beside(ctx, wish, candidate, probe_command)
            elif _is_active(ctx, candidate):
                outcome = _confirm(ctx, wish, candidate)
            else:
                place = keep_copy(ctx, candidate)
                try_out(ctx, candidate, place, probe_command)
                outcome = _activate(ctx, wish, candidate)
        except Exception as error:
            outcome = refuse(ctx, wish, error)
        outcomes.append(settle(ctx, wish, replace(outcome, seconds=time.monotonic() - began)))
    outcomes += end_probations(ctx)
    write_receipts(ctx)
    hand_out_marks(ctx)
    return outcomes


def _open_wishes(ctx: Context) -> list[Wish]:
    """Clicks first, in their order, then links that have not been decided on."""
    wishes = [
        Wish(row.agent, row.version, row.action, row=row, name=CHALLENGER if row.action == CHALLENGER else ACTIVE)
        for row in ctx.store.open_wishes()
    ]
    trust = (ctx.settings.allowed_signers, ctx.settings.revoked_keys)
    links = new_links(ctx.settings.inbox, ctx.store, trust)
    return wishes + [Wish(link.agent, link.version, INBOX, link=link, name=link.name) for link in links]


def _is_active(ctx: Context, candidate: Candidate) -> bool:
    active = ctx.store.active(candidate.manifest.agent)
    serving = ctx.slot.get(candidate.manifest.agent)
    return (
        active is not None
        and active.version == candidate.manifest.version
        and serving is not None
        and serving.manifest_sha256 == candidate.manifest.sha256
    )


def _confirm(ctx: Context, wish: Wish, candidate: Candidate) -> Outcome:
    """It serves already: say so again to whoever asked."""
    manifest = candidate.manifest
    active, known = ctx.store.active(manifest.agent), ctx.store.known(manifest.agent, manifest.version)
    state = GOOD if known and known.state == rows.GOOD else LOADED
    return Outcome(manifest.agent, manifest.version, state, wish.way, previous=active.previous if active else None)


def _activate(ctx: Context, wish: Wish, candidate: Candidate) -> Outcome:
    """Load it, commit it as the active one, and swap it in."""
    manifest = candidate.manifest
    known = ctx.store.known(manifest.agent, manifest.version)
    proven = (known is not None and known.state == rows.GOOD) or ctx.settings.probation.windows == 0
    serving = load_bundle(ctx, manifest, candidate.raw)
    promise = read_promise(candidate.raw["reference.json"])
    state = rows.GOOD if proven else rows.PROBATION
    previous = ctx.store.commit_active(manifest, candidate.signer, state, promise, ctx.now())
    ctx.slot.put(serving)
    ctx.store.prune(ctx.settings.keep)
    return Outcome(manifest.agent, manifest.version, GOOD if proven else LOADED, wish.way, previous=previous)
