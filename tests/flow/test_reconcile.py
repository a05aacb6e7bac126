"""What a Pi does with bundles: real files, real signatures, a real child process; the model is made up."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from shared import layout
from tests.fakes import V1, V2, V3, Pi, Workshop
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
    from inference import probation

    counts = {"windows": 1, "anomalies": 0, **seen}
    probation.note(pi.db, "wifi", version, **counts)  # type: ignore[arg-type]


def damage_copy(pi: Pi, version: str) -> None:
    (pi.settings.store / "wifi" / version / "scorer.npz").write_bytes(b"good but not what was signed")


def test_an_empty_inbox_wishes_for_nothing(pi: Pi) -> None:
    assert pi.reconcile() == []
    shutil.rmtree(pi.inbox)
    assert pi.reconcile() == []


def test_a_shipped_bundle_serves_and_says_so(pi: Pi, workshop: Workshop) -> None:
    signed = workshop.make(V1)
    send(pi, signed)
    outcome = pi.one()
    assert (outcome.state, outcome.version, pi.serving()) == ("loaded", V1, V1)
    receipt = pi.receipt()
    assert receipt["state"] == "loaded"
    assert receipt["manifest_sha256"] == signed.manifest.sha256
    assert receipt["pi"] == "attic"
    assert pi.reconcile() == [], "deciding again changes nothing"


def test_a_second_version_takes_over_and_the_first_is_the_former_one(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    send(pi, workshop.make(V2))
    assert pi.one().previous == V1
    assert pi.serving() == V2
    active = pi.store.active("wifi")
    assert active
    assert (active.version, active.previous) == (V2, V1)


@pytest.mark.parametrize("word", ["golden", "broken", "unloadable"])
def test_a_model_that_fails_its_trial_is_refused_for_good_and_the_old_one_serves(
    pi: Pi, workshop: Workshop, word: str
) -> None:
    good(pi, workshop, V1)
    send(pi, workshop.make(V2, word))
    outcome = pi.one()
    assert (outcome.state, outcome.code) == ("refused", "golden" if word == "golden" else "load")
    assert pi.serving() == V1
    assert pi.state_of(V2) == "bad"
    assert pi.reconcile() == []
    point(pi, V2)
    assert pi.one().code == "bad"


@pytest.mark.parametrize(
    ("word", "code"), [("crash", "probe_crashed"), ("spin", "probe_timeout"), ("swallow", "memory")]
)
def test_a_child_that_dies_is_tried_three_times_and_then_never_again(
    pi: Pi, workshop: Workshop, word: str, code: str
) -> None:
    good(pi, workshop, V1)
    pi.limit(cpu_s=1)
    send(pi, workshop.make(V2, word))
    assert [(o.state, o.code) for o in (pi.one(), pi.one())] == [("trying", code)] * 2
    last = pi.one()
    assert (last.state, last.code) == ("refused", "too_many_attempts")
    assert code in last.reason
    assert pi.receipt()["code"] == "too_many_attempts"
    assert pi.reconcile() == []
    assert (pi.serving(), pi.state_of(V2)) == (V1, "bad")


def test_a_hanging_child_is_ended_after_its_time(pi: Pi, workshop: Workshop) -> None:
    pi.limit(wall_s=0.7)
    send(pi, workshop.make(V1, "hang"))
    assert pi.one().code == "probe_timeout"


def test_replay_of_an_older_bundle_names_the_command_to_use(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    good(pi, workshop, V2)
    point(pi, V1)
    outcome = pi.one()
    assert (outcome.state, outcome.code, pi.serving()) == ("refused", "rollback_unsigned", V2)
    assert "pipit-trainer rollback" in outcome.reason
    assert pi.state_of(V1) == "good", "a refused link does not spoil what is known of a good version"


def test_an_old_serial_that_was_never_here_is_a_replay(pi: Pi, workshop: Workshop) -> None:
    old = workshop.make(V1)
    good(pi, workshop, V2)
    send(pi, old)
    assert pi.one().code == "serial_replay"


def test_a_former_version_signed_anew_is_a_wanted_downgrade(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    good(pi, workshop, V2)
    manifest = workshop.sign_anew(V1)
    from trainer.ship import load_signed

    send(pi, load_signed(workshop.models, "wifi", manifest.version, workshop.key))
    assert (pi.one().state, pi.serving()) == ("loaded", f"{V1}-r1")


def test_going_back_by_click_needs_no_signature_and_stays(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    good(pi, workshop, V2)
    wish = pi.store.wish("wifi", "rollback", None, "admin", pi.clock())
    outcome = pi.one()
    assert (outcome.state, outcome.way, pi.serving()) == ("good", "rollback", V1)
    assert pi.store.wish_outcome(wish) == "good"
    assert pi.reconcile() == [], "the link in the inbox still says the other, but it is an old wish"
    assert pi.store.floor("wifi", workshop.key.fingerprint) is not None
    pi.restart()
    assert pi.serving() == V1


def test_activating_by_click_takes_what_lies_in_the_inbox(pi: Pi, workshop: Workshop) -> None:
    send(pi, workshop.make(V1))
    send(pi, workshop.make(V2, "golden"))
    assert pi.one().state == "refused"
    pi.store.wish("wifi", "activate", V1, "admin", pi.clock())
    assert (pi.one().state, pi.serving()) == ("loaded", V1)


def test_clicks_that_cannot_be_fulfilled_say_why(pi: Pi, workshop: Workshop) -> None:
    for action, version, code in [
        ("rollback", None, "no_previous"),
        ("activate", V3, "not_here"),
        ("activate", "../../etc", "not_regular"),
    ]:
        pi.store.wish("wifi", action, version, "admin", pi.clock())
        assert pi.one().code == code


def test_shipping_the_serving_version_again_gives_a_fresh_receipt(pi: Pi, workshop: Workshop) -> None:
    signed = workshop.make(V1)
    send(pi, signed)
    pi.one()
    first = pi.receipt()
    send(pi, signed)
    assert pi.one().state == "loaded"
    assert pi.receipt()["n"] > first["n"]


def test_a_refusal_is_looked_at_again_when_trust_changes(pi: Pi, workshop: Workshop) -> None:
    trusted = workshop.allowed.read_bytes()
    workshop.allowed.write_bytes(b"# nobody yet\n")
    send(pi, workshop.make(V1))
    assert pi.one().code == "signer_unknown"
    assert pi.reconcile() == []
    workshop.allowed.write_bytes(trusted)
    assert (pi.one().state, pi.serving()) == ("loaded", V1)


def test_a_leaked_key_cannot_lock_the_next_key_out(tmp_path: Path, pi: Pi, workshop: Workshop) -> None:
    send(pi, workshop.make(V1, serial=10**9 * 9))
    assert pi.one().state == "loaded"
    following = Workshop(tmp_path / "next")
    line = following.allowed.read_bytes()
    pi.settings.allowed_signers.write_bytes(pi.settings.allowed_signers.read_bytes() + line)
    assert pi.settings.revoked_keys is not None
    pi.settings.revoked_keys.write_text(workshop.key.public + "\n")
    send(pi, following.make(V2))
    assert (pi.one().state, pi.serving()) == ("loaded", V2)
    send(pi, workshop.make(V3))
    assert pi.one().code == "signer_revoked"


def test_links_planted_in_the_inbox_are_not_followed(tmp_path: Path, pi: Pi, workshop: Workshop) -> None:
    signed = workshop.make(V1)
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(workshop.models / "wifi" / V1, elsewhere)
    home = pi.inbox / "wifi"
    home.mkdir()
    (home / V1).symlink_to(elsewhere)
    point(pi, V1)
    assert pi.one().code == "not_regular"
    os.unlink(home / V1)
    send(pi, signed)
    (home / V1 / "agent.yaml").unlink()
    (home / V1 / "agent.yaml").symlink_to(elsewhere / "agent.yaml")
    assert pi.one().code == "not_regular"
    shutil.rmtree(home)
    home.symlink_to(workshop.models / "wifi")
    assert pi.reconcile() == []
    assert pi.serving() is None


def test_an_active_that_is_no_link_to_a_version_is_refused_once(pi: Pi, workshop: Workshop) -> None:
    home = pi.inbox / "wifi"
    home.mkdir()
    (home / "active").symlink_to("/etc")
    assert pi.one().code == "not_regular"
    assert pi.reconcile() == []
    (home / "active").unlink()
    (home / "active").mkdir()
    assert pi.one().code == "not_regular"


def test_a_link_in_place_of_the_receipts_folder_is_not_written_through(
    tmp_path: Path, pi: Pi, workshop: Workshop
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    pi.settings.receipts.symlink_to(elsewhere)
    send(pi, workshop.make(V1))
    assert (pi.one().state, pi.serving()) == ("loaded", V1)
    assert list(elsewhere.iterdir()) == []
    pi.settings.receipts.unlink()
    pi.reconcile()
    assert pi.receipt()["state"] == "loaded", "the receipt that was due is written when it can be"


def test_links_in_place_of_a_receipt_are_replaced_not_followed(tmp_path: Path, pi: Pi, workshop: Workshop) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    pi.settings.receipts.mkdir()
    (pi.settings.receipts / "wifi.json").symlink_to(victim)
    send(pi, workshop.make(V1))
    pi.one()
    assert victim.read_text() == "mine"
    assert pi.receipt()["state"] == "loaded"


def test_a_bundle_of_another_agent_or_version_is_refused(pi: Pi, workshop: Workshop) -> None:
    workshop.make(V1, agent="sshd")
    shutil.copytree(workshop.models / "sshd", pi.inbox / "wifi")
    point(pi, V1)
    assert pi.one().code == "agent"
    os.rename(pi.inbox / "wifi" / V1, pi.inbox / "wifi" / V2)
    os.rename(pi.inbox / "wifi", pi.inbox / "sshd")
    point(pi, V2, "sshd")
    assert pi.one().code == "version"


def test_a_good_version_with_other_content_is_refused(tmp_path: Path, pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    shutil.rmtree(workshop.models / "wifi" / V1)
    shutil.rmtree(pi.inbox / "wifi" / V1)
    send(pi, workshop.make(V1, size=3000))
    assert pi.one().code == "version"
    assert pi.serving() == V1
    pi.restart()
    assert pi.serving() == V1


def test_a_link_to_nothing_is_no_wish_until_something_lies_there(pi: Pi, workshop: Workshop) -> None:
    (pi.inbox / "wifi").mkdir()
    point(pi, V1)
    assert pi.reconcile() == []
    workshop.make(V1)
    shutil.copytree(workshop.models / "wifi" / V1, pi.inbox / "wifi" / V1)
    assert pi.one().state == "loaded"


# Probation


@pytest.mark.parametrize(
    ("promise", "seen", "code"),
    [
        ({}, {"errors": 1}, "promise_errors"),
        ({"anomaly_rate_max": 0.1}, {"windows": 3, "anomalies": 3}, "promise_anomalies"),
        ({"latency_ms_max": 5}, {"windows": 3, "latency_ms": 60.0}, "promise_latency"),
        ({"memory_mb_max": 50}, {"memory_mb": 80.0}, "promise_memory"),
    ],
)
def test_a_broken_promise_brings_the_former_version_back(
    pi: Pi, workshop: Workshop, promise: dict[str, float], seen: dict[str, float], code: str
) -> None:
    good(pi, workshop, V1)
    send(pi, workshop.make(V2, promise=promise))
    assert pi.one().state == "loaded"
    watch(pi, V2, **seen)
    outcome = pi.one()
    assert (outcome.state, outcome.code, outcome.previous, pi.serving()) == ("returned", code, V1, V1)
    receipt = pi.receipt()
    assert (receipt["state"], receipt["version"], receipt["code"]) == ("returned", V2, code)
    assert pi.reconcile() == [], "the link still says the bad version, and it is not taken again"
    pi.restart()
    assert pi.serving() == V1


def test_probation_passes_after_its_windows_or_its_time(pi: Pi, workshop: Workshop) -> None:
    send(pi, workshop.make(V1))
    pi.one()
    pi.clock.pass_(7200)
    assert pi.reconcile() == [], "with no window seen it stays"
    watch(pi, V1)
    assert pi.one().state == "good"
    assert pi.receipt()["state"] == "good"


def test_a_first_model_that_breaks_its_promise_leaves_none(pi: Pi, workshop: Workshop) -> None:
    send(pi, workshop.make(V1))
    pi.one()
    watch(pi, V1, errors=1)
    assert (pi.one().state, pi.serving()) == ("returned", None)


def test_a_daemon_that_keeps_dying_on_probation_goes_back(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    send(pi, workshop.make(V2))
    pi.one()
    for _ in range(5):
        pi.restart()
        assert pi.serving() == V2
    returned = pi.restart()
    assert [(o.state, o.version) for o in returned] == [("returned", V2)]
    assert pi.serving() == V1


# Start


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

    monkeypatch.setattr("inference.shelf.Shelf.keep", full)
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
