"""What a site tells Prometheus of its own answers."""

from __future__ import annotations

import re
from pathlib import Path

from inference.web.app import create_app
from shared.web.meter import Meter


def figures(text: str) -> dict[str, float]:
    """Name and labels (without the site's own) → value."""
    found = re.findall(r'^(\w+)\{site="[^"]*",?([^}]*)\} (\S+)$', text, re.MULTILINE)
    return {name + labels: float(value) for name, labels, value in found}


def test_answers_are_counted_by_name_and_status_and_their_times_by_bucket() -> None:
    meter = Meter("pi")
    for endpoint, status, seconds in (("home", 200, 0.01), ("home", 200, 0.3), (None, 404, 2.0)):
        meter.count(endpoint, status, seconds)
    told = figures(meter.text())
    assert told['pipit_web_answers_totalendpoint="home",status="200"'] == 2
    assert told['pipit_web_answers_totalendpoint="unknown",status="404"'] == 1
    buckets = [told[f'pipit_web_answer_seconds_bucketle="{le}"'] for le in ("0.005", "0.01", "0.25", "1.0", "+Inf")]
    assert buckets == [0, 1, 1, 2, 3], "a bucket holds what lies at its limit and all below"
    assert told["pipit_web_answer_seconds_sum"] == 2.31
    assert told["pipit_web_answer_seconds_count"] == 3


def test_a_site_meters_what_it_answers_and_takes_the_time_of_nothing_else(tmp_path: Path) -> None:
    client = create_app(tmp_path).test_client()
    for _ in range(3):
        client.get("/login")
    told = figures(client.get("/metrics").get_data(as_text=True))
    assert told["pipit_web_answer_seconds_count"] == 3
    assert 0 < told["pipit_web_answer_seconds_sum"] < 60, "seconds of three answers, not a clock's reading"
