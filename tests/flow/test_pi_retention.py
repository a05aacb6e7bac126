"""What the Pi forgets by itself, and what it never does."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from inference.config import load_settings
from inference.said import marks
from inference.service import Service

DAY_S = 86_400.0


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(load_settings(None, {"INFERENCE_STATE_DIR": str(tmp_path)}, {}))


def window(service: Service, start: float, strange: int) -> None:
    service.db.execute(
        "INSERT INTO verdicts (agent, host, role, window_start, window_end, rows, model_version, is_anomaly, description,"
        " found_by, features, explanation, scored_at) VALUES ('wifi', 'ap1', 'ap', ?, ?, 1, 'v', ?, '', '', '{}', '[]', 0)",
        (start, start + 300, strange),
    )


def mark(service: Service, expires: float) -> None:
    service.db.execute(
        "INSERT INTO marks (incident_id, incident_key, agent, host, type, started, ended, mark, by, at, expires, note)"
        " VALUES (1, 'k', 'wifi', 'ap1', 'x', 0, 1, 'false', 'ann', 0, ?, '')",
        (expires,),
    )


def test_marks_that_counted_no_more_a_month_ago_are_forgotten(service: Service) -> None:
    now = time.time()
    mark(service, now - 40 * DAY_S)
    mark(service, now - 20 * DAY_S)
    mark(service, now + DAY_S)
    window(service, now - 300, strange=0)
    service.prune()
    assert len(marks.all_marks(service.db, now, expired=True)) == 2
    service.close()


def test_normal_windows_are_kept_a_month_and_strange_ones_a_year(service: Service) -> None:
    now = time.time()
    for days in (0.1, 20, 40, 400):
        window(service, now - days * DAY_S, strange=0)
        window(service, now - days * DAY_S - 300, strange=1)
    assert service.prune() == 3
    kept = service.db.execute("SELECT count(*), sum(is_anomaly) FROM verdicts").fetchone()
    assert tuple(kept) == (5, 3)
    service.close()


def test_a_clock_that_is_years_ahead_of_the_log_deletes_nothing(service: Service) -> None:
    window(service, time.time() - 3 * 365 * DAY_S, strange=0)
    assert service.prune() == 0
    service.close()
