"""What the trainer's pages and API say of its models and Pis."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests import web_data, web_trainer
from tests.web_client import signed_in
from trainer.web.app import create_app

VERSION = web_trainer.VERSION
ADDRESS = f"/models/wifi/{VERSION}"


@pytest.fixture
def client(tmp_path: Path) -> FlaskClient:
    models = web_trainer.fill(tmp_path)
    return signed_in(create_app(tmp_path, models_dir=models, now=lambda: web_data.NOW))


def test_the_list_says_what_was_learnt_and_where_it_runs(client: FlaskClient) -> None:
    page = client.get("/").get_data(as_text=True)
    for words in ("<h1>The newest wifi model runs on 1 of 3 Pis.</h1>", "9 days, 31,903 rows", "21 hosts, 8,977 windows",
                  "1 in 3,000", "pi-lab"):  # fmt: skip
        assert words in page


def test_an_empty_machine_shows_the_first_step(tmp_path: Path) -> None:
    client = signed_in(create_app(tmp_path, models_dir=tmp_path / "none", now=lambda: web_data.NOW))
    page = client.get("/").get_data(as_text=True)
    assert "<h1>There is no model yet.</h1>" in page
    assert "pipit-trainer train logs.csv" in page
    assert "No Pi is known here yet." in client.get("/fleet").get_data(as_text=True)


def test_a_models_page_shows_its_ranges_and_its_fate(client: FlaskClient) -> None:
    page = client.get(ADDRESS).get_data(as_text=True)
    for words in (f"<h1>{VERSION} learnt from nine days of 21 hosts.</h1>", "Wrong-password attempts", "riverside.csv.gz",
                  "Golden row 14 differs &lt;by 0.031&gt;."):  # fmt: skip
        assert words in page


def test_the_report_comes_as_it_is_with_no_power_over_the_site(client: FlaskClient) -> None:
    answer = client.get(f"{ADDRESS}/report")
    assert answer.data == web_trainer.REPORT
    policy = answer.headers["Content-Security-Policy"]
    assert "sandbox" in policy
    assert "script-src" not in policy
    assert "allow-scripts" not in policy


def test_the_fleet_says_who_turned_a_model_away_and_why(client: FlaskClient) -> None:
    page = client.get("/fleet").get_data(as_text=True)
    assert "<h1>One of three Pis runs the newest model. pi-attic turned the last one away.</h1>" in page
    assert "Nothing sent yet" in page


def test_the_api_merges_where_a_model_runs_into_its_metadata(client: FlaskClient) -> None:
    (listed,) = client.get("/api/v1/models").get_json()["models"]
    assert listed["targets"] == ["pi-lab"]
    for reference in (VERSION, f"wifi_{VERSION}"):
        found = client.get(f"/api/v1/models/{reference}").get_json()
        assert found["metadata"]["deployment_info"]["status"] == "deployed"
        assert found["metadata"]["training_log_count"] == 31903
    assert client.get("/api/v1/models/20200101_000000").status_code == 404


def test_a_damaged_model_is_listed_as_damaged(client: FlaskClient, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "models/wifi" / VERSION, tmp_path / "models/wifi/20260313_060000")
    (tmp_path / "models/wifi/20260313_060000/metadata.json").write_text("[1, 2")
    assert "Damaged" in client.get("/").get_data(as_text=True)
    page = client.get("/models/wifi/20260313_060000").get_data(as_text=True)
    assert "is damaged and cannot be shipped" in page
    assert client.get("/metrics").status_code == 200


def test_metrics_tell_of_models_and_shipments(client: FlaskClient) -> None:
    text = client.get("/metrics").get_data(as_text=True)
    assert 'pipit_trainer_models{agent="wifi"} 1.0' in text
    assert 'pipit_trainer_shipments{result="refused",target="pi-attic"} 1.0' in text
    assert "pipit_web_answer_seconds_count" in text
