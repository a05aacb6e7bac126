"""Two trainings that begin in one second make two versions."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from shared import layout
from shared.errors import StoreError
from trainer.claim import claimed_clock

NOON = 1_773_316_800.0


def test_whoever_begins_in_the_same_second_gets_the_next_one(tmp_path: Path) -> None:
    layout.bundle_folder(tmp_path, "wifi", layout.version_at(NOON)).mkdir(parents=True)  # made before
    with ExitStack() as both:
        clocks = [both.enter_context(claimed_clock(tmp_path, "wifi", lambda: NOON + 0.5)) for _ in range(2)]
        other = both.enter_context(claimed_clock(tmp_path, "sshd", lambda: NOON + 0.5))
        versions = [layout.version_at(clock()) for clock in (*clocks, other)]
        assert versions == [layout.version_at(NOON + ahead) for ahead in (1, 2, 0)]
        assert clocks[1]() == NOON + 2.5, "time goes on from there"
    assert [path.name for path in tmp_path.iterdir()] == ["wifi"], "nothing is left of the claims"


def test_a_clock_that_went_on_still_begins_with_the_claimed_second(tmp_path: Path) -> None:
    moments = iter((NOON, NOON + 7))
    with claimed_clock(tmp_path, "wifi", lambda: next(moments)) as clock:
        assert (clock(), clock()) == (NOON, NOON + 7)


def test_a_models_folder_that_cannot_be_written_is_said_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file lies where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"), claimed_clock(tmp_path / "models", "wifi"):
        pass
