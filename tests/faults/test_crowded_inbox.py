"""An inbox whose owner fills it: a hundred thousand folders, a link in each, bundle after bundle that is refused."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from inference.bundles import outcomes
from inference.bundles.inbox import MOST_LINKS
from inference.check import check_all
from inference.config import Settings
from inference.watch import InboxWatch
from shared.layout import MOST_AGENTS
from tests.fakes import V1, V2, Pi, Workshop
from tests.reconciled import good, pi, point, send, workshop

__all__ = ["pi", "workshop"]
MADE_UP = 400


def crowd(inbox: Path) -> None:
    for number in range(MADE_UP):
        folder = inbox / f"a{number:05d}"
        folder.mkdir()
        (folder / V1).mkdir()
        os.symlink(V1, folder / "active")
        (inbox / f"odd\n{number}").mkdir()


def test_no_folder_more_is_watched_than_agents_can_be(tmp_path: Path) -> None:
    crowd(tmp_path)
    before = threading.active_count()
    watch = InboxWatch(tmp_path, lambda: None)
    try:
        watch.refresh()
        assert threading.active_count() - before <= MOST_AGENTS + 5
    finally:
        watch.stop()


def test_made_up_agents_are_refused_a_few_at_a_time_and_the_serving_one_comes_first(pi: Pi, workshop: Workshop) -> None:
    good(pi, workshop, V1)
    crowd(pi.inbox)
    send(pi, workshop.make(V2))
    outcomes_now = pi.reconcile()
    assert (outcomes_now[0].agent, outcomes_now[0].version, pi.serving()) == ("wifi", V2, V2)
    assert len(outcomes_now) <= MOST_LINKS + 1
    settings = Settings(inbox=pi.inbox, state_dir=pi.state_file.parent)
    assert "more than 32 agents' folders" in next(each.found for each in check_all(settings) if each.what == "inbox")
    passes = 1
    while pi.reconcile():
        passes += 1
    assert passes <= MOST_AGENTS / MOST_LINKS + 2
    assert len(pi.store.bundles()) <= MOST_AGENTS + 2
    assert pi.serving() == V2


def test_refusals_without_end_fill_neither_the_state_file_nor_the_receipts(
    pi: Pi, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "MOST_REFUSED", 4)
    monkeypatch.setattr(outcomes, "MOST_TRANSFERS", 6)
    good(pi, workshop, V1)
    for number in range(20):
        version = f"20260101_{number:06d}"
        (pi.inbox / "wifi" / version).mkdir()
        (pi.inbox / "wifi" / version / "MANIFEST.json").write_bytes(b"{}")
        point(pi, version)
        other = pi.inbox / f"other{number}"
        (other / V1).mkdir(parents=True)
        os.symlink(V1, other / "active")
        assert {outcome.code for outcome in pi.reconcile()} == {"unsigned", "manifest"}
        shutil.rmtree(other)
        pi.clock.pass_(1)
    assert len(pi.store.bundles()) == 4 + 1
    assert len(pi.store.transfers(limit=1000)) <= 10
    receipts = {path.name for path in pi.settings.receipts.iterdir()}
    assert receipts <= {"wifi.json", f"wifi_{V1}.json", *(f"wifi_20260101_{n:06d}.json" for n in range(17, 20)),
                        *(f"other{n}{end}.json" for n in range(17, 20) for end in ("", f"_{V1}"))}  # fmt: skip
    assert pi.serving() == V1
