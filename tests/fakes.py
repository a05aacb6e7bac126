"""Hand-made stand-ins that tests share: made-up bundles, a trainer's workshop, a Pi without a daemon."""

from __future__ import annotations

import json
import random
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from inference import reconcile, state
from inference.bundles import probation
from inference.bundles import store as bundle_store
from inference.bundles.probation import ProbationRules
from inference.bundles.store import BundleStore
from inference.models import ModelSlot
from inference.probe import Limits
from inference.reconcile import Outcome, ReconcileSettings
from shared import bundle
from shared.bundle import Manifest
from trainer import registry
from trainer.keys import SigningKey, ensure_key, next_serial
from trainer.remote import LocalRemote
from trainer.ship import SignedBundle, load_signed, ship

FAKE_PROBE = (sys.executable, str(Path(__file__).with_name("fake_probe.py")))
V1, V2, V3 = "20250607_230000", "20250608_230000", "20250609_230000"


class Clock:
    """A clock that a test sets."""

    def __init__(self, time_s: float = 1_750_000_000.0) -> None:
        self.time_s = time_s

    def __call__(self) -> float:
        return self.time_s

    def pass_(self, seconds: float) -> None:
        self.time_s += seconds


def bundle_files(word: str = "good", size: int = 2000, promise: Mapping[str, float] | None = None) -> dict[str, bytes]:
    """The files of a made-up bundle; `word` tells the fake probe and the fake loader how the model behaves."""
    noise = random.Random(f"{word} {size}").randbytes
    return {
        "model.joblib": noise(size),
        "scorer.npz": word.encode() + b" " + noise(size // 2),
        "agent.yaml": b"name: wifi\n",
        "metadata.json": b"{}",
        "golden.json": b"[]",
        "reference.json": json.dumps({"promise": dict(promise or {})}).encode(),
        "report.html": b"<p>",
    }


def fake_load(files: Mapping[str, bytes]) -> Any:
    """What serves in tests: the first word of its scorer. Opening the trainer's pickle would be a KeyError."""
    assert "model.joblib" not in files
    word = files["scorer.npz"].partition(b" ")[0].decode()
    if word == "unloadable":
        raise ValueError("the arrays do not fit together")
    return word


class Workshop:
    """A trainer's folders and key."""

    def __init__(self, root: Path, clock: Clock | None = None) -> None:
        self.root = root
        self.models = root / "models"
        self.state_dir = root / "trainer-state"
        self.clock = clock or Clock()
        self.key: SigningKey = ensure_key(self.state_dir)

    @property
    def allowed(self) -> Path:
        return self.state_dir / "allowed_signers"

    def make(
        self,
        version: str = V1,
        word: str = "good",
        *,
        agent: str = "wifi",
        size: int = 2000,
        audience: Sequence[str] = ("*",),
        serial: int | None = None,
        promise: Mapping[str, float] | None = None,
    ) -> SignedBundle:
        """A signed version in the models folder."""
        bundle.write_bundle(
            self.models / agent / version,
            bundle_files(word, size, promise),
            agent=agent,
            version=version,
            serial=serial or next_serial(self.state_dir, self.clock),
            audience=audience,
            sign=self.key.sign,
        )
        return load_signed(self.models, agent, version, self.key)

    def sign_anew(self, version: str, agent: str = "wifi") -> Manifest:
        return registry.sign_anew(self.models, agent, version, key=self.key, state_dir=self.state_dir, now=self.clock)


class Pi:
    """What the daemon has of bundles, without the daemon: call `reconcile()` as its loop would."""

    def __init__(
        self,
        root: Path,
        allowed: Path,
        *,
        inbox: Path | None = None,
        machine: str = "attic",
        windows: int = 3,
        clock: Clock | None = None,
    ) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.inbox = inbox or root / "inbox"
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.state_file = root / "pi-state" / "state.db"
        self.clock = clock or Clock()
        self.settings = ReconcileSettings(
            inbox=self.inbox,
            store=self.state_file.parent / "store",
            receipts=self.inbox.parent / "receipts",
            allowed_signers=allowed,
            revoked_keys=root / "revoked_keys",
            machine=machine,
            limits=Limits(cpu_s=2, memory_mb=1024, wall_s=20.0),
            probation=ProbationRules(windows=windows),
        )
        self.db: sqlite3.Connection = state.connect(self.state_file)
        self.slot = ModelSlot()
        self.probe_command: Sequence[str] = FAKE_PROBE
        self.load = fake_load

    @property
    def store(self) -> BundleStore:
        return BundleStore(self.db, self.settings.store)

    def limit(self, **limits: Any) -> None:
        self.settings = replace(self.settings, limits=replace(self.settings.limits, **limits))

    def reconcile(self) -> list[Outcome]:
        return reconcile.reconcile(
            self.clock, self.db, self.slot, self.settings, load=self.load, probe_command=self.probe_command
        )

    def one(self) -> Outcome:
        """The outcome of a reconcile that must have exactly one."""
        outcomes = self.reconcile()
        assert len(outcomes) == 1, outcomes
        return outcomes[0]

    def restart(self) -> list[Outcome]:
        """What a new process of the daemon does first."""
        self.db.close()
        self.db = state.connect(self.state_file)
        self.slot = ModelSlot()
        return reconcile.start(self.clock, self.db, self.slot, self.settings, load=self.load)

    def serving(self, agent: str = "wifi") -> str | None:
        """The version that serves; what the slot and the committed row say must agree."""
        held, row = self.slot.get(agent), self.store.active(agent)
        assert (held.version if held else None) == (row.version if row else None)
        return held.version if held else None

    def receipt(self, agent: str = "wifi") -> dict[str, Any]:
        return dict(json.loads((self.settings.receipts / f"{agent}.json").read_bytes()))

    def state_of(self, version: str, agent: str = "wifi") -> str | None:
        known = self.store.known(agent, version)
        return known.state if known else None


def pi_with_v1(root: Path, workshop: Workshop) -> Pi:
    """A Pi on which the first version is good."""
    pi = Pi(root, workshop.allowed)
    ship(workshop.make(V1), LocalRemote(pi.inbox))
    pi.one()
    probation.note(pi.db, "wifi", V1, windows=3, anomalies=0)
    assert pi.one().state == "good"
    return pi


__all__ = ["V1", "V2", "V3", "Clock", "Pi", "Workshop", "bundle_files", "bundle_store", "fake_load", "pi_with_v1"]
