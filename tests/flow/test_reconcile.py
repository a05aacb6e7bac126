"""What a Pi does with bundles: real files, real signatures, a real child process; the model is made up."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.fakes import V1, V2, V3, Pi, Workshop
from tests.reconciled import good, pi, point, send, watch, workshop

__all__ = ["pi", "workshop"]


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
