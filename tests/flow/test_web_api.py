"""The Pi's API: every address that other programs rely on, with its meaning, and answers that fit their schemas."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from inference import state
from inference.bundles.store import BundleStore
from inference.said import switches
from inference.web import api
from inference.web.app import create_app
from shared.web.openapi import CONVERTERS
from tests import web_data, web_more
from tests.web_client import set_up

A, P, NONE = web_data.ACTIVE, web_data.PREVIOUS, web_data.REFUSED
NOW = web_data.NOW
V1, MODELS, MANAGED = "/api/v1", "/api/v1/models", "/api/v1/model-management"

# What other programs rely on: method and address.
NAMED = (
    ("GET", f"{MODELS}"), ("GET", f"{MODELS}/current"), ("POST", f"{MODELS}/{A}/load"), ("POST", f"{MODELS}/analyze"),
    ("GET", f"{MODELS}/wifi_{A}/info"), ("POST", f"{MODELS}/wifi_{A}/activate"), ("POST", f"{MODELS}/wifi_{A}/deactivate"),
    ("POST", f"{MODELS}/wifi_{A}/deploy"), ("GET", f"{MANAGED}/models"), ("GET", f"{MANAGED}/models/{A}"),
    ("POST", f"{MANAGED}/{A}/deploy"), ("POST", f"{MANAGED}/{A}/rollback"), ("POST", f"{MANAGED}/{A}/validate"),
    ("GET", f"{MANAGED}/performance/{A}"), ("GET", f"{MANAGED}/performance"),
    ("POST", f"{MANAGED}/performance/{A}/check-drift"), ("GET", f"{MANAGED}/performance/{A}/report"),
    ("GET", f"{MANAGED}/transfer-history"), ("GET", f"{MANAGED}/training-service/models"),
    ("GET", f"{MANAGED}/training-service/connection"), ("POST", f"{MANAGED}/import-latest"),
    ("POST", f"{MANAGED}/import/wifi/{A}/model.joblib"), ("POST", f"{MANAGED}/{A}/validate-compatibility"),
    ("GET", f"{MANAGED}/{A}/validation-report"), ("DELETE", f"{MANAGED}/transfer-history"),
    ("DELETE", f"{MANAGED}/performance/cleanup"), ("POST", f"{V1}/agents/wifi/set-model"), ("GET", f"{V1}/agents"),
)  # fmt: skip


class Caller:
    """A program with an admin token."""

    def __init__(self, folder: Path, now: float = NOW) -> None:
        self.folder, self.app = folder, create_app(folder, now=lambda: now)
        set_up(self.app)
        self.client: FlaskClient = self.app.test_client()
        token = self.app.extensions["pipit"].account.add_token("tests", "admin")
        self.headers = {"Authorization": f"Bearer {token}"}

    def __call__(self, method: str, path: str, **more: Any) -> TestResponse:
        return self.client.open(path, method=method, headers=self.headers, **more)

    def get(self, path: str) -> Any:
        answer = self("GET", path)
        assert answer.status_code == 200, answer.get_data(as_text=True)[:300]
        return answer.get_json()

    def db(self) -> sqlite3.Connection:
        return state.connect(self.folder / "state.db")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """A Pi that has run for three days; these tests only read it."""
    folder = tmp_path_factory.mktemp("pi")
    web_data.fill(folder, days=1.5)
    web_more.fill_more(folder)
    return Caller(folder)


@pytest.fixture
def call(tmp_path: Path) -> Caller:
    """A Pi of one's own."""
    web_data.fill(tmp_path, days=0.1, attacks=web_data.ATTACKS[-2:])
    return Caller(tmp_path)


@pytest.mark.parametrize(("method", "path"), NAMED)
def test_every_named_address_has_a_route(reader: Caller, method: str, path: str) -> None:
    adapter = reader.app.url_map.bind("127.0.0.1")
    endpoint, _ = adapter.match(path, method=method)
    assert endpoint.startswith("api_")


def test_what_is_documented_is_what_is_routed(reader: Caller) -> None:
    told = reader.get(f"{V1}/openapi.json")["paths"]
    routed = {
        (re.sub(CONVERTERS, r"{\g<name>}", rule.rule), method.lower())
        for rule in reader.app.url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/api/") and method not in ("HEAD", "OPTIONS") and rule.endpoint != "api_openapi"
    }
    assert {(path, method) for path, methods in told.items() for method in methods} == routed


def test_every_reference_of_the_document_leads_somewhere(reader: Caller) -> None:
    document = reader.get(f"{V1}/openapi.json")
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names <= set(document["components"]["schemas"])
    assert all(operation["summary"] for methods in document["paths"].values() for operation in methods.values())


@pytest.mark.parametrize(
    "operation", [op for op in api.OPERATIONS if op.is_read and op.answer], ids=lambda op: op.endpoint
)
def test_answers_fit_their_schemas(reader: Caller, operation: Any) -> None:
    known = {"version": f"wifi_{A}", "agent_id": "wifi", "incident_id": "1", "wish_id": "1", "message_id": "1"}
    path = CONVERTERS.sub(lambda match: known[match["name"]], operation.path)
    wants_json = (
        "?format=json" if operation.answers_as != "application/json" else ""
    )  # a file, unless JSON is asked for
    answer = reader("GET", path + wants_json)
    if operation.endpoint in ("api_wish", "api_trainer_models"):
        assert answer.status_code in (404, 409)
        return
    assert answer.status_code == 200, answer.get_data(as_text=True)[:300]
    assert operation.answer.validate(answer.get_json()) == {}


def test_the_same_thing_under_both_addresses(reader: Caller) -> None:
    assert reader.get(MODELS) == reader.get(f"{MANAGED}/models")
    assert (
        reader.get(f"{MODELS}/wifi_{A}/info") == reader.get(f"{MANAGED}/models/{A}") == reader.get(f"{MODELS}/current")
    )


def test_what_serves_is_told_with_its_deployment_and_drift(reader: Caller) -> None:
    found = reader.get(f"{MODELS}/current")
    assert (found["version"], found["active"], found["state"]) == (A, True, "good")
    assert found["metadata"]["deployment_info"]["status"] == "deployed"
    assert found["metadata"]["monitoring_info"]["drift_scores"] == {"features": 0.17, "predictions": 0.04}


def test_performance_has_its_figures_and_no_nonsense(reader: Caller) -> None:
    found = reader.get(f"{MANAGED}/performance/{A}")
    assert found["windows"] > 1000
    assert 0 < found["inference_ms"] < 5
    assert found["score_quantiles"]["p50"] == 0.35
    assert (found["marked"], found["marked_false"]) == (2, 1)
    assert found["drift"] == "watch"
    report = reader.get(f"{MANAGED}/performance/{A}/report?days=5")
    assert 5 <= len(report["days"]) <= 6
    assert report["recommendations"]


def test_agents_say_how_they_are(reader: Caller) -> None:
    found = {agent["id"]: agent for agent in reader.get(f"{V1}/agents")["agents"]}
    assert found["wifi"]["state"] == "running"
    assert found["wifi"]["last_run"] == "2026-03-12T21:15:32Z"
    assert found["sshd"]["state"] == "no-model"
    assert found["dhcp"]["state"] == "refused"
    assert "lease" in found["dhcp"]["error"]


def test_a_deployment_is_a_wish_that_can_be_followed(call: Caller) -> None:
    asked = call("POST", f"{MANAGED}/{P}/deploy?wait_s=0", json={"why": "too \x1bnoisy"})
    assert asked.status_code == 202
    wish = asked.get_json()["wish"]
    assert call.get(f"{V1}/wishes/{wish}") == {"wish": wish, "outcome": "waiting"}
    db = call.db()
    (row,) = BundleStore(db, call.folder / "store").open_wishes()
    assert (row.action, row.version) == ("rollback", P)
    assert row.by == "api: too \\x1bnoisy" or "\x1b" not in row.by
    db.execute("UPDATE wishes SET done_at = 1, outcome = 'good'")
    assert call.get(f"{V1}/wishes/{wish}")["outcome"] == "good"


def test_deploying_what_runs_already_is_done_at_once(call: Caller) -> None:
    answer = call("POST", f"{MODELS}/{A}/deploy")
    assert answer.status_code == 200
    assert answer.get_json()["wish"] is None


def test_what_was_refused_cannot_be_deployed(call: Caller) -> None:
    answer = call("POST", f"{MODELS}/{NONE}/load")
    assert answer.status_code == 409
    assert "Golden row 14" in answer.get_json()["error"]["detail"]


def test_deactivating_pauses_and_activating_goes_on(call: Caller) -> None:
    assert call("POST", f"{MODELS}/{P}/deactivate").status_code == 409, "it does not serve"
    assert call("POST", f"{MODELS}/{A}/deactivate").status_code == 200
    assert switches.switches(call.db())["wifi"].paused
    assert call.get(f"{V1}/agents/wifi")["state"] == "paused"
    assert call("POST", f"{MODELS}/{A}/activate").status_code == 200
    assert not switches.switches(call.db())["wifi"].paused


def test_an_agent_takes_its_own_models_only(call: Caller) -> None:
    other = call("POST", f"{V1}/agents/sshd/set-model", json={"model_id": f"wifi_{P}"})
    assert other.status_code == 409
    assert "is a model of agent wifi" in other.get_json()["error"]["detail"]
    assert call("POST", f"{V1}/agents/wifi/set-model?wait_s=0", json={"version": P}).status_code == 202
    assert call("POST", f"{V1}/agents/wifi/set-model", json={"version": "20200101_000000"}).status_code == 404
    assert call("POST", f"{V1}/agents/nobody/set-model", json={"version": P}).status_code == 404
    assert call("POST", f"{V1}/agents/wifi/set-model", json={"colour": "red"}).status_code == 400


def test_marks_are_made_listed_exported_and_taken_back(call: Caller) -> None:
    made = call("POST", f"{V1}/incidents/1/mark", json={"mark": "false", "note": "=a drill"})
    assert made.status_code == 200
    assert made.get_json()["by"] == "api"
    assert [mark["incident_id"] for mark in call.get(f"{V1}/marks")["marks"]] == [1]
    assert call.get(f"{V1}/marks/labels")["labels"][0]["mark"] == "false"
    assert [row["id"] for row in call.get(f"{V1}/incidents?marked=false")["incidents"]] == [1]
    assert call("DELETE", f"{V1}/incidents/1/mark").get_json() == {"done": True}
    assert call.get(f"{V1}/marks")["marks"] == []
    assert call("POST", f"{V1}/incidents/99/mark", json={"mark": "false"}).status_code == 404
    assert call("POST", f"{V1}/incidents/1/mark", json={"mark": "perhaps"}).status_code == 400


def test_kinds_are_muted_for_a_time(call: Caller) -> None:
    made = call("POST", f"{V1}/mutes", json={"agent": "wifi", "type": "mac_spoofing", "host": "ap1", "days": 2})
    assert made.status_code == 201
    (mute,) = call.get(f"{V1}/mutes")["mutes"]
    assert mute["until"] == "2026-03-14T21:16:00Z"
    assert call("DELETE", f"{V1}/mutes/{mute['id']}").status_code == 200
    assert call.get(f"{V1}/mutes")["mutes"] == []
    assert call("DELETE", f"{V1}/mutes/{mute['id']}").status_code == 404
    assert call("POST", f"{V1}/mutes", json={"agent": "wifi", "type": "x", "days": 9999}).status_code == 400


def test_the_alert_budget_is_set_without_training(call: Caller) -> None:
    assert call("PUT", f"{V1}/budgets/wifi", json={"per_week": 0.5}).get_json()["per_week"] == 0.5
    assert call("DELETE", f"{V1}/budgets/wifi").get_json()["per_week"] is None
    for nonsense in (0, -1, 1e9, "many", None):
        assert call("PUT", f"{V1}/budgets/wifi", json={"per_week": nonsense}).status_code == 400


def test_a_challenger_is_asked_for_and_withdrawn(call: Caller) -> None:
    assert call("POST", f"{V1}/agents/wifi/challenger", json={"version": A}).status_code == 409
    assert call("POST", f"{V1}/agents/wifi/challenger", json={"version": NONE}).status_code == 409
    assert call("POST", f"{V1}/agents/wifi/challenger", json={"version": f"wifi_{P}"}).status_code == 202
    assert switches.switches(call.db())["wifi"].challenger == P
    assert call("DELETE", f"{V1}/agents/wifi/challenger").status_code == 200
    assert switches.switches(call.db())["wifi"].challenger is None


def test_old_figures_and_transfers_are_cleaned_up_by_age(call: Caller) -> None:
    db = call.db()
    web_more.fill_performance(db, NOW)
    removed = call("DELETE", f"{MANAGED}/performance/cleanup?days_to_keep=3").get_json()["removed"]
    assert removed > 100
    assert call.get(f"{MANAGED}/performance/{A}")["windows"] > 0
    db.execute("UPDATE transfers SET reported = 1")
    assert call("DELETE", f"{MANAGED}/transfer-history?days_to_keep=5").get_json() == {"removed": 1}
    assert len(call.get(f"{MANAGED}/transfer-history")["transfers"]) == 2


def test_incidents_as_csv_are_safe_in_a_spreadsheet(reader: Caller) -> None:
    answer = reader("GET", f"{V1}/incidents/export?type=evil_twin")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.get_data(as_text=True))))
    assert [row["type"] for row in rows] == ["evil_twin"]
    assert not any(cell[:1] in "=+-@" and cell for row in rows for cell in row.values() if not cell[1:2].isdigit())
    assert reader("GET", f"{V1}/incidents/export?format=json").get_json()["incidents"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [(b"{", "application/json", 400), (b"[]", "application/json", 400), (b"x", "text/plain", 415), (b"", None, 400),
     (b"[" * 5000, "application/json", 400), (b"null", "application/json", 400), (b'{"a":1}', "application/json", 400)],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_told_so(call: Caller, body: bytes, kind: str | None, status: int) -> None:
    answer = call("POST", f"{MODELS}/analyze", data=body, content_type=kind)
    assert answer.status_code == status
    assert answer.get_json()["error"]["status"] == status


def test_too_many_rows_are_refused_before_anything_starts(call: Caller) -> None:
    rows = [{"timestamp": 1, "message": "x"}] * 10_001
    answer = call("POST", f"{MODELS}/analyze", json=rows)
    assert answer.status_code == 413
    assert "10,000" in answer.get_json()["error"]["detail"]


def test_without_a_trainer_the_connection_says_what_to_set(call: Caller) -> None:
    found = call.get(f"{MANAGED}/training-service/connection")
    assert found == {"connected": False, "url": "", "detail": "no trainer is known; set INFERENCE_TRAINER_URL"}
    assert call("POST", f"{MANAGED}/import-latest").status_code == 409


def test_a_pi_on_which_nothing_ran_answers_everywhere(tmp_path: Path) -> None:
    call = Caller(tmp_path)
    known = {"version": A, "agent_id": "wifi", "incident_id": "1", "wish_id": "1", "mute_id": "1", "model_path": A,
             "message_id": "1"}  # fmt: skip
    for operation in api.OPERATIONS:
        path = CONVERTERS.sub(lambda match: known[match["name"]], operation.path)
        assert call(operation.method, path).status_code in (200, 400, 404, 409, 503), operation.endpoint
    for page in ("/", "/incidents", "/models", "/agents", "/performance", "/transfers", "/settings", "/api-guide",
                 "/notifications"):  # fmt: skip
        assert _signed_in_status(call.app, page) in (200, 303), page


def _signed_in_status(app: Flask, page: str) -> int:
    client = app.test_client()
    with client.session_transaction() as session:
        session["admin"] = app.extensions["pipit"].account.fingerprint()
    return int(client.get(page).status_code)
