"""Make what serves agree with what somebody wants: wish → verify → private copy → probe → commit → swap → probation.

Called by the watcher, the poll, the start-up and the button; calling it again changes nothing. A kill at any step leaves
the old version or the new one active: the commit is one transaction, and everything before it can be thrown away.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from inference import bundle_store as rows
from inference import probe as trial
from inference.bundle_store import BundleRow, BundleStore, WishRow
from inference.inbox import Candidate, Link, manifest_sha256, new_links, receive
from inference.models import ModelSlot, Serving
from inference.probation import RESTARTS, Broken, ProbationRules, judge, read_promise
from inference.receipts import write_receipt
from shared import layout
from shared.bundle import Manifest
from shared.errors import BundleError, PipitError, StoreError

if TYPE_CHECKING:
    from shared.model import Model

logger = logging.getLogger(__name__)

LOADED, GOOD, REFUSED, RETURNED, TRYING = "loaded", "good", "refused", "returned", "trying"
INBOX, ROLLBACK, ACTIVATE = "inbox", "rollback", "activate"

# Refusals that come of trying a verified candidate out: these, and only these, are about the bundle for good.
_TRIED = {"golden", "load", "memory", "probe_timeout", "probe_crashed", "too_many_attempts", "internal"}

Load = Callable[[Mapping[str, bytes]], "Model"]


@dataclass(frozen=True, slots=True)
class ReconcileSettings:
    """Where things are, whom to trust, what this machine is called, and how much a candidate may use up."""

    inbox: Path
    store: Path
    receipts: Path
    allowed_signers: Path
    machine: str
    revoked_keys: Path | None = None
    limits: trial.Limits = field(default_factory=trial.Limits)
    probation: ProbationRules = field(default_factory=ProbationRules)
    keep: int = 1  # good versions kept besides the active and the former one


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one wish, or of one probation. `state`: loaded, good, refused, returned, or trying (again)."""

    agent: str
    version: str
    state: str
    way: str
    code: str = ""
    reason: str = ""
    previous: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Wish:
    """One version that somebody wants active: by a link in the inbox, or by a click (`row`)."""

    agent: str
    version: str | None
    way: str
    link: Link | None = None
    row: WishRow | None = None


class _Context:
    """What every step needs."""

    def __init__(
        self, now: Callable[[], float], store: BundleStore, slot: ModelSlot, settings: ReconcileSettings, load: Load
    ) -> None:
        self.now = now
        self.store = store
        self.slot = slot
        self.settings = settings
        self.load = load


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
    ctx = _Context(now, BundleStore(db, settings.store), slot, settings, load)
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
            outcome = _refuse(ctx, wish, error)
        outcomes.append(_settle(ctx, wish, replace(outcome, seconds=time.monotonic() - began)))
    outcomes += _end_probations(ctx)
    _write_receipts(ctx)
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
    ctx = _Context(now, BundleStore(db, settings.store), slot, settings, load)
    ctx.store.sweep()
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
                why = _as_refusal(error)
        outcomes.append(_give_up(ctx, active.agent, rows.BAD, why.code, str(why)))
    return outcomes


def stop(db: sqlite3.Connection) -> None:
    """The daemon ends as it should: this start does not count as one that the active models did not survive."""
    db.execute("UPDATE active SET starts = 0")


def _open_wishes(ctx: _Context) -> list[_Wish]:
    """Clicks first, in their order, then links that have not been decided on."""
    wishes = [_Wish(row.agent, row.version, row.action, row=row) for row in ctx.store.open_wishes()]
    trust = (ctx.settings.allowed_signers, ctx.settings.revoked_keys)
    links = new_links(ctx.settings.inbox, ctx.store, trust)
    return wishes + [_Wish(link.agent, link.version, INBOX, link=link) for link in links]


def _fetch(ctx: _Context, wish: _Wish) -> Candidate:
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


def _wanted_version(ctx: _Context, wish: _Wish) -> str:
    version = wish.version
    if wish.way == ROLLBACK and version is None:
        active = ctx.store.active(wish.agent)
        version = active.previous if active else None
        if version is None:
            raise BundleError("no_previous", f"rollback: there is no former version of {wish.agent} on this machine")
    if version is None or not layout.is_version(version):
        raise BundleError("not_regular", f"inbox: {wish.agent}/{layout.ACTIVE} is not a link to a version")
    return version


def _is_active(ctx: _Context, candidate: Candidate) -> bool:
    active = ctx.store.active(candidate.manifest.agent)
    serving = ctx.slot.get(candidate.manifest.agent)
    return (
        active is not None
        and active.version == candidate.manifest.version
        and serving is not None
        and serving.manifest_sha256 == candidate.manifest.sha256
    )


def _confirm(ctx: _Context, wish: _Wish, candidate: Candidate) -> Outcome:
    """It serves already: say so again to whoever asked."""
    manifest = candidate.manifest
    active, known = ctx.store.active(manifest.agent), ctx.store.known(manifest.agent, manifest.version)
    state = GOOD if known and known.state == rows.GOOD else LOADED
    return Outcome(manifest.agent, manifest.version, state, wish.way, previous=active.previous if active else None)


def _keep_copy(ctx: _Context, candidate: Candidate) -> Path:
    """The private copy that is tried out and loaded; what lies in the inbox is not looked at again."""
    manifest = candidate.manifest
    place = ctx.store.path(manifest.agent, manifest.version)
    known = ctx.store.known(manifest.agent, manifest.version)
    if known and known.manifest_sha256 == manifest.sha256 and known.state in (rows.GOOD, rows.PROBATION):
        return place
    ctx.store.add_candidate(manifest, candidate.signer, ctx.now())
    return ctx.store.keep(manifest, candidate.raw)


def _try_out(ctx: _Context, candidate: Candidate, place: Path, command: Sequence[str]) -> None:
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


def _activate(ctx: _Context, wish: _Wish, candidate: Candidate) -> Outcome:
    """Load it, commit it as the active one, and swap it in."""
    manifest = candidate.manifest
    known = ctx.store.known(manifest.agent, manifest.version)
    proven = (known is not None and known.state == rows.GOOD) or ctx.settings.probation.windows == 0
    serving = _load(ctx, manifest, candidate.raw)
    promise = read_promise(candidate.raw["reference.json"])
    state = rows.GOOD if proven else rows.PROBATION
    previous = ctx.store.commit_active(manifest, candidate.signer, state, promise, ctx.now())
    ctx.slot.put(serving)
    ctx.store.prune(ctx.settings.keep)
    return Outcome(manifest.agent, manifest.version, GOOD if proven else LOADED, wish.way, previous=previous)


def _load(ctx: _Context, manifest: Manifest, raw: Mapping[str, bytes]) -> Serving:
    files = {name: data for name, data in raw.items() if name != "model.joblib"}  # for the trainer; never opened here
    try:
        model = ctx.load(files)
    except (BundleError, MemoryError):
        raise
    except Exception as error:
        raise BundleError("load", f"bundle: the model does not load: {type(error).__name__}: {error}") from error
    return Serving(manifest.agent, manifest.version, manifest.serial, manifest.sha256, model, ctx.now())


def _serve(ctx: _Context, manifest: Manifest, raw: Mapping[str, bytes]) -> None:
    ctx.slot.put(_load(ctx, manifest, raw))


def _as_refusal(error: Exception) -> BundleError:
    """Whatever happened, as a refusal with a code."""
    if isinstance(error, BundleError):
        return error
    if isinstance(error, (OSError, sqlite3.Error, StoreError)):
        return BundleError("io", f"bundle: {error}; check the disk's free space and health")
    if isinstance(error, MemoryError):
        return BundleError("memory", "bundle: not enough memory to load it")
    if isinstance(error, PipitError):
        return BundleError("load", str(error))
    logger.error("unexpected error while taking a bundle in", exc_info=error)
    return BundleError("internal", f"bundle: unexpected {type(error).__name__}: {error}")


def _refuse(ctx: _Context, wish: _Wish, error: Exception) -> Outcome:
    """The old version goes on serving. An answer is final; a child that died may be tried again."""
    refusal = _as_refusal(error)
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


def _settle(ctx: _Context, wish: _Wish, outcome: Outcome) -> Outcome:
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
            _note(ctx, outcome)
        if wish.row is not None:
            ctx.store.close_wish(wish.row.id, f"{outcome.state} {outcome.code} {outcome.reason}".strip(), ctx.now())
        elif wish.link is not None and outcome.code != "io":
            accepted = outcome.state != REFUSED
            ctx.store.see_link(wish.agent, wish.link.mark, wish.link.context, accepted)
    except sqlite3.Error as error:
        logger.error("cannot write down what became of a bundle error=%s", error)
    return outcome


def _note_refusal(ctx: _Context, wish: _Wish, outcome: Outcome) -> None:
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


def _note(ctx: _Context, outcome: Outcome) -> None:
    known = ctx.store.known(outcome.agent, outcome.version)
    if known is not None:
        ctx.store.add_transfer(
            known, outcome.way, outcome.state, outcome.previous, ctx.now(), outcome.code, outcome.reason
        )


def _end_probations(ctx: _Context) -> list[Outcome]:
    """Good, or back to the former version, for every active version whose probation has an answer."""
    outcomes = []
    for active in ctx.store.actives():
        known = ctx.store.known(active.agent, active.version)
        if known is None or known.state != rows.PROBATION:
            continue
        verdict = judge(active, ctx.settings.probation, ctx.now())
        if isinstance(verdict, Broken):
            outcomes.append(_give_up(ctx, active.agent, rows.RETURNED, verdict.code, verdict.reason))
        elif verdict:
            with ctx.store.durable():
                ctx.store.set_state(active.agent, active.version, rows.GOOD, ctx.now())
            outcome = Outcome(active.agent, active.version, GOOD, "probation", previous=active.previous)
            logger.info("bundle good agent=%s version=%s windows=%d", active.agent, active.version, active.windows)
            _note(ctx, outcome)
            outcomes.append(outcome)
    return outcomes


def _give_up(ctx: _Context, agent: str, state: str, code: str, reason: str) -> Outcome:
    """Take the active version out of service: back to the former one, else the newest good one, else none."""
    active = next(row for row in ctx.store.actives() if row.agent == agent)
    for version in _fallbacks(ctx, agent, active.version, active.previous):
        try:
            serving = _load(ctx, *ctx.store.load(agent, version))
        except Exception as error:
            logger.warning("fallback fails agent=%s version=%s reason=%s", agent, version, _as_refusal(error))
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
    _note(ctx, outcome)
    return outcome


def _fallbacks(ctx: _Context, agent: str, without: str, previous: str | None) -> Iterable[str]:
    known = ctx.store.bundles(agent)
    former = [row.version for row in known if row.version == previous and row.state in (rows.GOOD, rows.PROBATION)]
    good = [row.version for row in known if row.state == rows.GOOD]
    return [version for version in dict.fromkeys(former + good) if version != without]


def _write_receipts(ctx: _Context) -> None:
    """Receipts that are due, also those of a run that was killed. A folder that cannot be written is tried again."""
    for row in ctx.store.unreported():
        try:
            write_receipt(ctx.settings.receipts, row, ctx.settings.machine)
        except OSError as error:
            logger.warning("receipt not written folder=%s error=%s", ctx.settings.receipts, error)
            return
        ctx.store.reported(row.id)
