"""Giving an active model up: the end of its probation, and the way back to the version before it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from inference.bundles import store as rows
from inference.bundles.copies import load_copy
from inference.bundles.outcomes import note
from inference.bundles.probation import Broken, judge
from inference.bundles.reconciling import GOOD, RETURNED, Context, Outcome, as_refusal, load_bundle

logger = logging.getLogger(__name__)


def end_probations(ctx: Context) -> list[Outcome]:
    """Good, or back to the former version, for every active version whose probation has an answer."""
    outcomes = []
    for active in ctx.store.actives():
        known = ctx.store.known(active.agent, active.version)
        if known is None or known.state != rows.PROBATION:
            continue
        verdict = judge(active, ctx.settings.probation, ctx.now())
        if isinstance(verdict, Broken):
            outcomes.append(give_up(ctx, active.agent, rows.RETURNED, verdict.code, verdict.reason))
        elif verdict:
            with ctx.store.durable():
                ctx.store.set_state(active.agent, active.version, rows.GOOD, ctx.now())
            outcome = Outcome(active.agent, active.version, GOOD, "probation", previous=active.previous)
            logger.info("bundle good agent=%s version=%s windows=%d", active.agent, active.version, active.windows)
            note(ctx, outcome)
            outcomes.append(outcome)
    return outcomes


def give_up(ctx: Context, agent: str, state: str, code: str, reason: str) -> Outcome:
    """Take the active version out of service: back to the former one, else the newest good one, else none."""
    active = next(row for row in ctx.store.actives() if row.agent == agent)
    for version in _fallbacks(ctx, agent, active.version, active.previous):
        try:
            serving = load_bundle(ctx, *load_copy(ctx.store, ctx.settings.inbox, agent, version))
        except Exception as error:
            logger.warning("fallback fails agent=%s version=%s reason=%s", agent, version, as_refusal(error))
            continue
        ctx.store.fall_back(agent, version, state, code, reason, ctx.now())
        ctx.slot.put(serving)
        break
    else:
        version = None
        ctx.store.fall_back(agent, None, state, code, reason, ctx.now())
        ctx.slot.drop(agent)
    logger.error(
        "bundle returned agent=%s version=%s to=%s code=%s reason=%s",
        agent,
        active.version,
        version or "-",
        code,
        reason,
    )
    outcome = Outcome(agent, active.version, RETURNED, "probation", code, reason, version)
    note(ctx, outcome)
    return outcome


def _fallbacks(ctx: Context, agent: str, without: str, previous: str | None) -> Iterable[str]:
    known = ctx.store.bundles(agent)
    former = [row.version for row in known if row.version == previous and row.state in (rows.GOOD, rows.PROBATION)]
    good = [row.version for row in known if row.state == rows.GOOD]
    return [version for version in dict.fromkeys(former + good) if version != without]
