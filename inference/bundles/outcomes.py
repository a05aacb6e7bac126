"""What became of a wish: written down, logged, and told to the trainer by a receipt."""

from __future__ import annotations

import logging
import sqlite3

from inference import probe as trial
from inference.bundles import store as rows
from inference.bundles.inbox import manifest_sha256
from inference.bundles.ledger import forget_refused
from inference.bundles.receipts import remove_receipt, write_receipt
from inference.bundles.reconciling import REFUSED, TRYING, Context, Outcome, Wish, as_refusal
from inference.bundles.store import BundleRow
from shared import layout
from shared.errors import BundleError

logger = logging.getLogger(__name__)

# What is kept of refusals: whoever may write the inbox could fill the disk with them.
MOST_REFUSED, MOST_TRANSFERS = 200, 5_000

# Refusals that come of trying a verified candidate out: these, and only these, are about the bundle for good.
_TRIED = {"golden", "load", "memory", "probe_timeout", "probe_crashed", "too_many_attempts", "internal"}


def refuse(ctx: Context, wish: Wish, error: Exception) -> Outcome:
    """The old version goes on serving. An answer is final; a child that died may be tried again."""
    refusal = as_refusal(error)
    version = wish.version or ""
    known = ctx.store.known(wish.agent, version)
    if known and known.state == rows.CANDIDATE:
        again = not trial.is_final(refusal.code) and known.attempts < rows.ATTEMPTS
        if again:
            return Outcome(wish.agent, version, TRYING, wish.way, refusal.code, str(refusal))
        if refusal.code not in ("io", "too_many_attempts") and not trial.is_final(refusal.code):
            last = f"{refusal.code}: {refusal}"
            refusal = BundleError("too_many_attempts", f"probe: tried {known.attempts} times; the last time {last}")
    return Outcome(wish.agent, version, REFUSED, wish.way, refusal.code, str(refusal))


def settle(ctx: Context, wish: Wish, outcome: Outcome) -> Outcome:
    """Write down what came of a wish, unless it is to be tried again."""
    logger.log(
        logging.WARNING if outcome.state in (REFUSED, TRYING) else logging.INFO,
        "bundle %s agent=%s version=%s way=%s code=%s reason=%s seconds=%.2f",
        outcome.state,
        outcome.agent,
        outcome.version,
        outcome.way,
        outcome.code,
        outcome.reason,
        outcome.seconds,
    )
    try:
        if outcome.state == TRYING:
            return outcome
        if outcome.state == REFUSED:
            _note_refusal(ctx, wish, outcome)
        else:
            note(ctx, outcome)
        if wish.row is not None:
            ctx.store.close_wish(wish.row.id, f"{outcome.state} {outcome.code} {outcome.reason}".strip(), ctx.now())
        elif wish.link is not None and outcome.code != "io":
            accepted = outcome.state != REFUSED
            ctx.store.see_link(wish.link.key, wish.link.mark, wish.link.context, accepted)
    except sqlite3.Error as error:
        logger.error("cannot write down what became of a bundle error=%s", error)
    return outcome


def _note_refusal(ctx: Context, wish: Wish, outcome: Outcome) -> None:
    """A row for the list and a receipt; the rows of good bundles of that name stay as they are."""
    agent, version, now = outcome.agent, outcome.version, ctx.now()
    if not layout.is_version(version):
        return
    known = ctx.store.known(agent, version)
    if known and known.state == rows.CANDIDATE and outcome.code in _TRIED:
        ctx.store.set_state(agent, version, rows.BAD, now, outcome.code, outcome.reason)
    found = manifest_sha256(ctx.settings.inbox, agent, version)
    if known is None or known.manifest_sha256 != found:
        row = BundleRow(agent, version, found, 0, "", rows.REFUSED, 0, outcome.code, outcome.reason, 0, now, now)
        ctx.store.add_refused(row)
    else:
        row = known
    last = next(iter(ctx.store.transfers(agent, limit=1)), None)
    if outcome.code == "io" and last and (last.version, last.code) == (version, "io"):
        return  # said once; it is tried again at every poll
    active = ctx.store.active(agent)
    ctx.store.add_transfer(
        row, wish.way, REFUSED, active.version if active else None, now, outcome.code, outcome.reason
    )
    for name in forget_refused(ctx.store.db, MOST_REFUSED, MOST_TRANSFERS):
        remove_receipt(ctx.settings.receipts, name)


def note(ctx: Context, outcome: Outcome) -> None:
    known = ctx.store.known(outcome.agent, outcome.version)
    if known is not None:
        ctx.store.add_transfer(
            known, outcome.way, outcome.state, outcome.previous, ctx.now(), outcome.code, outcome.reason
        )


def write_receipts(ctx: Context) -> None:
    """Receipts that are due, also those of a run that was killed. A folder that cannot be written is tried again."""
    for row in ctx.store.unreported():
        try:
            write_receipt(ctx.settings.receipts, row, ctx.settings.machine)
            ctx.store.reported(row.id)
        except (OSError, sqlite3.Error) as error:
            logger.warning("receipt not written folder=%s error=%s", ctx.settings.receipts, error)
            return
