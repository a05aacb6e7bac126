"""Make what serves agree with what somebody wants: wish → verify → private copy → probe → commit → swap → probation.

Called by the watcher, the poll, the start-up and the button; calling it again changes nothing. A kill at any step leaves
the old version or the new one active: the commit is one transaction, and everything before it can be thrown away.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference import bundle_store as rows
from inference import probe as trial
from inference.bundle_store import BundleStore
from inference.fallback import end_probations, give_up
from inference.inbox import Candidate, new_links, receive
from inference.models import ModelSlot
from inference.outcomes import refuse, settle, write_receipts
from inference.probation import RESTARTS, read_promise
from inference.reconciling import (
    ACTIVATE,
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
    as_refusal,
    load_bundle,
)
from shared import layout
from shared.errors import BundleError
from shared.manifest import Manifest

if TYPE_CHECKING:
    from shared.model import Model

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


def load_real_model(files: Mapping[str, bytes]) -> Model:
    """The model of a bundle, from its plain arrays and agent file."""
    from shared.model import load_model  # here: numpy costs memory that the command line need not have

    return load_model(files)


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
            candidate = _fetch(ctx, wish)
            if _is_active(ctx, candidate):
                outcome = _confirm(ctx, wish, candidate)
            else:
                place = _keep_copy(ctx, candidate)
                _try_out(ctx, candidate, place, probe_command)
                outcome = _activate(ctx, wish, candidate)
        except Exception as error:
            outcome = refuse(ctx, wish, error)
        outcomes.append(settle(ctx, wish, replace(outcome, seconds=time.monotonic() - began)))
    outcomes += end_probations(ctx)
    write_receipts(ctx)
    return outcomes


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
    outcomes = []
    for active in ctx.store.actives():
        starts = ctx.store.count_start(active.agent)
        known = ctx.store.known(active.agent, active.version)
        why = BundleError("load", f"start: {active.version} did not come up {starts - 1} times")
        if starts <= RESTARTS:
            try:
                _serve(ctx, *ctx.store.load(active.agent, active.version))
                if known and known.state == rows.GOOD:
                    ctx.store.reset_starts(active.agent)
                continue
            except Exception as error:
                why = as_refusal(error)
        outcomes.append(give_up(ctx, active.agent, rows.BAD, why.code, str(why)))
    return outcomes


def stop(db: sqlite3.Connection) -> None:
    """The daemon ends as it should: this start does not count as one that the active models did not survive."""
    db.execute("UPDATE active SET starts = 0")


def _open_wishes(ctx: Context) -> list[Wish]:
    """Clicks first, in their order, then links that have not been decided on."""
    wishes = [Wish(row.agent, row.version, row.action, row=row) for row in ctx.store.open_wishes()]
    trust = (ctx.settings.allowed_signers, ctx.settings.revoked_keys)
    links = new_links(ctx.settings.inbox, ctx.store, trust)
    return wishes + [Wish(link.agent, link.version, INBOX, link=link) for link in links]


def _fetch(ctx: Context, wish: Wish) -> Candidate:
    """The bundle that is wanted, verified: from the store when it was good here before, else from the inbox."""
    version = _wanted_version(ctx, wish)
    known = ctx.store.known(wish.agent, version)
    if wish.way != INBOX and known is not None and known.state in (rows.GOOD, rows.PROBATION):
        return Candidate(*ctx.store.load(wish.agent, version), known.signer)
    settings = ctx.settings
    if wish.way != INBOX and not layout.bundle_folder(settings.inbox, wish.agent, version).is_dir():
        raise BundleError(
            "not_here",
            f"models: {layout.model_id(wish.agent, version)} is neither in this machine's "
            "store nor in its inbox; see `pipit-inference models list`",
        )
    candidate = receive(
        settings.inbox,
        wish.agent,
        version,
        ctx.store,
        settings.allowed_signers,
        settings.revoked_keys,
        settings.machine,
    )
    if known and known.manifest_sha256 == candidate.manifest.sha256 and known.state in (rows.BAD, rows.RETURNED):
        raise BundleError(
            "bad",
            f"bundle: {candidate.manifest.model_id} was given up here before ({known.code}: "
            f"{known.reason}); ship a new version",
        )
    return candidate


def _wanted_version(ctx: Context, wish: Wish) -> str:
    version = wish.version
    if wish.way == ROLLBACK and version is None:
        active = ctx.store.active(wish.agent)
        version = active.previous if active else None
        if version is None:
            raise BundleError("no_previous", f"rollback: there is no former version of {wish.agent} on this machine")
    if version is None or not layout.is_version(version):
        raise BundleError("not_regular", f"inbox: {wish.agent}/{layout.ACTIVE} is not a link to a version")
    return version


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


def _keep_copy(ctx: Context, candidate: Candidate) -> Path:
    """The private copy that is tried out and loaded; what lies in the inbox is not looked at again."""
    manifest = candidate.manifest
    place = ctx.store.shelf.path(manifest.agent, manifest.version)
    known = ctx.store.known(manifest.agent, manifest.version)
    if known and known.manifest_sha256 == manifest.sha256 and known.state in (rows.GOOD, rows.PROBATION):
        return place
    ctx.store.add_candidate(manifest, candidate.signer, ctx.now())
    return ctx.store.shelf.keep(manifest, candidate.raw)


def _try_out(ctx: Context, candidate: Candidate, place: Path, command: Sequence[str]) -> None:
    """Count the attempt, then let a child process load it and reproduce its golden rows."""
    agent, version = candidate.manifest.agent, candidate.manifest.version
    known = ctx.store.known(agent, version)
    if known and known.state == rows.CANDIDATE and known.attempts >= rows.ATTEMPTS:
        raise BundleError(
            "too_many_attempts",
            f"probe: {candidate.manifest.model_id} was tried {known.attempts} times "
            "and the daemon or the child died each time; ship a new version",
        )
    ctx.store.count_attempt(agent, version, ctx.now())
    report = trial.probe(place, ctx.settings.limits, command)
    logger.info(
        "probe passed agent=%s version=%s difference=%.1e memory_mb=%.0f seconds=%.2f",
        agent,
        version,
        report.difference,
        report.memory_mb,
        report.seconds,
    )


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


def _serve(ctx: Context, manifest: Manifest, raw: Mapping[str, bytes]) -> None:
    ctx.slot.put(load_bundle(ctx, manifest, raw))
