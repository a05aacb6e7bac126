"""A bundle that is to be judged beside the active version: taken in like any other, but it serves nobody.

Its serial moves no floor, so the same bundle may serve later; what is active, and its probation, are not touched.
"""

from __future__ import annotations

from collections.abc import Sequence

from inference.bundles import store as rows
from inference.bundles.inbox import Candidate
from inference.bundles.reconciling import CHALLENGER, Context, Outcome, Wish
from inference.bundles.taking import HERE, keep_copy, try_out
from inference.said import switches
from shared.errors import BundleError


def seat_beside(ctx: Context, wish: Wish, candidate: Candidate, probe_command: Sequence[str]) -> Outcome:
    """Try a verified bundle out and name it its agent's challenger; the daemon judges by it from the next cycle on.

    Raises:
        BundleError: nothing serves that it could be compared with, it serves itself, or it failed its trial.
    """
    agent, version = candidate.manifest.agent, candidate.manifest.version
    active = ctx.store.active(agent)
    if active is None:
        raise BundleError("no_active", f"challenge: nothing serves for {agent}; ship it to serve, not beside another")
    if active.version == version:
        raise BundleError("is_active", f"challenge: {candidate.manifest.model_id} is what serves")
    known = ctx.store.known(agent, version)
    if known is None or known.state not in HERE:
        try_out(ctx, candidate, keep_copy(ctx, candidate), probe_command)
        ctx.store.set_state(agent, version, rows.TRIED, ctx.now())
    by = wish.row.by if wish.row else "the trainer"
    switches.challenge(ctx.store.db, agent, version, by, ctx.now())
    ctx.store.prune(ctx.settings.keep)
    return Outcome(agent, version, CHALLENGER, wish.way, previous=active.version)
