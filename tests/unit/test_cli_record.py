"""What the command line did is found among the jobs, whatever became of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.errors import ExportError
from trainer.commands.record import BY, recorded
from trainer.jobs import JobStore
from trainer.tasks.orders import TrainOrder

ORDER = TrainOrder(("week.csv",))


def test_a_run_that_ended_well_is_kept_with_what_came_of_it(tmp_path: Path) -> None:
    with recorded(tmp_path, ORDER, ("learn", "sign")) as run:
        for step in ("learn", "learn", "sign"):
            run.step(step)
        run.ended({"version": "20260101_000000", "rows": 5}, memory_bytes=7)
    (job,) = JobStore(tmp_path).listed()
    assert (job.kind, job.state, job.by, job.exports) == ("train", "completed", BY, ("week.csv",))
    assert (job.result["version"], job.share, job.memory_bytes) == ("20260101_000000", 1.0, 7)
    assert [entry[0] for entry in job.trail] == ["learn", "sign"]
    assert job.started is not None
    assert job.ended is not None
    assert job.ended >= job.started
    assert JobStore(tmp_path).claim("work", 1.0) is None, "nobody does it again"


def test_a_version_that_the_service_does_not_list_is_not_named(tmp_path: Path) -> None:
    with recorded(tmp_path, ORDER, ()) as run:
        run.ended({"version": "20260101_000000", "rows": 5}, is_listed=False)
    assert JobStore(tmp_path).listed()[0].result == {"rows": 5}


@pytest.mark.parametrize(
    ("end", "state", "error"),
    [
        (ExportError("week.csv: no such file"), "failed", "week.csv: no such file"),
        (ValueError("odd"), "failed", "ValueError: odd"),
        (KeyboardInterrupt(), "cancelled", ""),
        (SystemExit(143), "cancelled", ""),
    ],
)
def test_a_run_that_ended_badly_says_how(tmp_path: Path, end: BaseException, state: str, error: str) -> None:
    with pytest.raises(type(end)), recorded(tmp_path, ORDER, ("learn",)):
        raise end
    (job,) = JobStore(tmp_path).listed()
    assert (job.state, job.error) == (state, error)


def test_a_record_that_cannot_be_kept_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "state").write_text("a file lies where the folder should be")
    with recorded(tmp_path / "state", ORDER, ()):
        pass
    assert "this run is not in the history" in caplog.text
