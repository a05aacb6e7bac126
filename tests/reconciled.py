"""A Pi and a trainer's workshop for the tests of reconciling, and what one does to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.bundles import probation
from shared import layout
from tests.fakes import Pi, Workshop
from trainer.remote import LocalRemote
from trainer.ship import SignedBundle, ship


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def pi(tmp_path: Path, workshop: Workshop) -> Pi:
    return Pi(tmp_path / "pi", workshop.allowed)


def send(pi: Pi, signed: SignedBundle) -> None:
    ship(signed, LocalRemote(pi.inbox))


def point(pi: Pi, version: str, agent: str = "wifi") -> None:
    layout.swap_link(pi.inbox / agent / "active", version)


def good(pi: Pi, workshop: Workshop, version: str, word: str = "good") -> None:
    """Ship a version and let its probation pass."""
    send(pi, workshop.make(version, word))
    assert pi.one().state == "loaded"
    watch(pi, version, windows=3)
    assert pi.one().state == "good"


def watch(pi: Pi, version: str, **seen: float) -> None:
    counts = {"windows": 1, "anomalies": 0, **seen}
    probation.note(pi.db, "wifi", version, **counts)  # type: ignore[arg-type]


def damage_copy(pi: Pi, version: str) -> None:
    (pi.settings.store / "wifi" / version / "scorer.npz").write_bytes(b"good but not what was signed")
