"""Starting again: what served serves, from its copy, from the inbox, or from the version before."""

from __future__ import annotations

import os
import shutil

import pytest

from shared import layout
from tests.fakes import V1, V2, Pi, Workshop
from tests.reconciled import damage_copy, good, pi, point, send, workshop

__all__ = ["pi", "workshop"]


def test_start_loads_what_was_active(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    shutil.rmtree(pi.inbox)
    assert pi.restart() == []
    assert pi.serving() == V1


def test_start_falls_back_when_the_copy_is_damaged(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    good(pi, workshop, V2)
    damage_copy(pi, V2)
    shutil.rmtree(pi.inbox / "wifi" / V2)
    outcomes = pi.restart()
    assert [(o.state, o.code, o.previous) for o in outcomes] == [("returned", "size", V1)]
    assert pi.serving() == V1


def test_a_lost_store_is_made_again_from_the_inbox(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    good(pi, workshop, V2)
    shutil.rmtree(pi.settings.store)
    assert pi.restart() == [], "nothing was given up"
    assert (pi.serving(), pi.state_of(V2)) == (V2, "good")
    shutil.rmtree(pi.inbox)
    assert pi.restart() == [], "the copies are the store's own again"
    pi.store.wish("wifi", "rollback", None, "admin", pi.clock())
    assert (pi.one().state, pi.serving()) == ("good", V1)


def test_a_damaged_copy_is_made_again_from_the_inbox(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    damage_copy(pi, V1)
    assert pi.restart() == []
    assert (pi.serving(), pi.state_of(V1)) == (V1, "good")


def test_a_store_that_cannot_be_written_does_not_keep_the_inbox_s_copy_from_serving(
    pi: Pi, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    good(pi, workshop, V1)
    shutil.rmtree(pi.settings.store)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inference.bundles.shelf.Shelf.keep", full)
    assert pi.restart() == []
    assert pi.serving() == V1


def test_an_inbox_with_other_content_heals_nothing(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    shutil.rmtree(pi.settings.store)
    (pi.inbox / "wifi" / V1 / "scorer.npz").write_bytes(b"good but not what was signed")
    assert [o.state for o in pi.restart()] == ["returned"]
    assert pi.serving() is None


def test_start_without_any_copy_stays_up_and_takes_the_same_version_when_it_comes_again(
    pi: Pi, workshop: Workshop
) -> None:
    good(pi, workshop, V1)
    shutil.rmtree(pi.settings.store)
    os.rename(pi.inbox / "wifi" / V1, pi.inbox / "away")
    outcome = pi.restart()[0]
    assert (outcome.state, outcome.code) == ("returned", "not_here")
    assert "ship it again" in outcome.reason
    assert pi.serving() is None
    assert pi.reconcile() == []
    os.rename(pi.inbox / "away", pi.inbox / "wifi" / V1)  # a disk that was mounted late: the link is still the same
    assert (pi.one().state, pi.serving()) == ("loaded", V1)


def test_a_good_version_that_is_shipped_again_gets_its_lost_copy_back(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    good(pi, workshop, V2)
    wish = pi.store.wish("wifi", "rollback", None, "admin", pi.clock())
    pi.one()
    assert pi.store.wish_outcome(wish) == "good"
    shutil.rmtree(pi.settings.store / "wifi" / V2)
    point(pi, V2)
    assert (pi.one().state, pi.serving()) == ("good", V2)
    pi.restart()
    assert pi.serving() == V2


def test_a_lost_state_file_takes_the_model_from_the_inbox_again(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    pi.db.close()
    for file in pi.state_file.parent.glob("state.db*"):
        file.unlink()
    assert pi.restart() == []
    assert (pi.one().state, pi.serving()) == ("loaded", V1)


def test_old_copies_are_removed_but_never_the_active_and_the_former_one(pi: Pi, workshop: Workshop) -> None:
    versions = [f"2025060{day}_230000" for day in range(1, 7)]
    for version in versions:
        good(pi, workshop, version)
    kept = layout.versions_in(pi.settings.store, "wifi")
    assert kept == versions[-3:]


def test_two_agents_do_not_touch_each_other(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    send(pi, workshop.make(V1, agent="sshd"))
    send(pi, workshop.make(V2, "golden"))
    assert {(o.agent, o.state) for o in pi.reconcile()} == {("sshd", "loaded"), ("wifi", "refused")}
    assert (pi.serving("wifi"), pi.serving("sshd")) == (V1, V1)
