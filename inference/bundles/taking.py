"""Taking a bundle in: fetched and verified, copied where only the daemon writes, tried out in a child process."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path

from inference import probe as trial
from inference.bundles import store as rows
from inference.bundles.copies import load_copy
from inference.bundles.inbox import Candidate, receive
from inference.bundles.reconciling import CHALLENGER, INBOX, ROLLBACK, Context, Wish
from shared import bundle, layout
from shared.errors import BundleError

logger = logging.getLogger(__name__)

HERE = (rows.GOOD, rows.PROBATION, rows.TRIED)  # a copy of such a version lies in the store


def fetch(ctx: Context, wish: Wish) -> Candidate:
    """The bundle that is wanted, verified: from the store when it was good here before, else from the inbox."""
    version = _wanted_version(ctx, wish)
    known, settings = ctx.store.known(wish.agent, version), ctx.settings
    if (wish.way != INBOX or wish.name == CHALLENGER) and known is not None and known.state in HERE:
        manifest, raw = load_copy(ctx.store, ctx.settings.inbox, wish.agent, version)
        if wish.way == INBOX:  # a link is anybody's who may write there: its key must be trusted still
            bundle.verify_manifest(raw, settings.allowed_signers, settings.revoked_keys, machine=settings.machine)
        return Candidate(manifest, raw, known.signer)
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
        raise BundleError("not_regular", f"inbox: {wish.agent}/{wish.name} is not a link to a version")
    return version


def keep_copy(ctx: Context, candidate: Candidate) -> Path:
    """The private copy that is tried out and loaded; what lies in the inbox is not looked at again."""
    manifest = candidate.manifest
    place = ctx.store.shelf.path(manifest.agent, manifest.version)
    known = ctx.store.known(manifest.agent, manifest.version)
    if known and known.manifest_sha256 == manifest.sha256 and known.state in (rows.GOOD, rows.PROBATION):
        with contextlib.suppress(BundleError, OSError):
            ctx.store.load(manifest.agent, manifest.version)
            return place
    ctx.store.add_candidate(manifest, candidate.signer, ctx.now())
    return ctx.store.shelf.keep(manifest, candidate.raw)


def try_out(ctx: Context, candidate: Candidate, place: Path, command: Sequence[str]) -> None:
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
