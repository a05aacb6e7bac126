"""The inbox belongs to somebody else: links, folders and content that are not what they should be."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.fakes import V1, V2, Pi, Workshop
from tests.reconciled import good, pi, point, send, workshop

__all__ = ["pi", "workshop"]


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
