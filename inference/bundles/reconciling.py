"""What the steps of `reconcile` share: its settings, a wish, an outcome, and how a bundle becomes something that serves."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from inference import probe as trial
from inference.bundles.copies import load_copy
from inference.bundles.inbox import Link
from inference.bundles.probation import ProbationRules
from inference.bundles.store import GOOD as GOOD_HERE
from inference.bundles.store import PROBATION as ON_PROBATION
from inference.bundles.store import TRIED, BundleStore, WishRow
from inference.models import ModelSlot, Serving
from shared import layout
from shared.errors import BundleError, PipitError, StoreError
from shared.manifest import Manifest

if TYPE_CHECKING:
    from inference.config import Settings
    from shared.model import Model

logger = logging.getLogger(__name__)

LOADED, GOOD, REFUSED, RETURNED, TRYING = "loaded", "good", "refused", "returned", "trying"
INBOX, ROLLBACK, ACTIVATE = "inbox", "rollback", "activate"
CHALLENGER = layout.CHALLENGER  # as an action and as an outcome: judged beside the active version

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


def reconcile_settings(settings: Settings) -> ReconcileSettings:
    """Where bundles come from, where they are kept and who may sign them, by the service's settings."""
    folder, inbox = settings.state_folder, settings.inbox_folder
    return ReconcileSettings(
        inbox=inbox,
        store=folder / "store",
        receipts=inbox.parent / layout.RECEIPTS,
        allowed_signers=settings.signers_file or folder / "allowed_signers",
        revoked_keys=folder / "revoked_keys",
        machine=settings.audience or os.uname().nodename,
        keep=settings.keep_models,
    )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one wish, or of one probation. `state`: loaded, good, challenger, refused, returned, or trying (again)."""

    agent: str
    version: str
    state: str
    way: str
    code: str = ""
    reason: str = ""
    previous: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """One version that somebody wants active, or as a challenger (`name`): by a link in the inbox, or by a click (`row`)."""

    agent: str
    version: str | None
    way: str
    link: Link | None = None
    row: WishRow | None = None
    name: str = layout.ACTIVE


class Context:
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


def load_bundle(ctx: Context, manifest: Manifest, raw: Mapping[str, bytes]) -> Serving:
    files = {name: data for name, data in raw.items() if name != "model.joblib"}  # for the trainer; never opened here
    try:
        model = ctx.load(files)
    except (BundleError, MemoryError):
        raise
    except Exception as error:
        raise BundleError("load", f"bundle: the model does not load: {type(error).__name__}: {error}") from error
    return Serving(manifest.agent, manifest.version, manifest.serial, manifest.sha256, model, ctx.now())


def load_kept(store: BundleStore, inbox: Path, agent: str, version: str, now: float) -> Serving:
    """A version that was good in this store, loaded again to be judged beside another, or for rows that came late.

    A copy that was lost is made again from the inbox, where the same bundle still lies there.

    Raises:
        BundleError: it was never good here, its copy is gone or damaged for good, or it does not load.
    """
    from shared.model import load_model  # numpy: only where there is a model

    known = store.known(agent, version)
    if known is None or known.state not in (GOOD_HERE, ON_PROBATION, TRIED):
        raise BundleError("not_here", f"models: {agent} {version} was never good on this machine; ship it")
    manifest, raw = load_copy(store, inbox, agent, version)
    model = load_model({name: data for name, data in raw.items() if name != "model.joblib"})
    return Serving(agent, version, manifest.serial, manifest.sha256, model, now)


def as_refusal(error: Exception) -> BundleError:
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
