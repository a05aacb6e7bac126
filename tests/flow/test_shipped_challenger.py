"""A bundle that a trainer ships as a challenger: verified and tried like any other, judged beside the active version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from inference.bundles import probation
from inference.bundles.reconciling import load_kept
from inference.said import switches
from shared import layout
from shared.errors import BundleError
from tests.fakes import V1, V2, V3, Pi, Workshop
from trainer.remote import LocalRemote
from trainer.ship import ship
from trainer.shipping.steps import put_in_place, upload


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def pi(tmp_path: Path, workshop: Workshop) -> Pi:
    """A Pi on which V1 serves and is good."""
    pi = Pi(tmp_path / "pi", workshop.allowed)
    ship(workshop.make(V1), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    probation.note(pi.db, "wifi", V1, windows=3, anomalies=0)
    assert pi.one().state == "good"
    return pi


def bring(pi: Pi, workshop: Workshop, version: str, word: str = "good") -> None:
    """A bundle in the inbox that no link names."""
    signed, remote = workshop.make(version, word), LocalRemote(pi.inbox)
    put_in_place(remote, upload(remote, signed, lambda *_: None), signed)


def challenge(pi: Pi, version: str) -> None:
    layout.swap_link(pi.inbox / "wifi" / layout.CHALLENGER, version)


def test_a_shipped_challenger_is_tried_and_named_and_serves_nobody(pi: Pi, workshop: Workshop) -> None:
    bring(pi, workshop, V2)
    challenge(pi, V2)
    outcome = pi.one()
    assert (outcome.state, outcome.version, outcome.previous) == ("challenger", V2, V1)
    assert pi.serving() == V1
    assert switches.switches(pi.db)["wifi"].challenger == V2
    said = pi.settings.receipts / layout.receipt_names("wifi", V2)[1]
    assert json.loads(said.read_bytes())["state"] == "challenger"
    assert pi.receipt()["version"] == V1, "the agent's own receipt says what serves"
    known = pi.store.known("wifi", V2)
    assert known
    assert known.state == "tried"
    assert pi.reconcile() == [], "deciding again changes nothing"
    pi.restart()
    assert pi.reconcile() == []
    assert pi.serving() == V1


def test_a_link_to_a_version_whose_key_was_revoked_since_is_refused(pi: Pi, workshop: Workshop) -> None:
    for version in (V2, V3):
        bring(pi, workshop, version)
        challenge(pi, version)
        assert pi.one().state == "challenger"
    assert pi.settings.revoked_keys is not None
    pi.settings.revoked_keys.write_text(workshop.key.public + "\n")
    challenge(pi, V2)  # its copy lies in the store, but whoever wrote the link is not known
    assert pi.one().code == "signer_revoked"
    assert switches.switches(pi.db)["wifi"].challenger == V3


def test_what_was_a_challenger_may_serve_later(pi: Pi, workshop: Workshop) -> None:
    bring(pi, workshop, V2)
    challenge(pi, V2)
    assert pi.one().state == "challenger"
    layout.swap_link(pi.inbox / "wifi" / layout.ACTIVE, V2)
    assert pi.one().state == "loaded"
    assert pi.serving() == V2


def test_a_challenger_may_be_promoted_by_a_click_when_the_inbox_has_lost_it(pi: Pi, workshop: Workshop) -> None:
    bring(pi, workshop, V2)
    challenge(pi, V2)
    assert pi.one().state == "challenger"
    (pi.inbox / "wifi" / V2).rename(pi.inbox / "wifi" / "gone")
    pi.store.wish("wifi", "activate", V2, "test", pi.clock())
    assert pi.one().state == "loaded"
    assert pi.serving() == V2


def test_a_click_may_name_a_bundle_of_the_inbox_as_challenger(pi: Pi, workshop: Workshop) -> None:
    bring(pi, workshop, V2)
    wish = pi.store.wish("wifi", layout.CHALLENGER, V2, "test", pi.clock())
    assert pi.one().state == "challenger"
    assert pi.store.wish_outcome(wish) == "challenger"
    assert switches.switches(pi.db)["wifi"].by == "test"


def test_a_former_version_may_challenge_without_being_signed_anew(pi: Pi, workshop: Workshop) -> None:
    ship(workshop.make(V2), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    challenge(pi, V1)
    assert pi.one().state == "challenger"
    assert pi.serving() == V2


def test_a_challenger_that_fails_its_trial_is_refused_and_changes_nothing(pi: Pi, workshop: Workshop) -> None:
    bring(pi, workshop, V2, "golden")
    challenge(pi, V2)
    outcome = pi.one()
    assert (outcome.state, outcome.code) == ("refused", "golden")
    assert "wifi" not in switches.switches(pi.db)
    assert pi.receipt()["state"] == "refused"
    assert pi.serving() == V1


@pytest.mark.parametrize(("version", "code"), [(V1, "is_active"), (V3, "not_regular")])
def test_what_cannot_be_compared_is_refused(pi: Pi, version: str, code: str) -> None:
    if version == V3:
        (pi.inbox / "wifi" / V3).symlink_to(V1)
    challenge(pi, version)
    assert pi.one().code == code
    assert "wifi" not in switches.switches(pi.db)


def test_without_an_active_version_there_is_nothing_to_challenge(tmp_path: Path, workshop: Workshop) -> None:
    pi = Pi(tmp_path / "other", workshop.allowed)
    bring(pi, workshop, V1)
    challenge(pi, V1)
    outcome = pi.one()
    assert (outcome.state, outcome.code) == ("refused", "no_active")
    assert pi.serving() is None


def test_a_challengers_copy_is_kept_while_it_is_wanted(pi: Pi, workshop: Workshop) -> None:
    bring(pi, workshop, V2)
    challenge(pi, V2)
    assert pi.one().state == "challenger"
    pi.store.prune(keep=0)
    assert pi.settings.store.joinpath("wifi", V2).is_dir()
    with pytest.raises(BundleError, match="agent file"):  # a made-up model cannot judge, but its copy is found
        load_kept(pi.store, pi.inbox, "wifi", V2, 0.0)
    switches.challenge(pi.db, "wifi", None, "test", 0.0)
    pi.store.prune(keep=0)
    assert not pi.settings.store.joinpath("wifi", V2).exists()


def test_a_lost_copy_of_a_version_that_judges_again_is_made_anew_from_the_inbox_or_said_to_be_lost(
    pi: Pi, workshop: Workshop
) -> None:
    bring(pi, workshop, V2)
    challenge(pi, V2)
    assert pi.one().state == "challenger"
    shutil.rmtree(pi.settings.store / "wifi" / V2)
    with pytest.raises(BundleError, match="agent file"):  # it is there again
        load_kept(pi.store, pi.inbox, "wifi", V2, 0.0)
    assert pi.settings.store.joinpath("wifi", V2).is_dir()
    shutil.rmtree(pi.settings.store / "wifi" / V2)
    shutil.rmtree(pi.inbox / "wifi" / V2)
    with pytest.raises(BundleError, match="ship it again") as lost:
        load_kept(pi.store, pi.inbox, "wifi", V2, 0.0)
    assert lost.value.code == "not_here"
