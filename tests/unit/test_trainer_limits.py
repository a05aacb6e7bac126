"""Limits, progress and metrics of the trainer."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys

import pytest

from shared.errors import TrainingError
from trainer.metrics import ModelFigures, render_metrics
from trainer.progress import quiet, shown_progress
from trainer.tasks.limits import limited


def test_a_run_over_its_time_ends_with_the_name_of_the_setting() -> None:
    with pytest.raises(TrainingError, match="TRAINING_MAX_TRAINING_TIME"), limited(1, 4096):
        signal.pause()


def test_a_run_over_its_memory_ends_with_the_name_of_the_setting() -> None:
    script = (
        "from trainer.tasks.limits import limited\nfrom shared.errors import TrainingError\n"
        "try:\n    with limited(60, 200):\n        bytearray(400_000_000)\n"
        "except TrainingError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "more than 200 MB" in done.stdout
    assert "TRAINING_MAX_MEMORY_USAGE" in done.stdout


def test_after_a_run_its_limits_are_gone() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA), signal.getsignal(signal.SIGALRM)
    with limited(100, 4096):
        pass
    assert (resource.getrlimit(resource.RLIMIT_DATA), signal.getsignal(signal.SIGALRM)) == before
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_progress_is_quiet_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_progress() as progress:
        progress("reading", 0.5)
    assert progress is quiet
    assert capsys.readouterr().err == ""


def test_metrics_tell_of_the_newest_version_of_each_agent() -> None:
    old = ModelFigures("wifi", "20260101_000000", 100, 1, 10, 5, 1_000, 10)
    new = ModelFigures("wifi", "20260201_000000", 200, 2.5, 20, 6, 2_000, 20)
    text = render_metrics([new, old], {("pi-attic", "good"): 3}).decode()
    assert 'pipit_trainer_models{agent="wifi"} 2.0' in text
    assert 'pipit_trainer_newest_model_trained_timestamp_seconds{agent="wifi"} 200.0' in text
    assert 'pipit_trainer_newest_model_duration_seconds{agent="wifi"} 2.5' in text
    assert 'pipit_trainer_shipments{result="good",target="pi-attic"} 3.0' in text
