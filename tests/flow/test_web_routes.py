"""Every route of both sites, for everybody who may knock: a route that is not in the table fails the test."""

from __future__ import annotations

import pytest
from flask import Flask

from inference.web.app import create_app as create_pi
from tests import web_data, web_routes_pi, web_trainer
from tests.web_client import csrf_of, set_up
from tests.web_client import with_session as signed_in
from trainer.config import Settings
from trainer.web.app import create_app as create_trainer

# endpoint → (an address, method, status: anonymous, read token, admin token, signed in)
SHARED = {
    "static": ("/static/pipit.css", "GET", 200, 200, 200, 200),
    "login": ("/login", "GET", 200, 200, 200, 303),
    "setup": ("/setup", "GET", 303, 303, 303, 303),
    "logout": ("/logout", "POST", 303, 303, 303, 303),
    "theme": ("/theme", "POST", 303, 303, 303, 303),
    "access": ("/access", "GET", 303, 303, 303, 200),
    "access_password": ("/access/password", "POST", 303, 303, 303, 400),
    "access_token_add": ("/access/tokens", "POST", 303, 303, 303, 400),
    "access_token_remove": ("/access/tokens/none/remove", "POST", 303, 303, 303, 404),
    "api_health": ("/api/v1/health", "GET", 200, 200, 200, 200),
    "api_models": ("/api/v1/models", "GET", 401, 200, 200, 200),
    "metrics": ("/metrics", "GET", 200, 200, 200, 200),
}
PI = {**SHARED, **web_routes_pi.PI}
TRAINER = {
    **SHARED,
    "models": ("/", "GET", 303, 303, 303, 200),
    "model": (f"/models/wifi/{web_trainer.VERSION}", "GET", 303, 303, 303, 200),
    "report": (f"/models/wifi/{web_trainer.VERSION}/report", "GET", 303, 303, 303, 200),
    "model_note": (f"/models/wifi/{web_trainer.VERSION}/note", "POST", 303, 303, 303, 303),
    "model_evaluate": (f"/models/wifi/{web_trainer.VERSION}/evaluate", "POST", 303, 303, 303, 404),
    "compare": ("/compare", "GET", 303, 303, 303, 200),
    "clean_up": ("/clean-up", "GET", 303, 303, 303, 200),
    "train": ("/train", "POST", 303, 303, 303, 303),
    "fetch": ("/fetch", "GET", 303, 303, 303, 200),
    "export_delete": ("/exports/none.csv/delete", "POST", 303, 303, 303, 303),
    "job": ("/jobs/1", "GET", 303, 303, 303, 200),
    "job_log": ("/jobs/1/log", "GET", 303, 303, 303, 200),
    "job_pause": ("/jobs/1/pause", "POST", 303, 303, 303, 303),
    "job_stop": ("/jobs/1/stop", "POST", 303, 303, 303, 303),
    "fleet": ("/fleet", "GET", 303, 303, 303, 200),
    "target_add": ("/fleet/targets", "POST", 303, 303, 303, 400),
    "target_remove": ("/fleet/targets/none/remove", "POST", 303, 303, 303, 404),
    "ship": (f"/ship?model=wifi_{web_trainer.VERSION}", "GET", 303, 303, 303, 200),
    "catch_up": ("/catch-up", "GET", 303, 303, 303, 200),
    "rollback": ("/rollback?target=pi-lab&agent=wifi", "GET", 303, 303, 303, 200),
    "history": ("/history", "GET", 303, 303, 303, 200),
    "history_csv": ("/history.csv", "GET", 303, 303, 303, 200),
    "history_clean_up": ("/history/clean-up", "POST", 303, 303, 303, 303),
    "settings": ("/settings", "GET", 303, 303, 303, 200),
    "api_guide": ("/api-guide", "GET", 303, 303, 303, 200),
    "api_openapi": ("/api/v1/openapi.json", "GET", 401, 200, 200, 200),
    "api_compare": (
        f"/api/v1/models/compare?first={web_trainer.VERSION}&second={web_trainer.VERSION}",
        "GET",
        401,
        200,
        200,
        200,
    ),
    "api_prune": ("/api/v1/models/prune", "POST", 401, 403, 200, 403),
    "api_model": (f"/api/v1/models/{web_trainer.VERSION}", "GET", 401, 200, 200, 200),
    "api_report": (f"/api/v1/models/{web_trainer.VERSION}/report", "GET", 401, 200, 200, 200),
    "api_bundle": (f"/api/v1/models/{web_trainer.VERSION}/bundle", "GET", 401, 200, 200, 200),
    "api_model_file": (f"/api/v1/models/{web_trainer.VERSION}/files/MANIFEST.json", "GET", 401, 200, 200, 200),
    "api_exports": ("/api/v1/exports", "GET", 401, 200, 200, 200),
    "api_export_fetch": ("/api/v1/exports", "POST", 401, 403, 400, 403),
    "api_export": ("/api/v1/exports/none.csv", "GET", 401, 404, 404, 404),
    "api_export_put": ("/api/v1/exports/none", "PUT", 401, 403, 400, 403),
    "api_export_validate": ("/api/v1/exports/none.csv/validate", "POST", 401, 403, 404, 403),
    "api_export_delete": ("/api/v1/exports/none.csv", "DELETE", 401, 403, 404, 403),
    "api_train": ("/api/v1/training/train", "POST", 401, 403, 400, 403),
    "api_tune": ("/api/v1/training/tune", "POST", 401, 403, 400, 403),
    "api_evaluate": ("/api/v1/training/evaluate", "POST", 401, 403, 400, 403),
    "api_status": ("/api/v1/training/status/1", "GET", 401, 200, 200, 200),
    "api_log": ("/api/v1/training/log/1", "GET", 401, 200, 200, 200),
    "api_tasks": ("/api/v1/training/tasks", "GET", 401, 200, 200, 200),
    "api_cancel": ("/api/v1/training/cancel/1", "POST", 401, 403, 409, 403),
    "api_targets": ("/api/v1/targets", "GET", 401, 200, 200, 200),
    "api_target_add": ("/api/v1/targets", "POST", 401, 403, 400, 403),
    "api_target_remove": ("/api/v1/targets/none", "DELETE", 401, 403, 404, 403),
    "api_ship": ("/api/v1/ship", "POST", 401, 403, 400, 403),
    "api_catch_up": ("/api/v1/catch-up", "POST", 401, 403, 202, 403),
    "api_ship_pause": ("/api/v1/ship/1/pause", "POST", 401, 403, 409, 403),
    "api_ship_continue": ("/api/v1/ship/1/continue", "POST", 401, 403, 409, 403),
    "api_rollback": ("/api/v1/rollback", "POST", 401, 403, 400, 403),
    "api_transfers": ("/api/v1/transfers", "GET", 401, 200, 200, 200),
}
MAX_UPLOAD_MB = 1
# Routes that take more than a form does: what is too large for them.
LARGE = {
    "api_export_put": 1_000_001,
    "train": 1_400_000,
    "api_train": 2_000_001,
    "api_tune": 2_000_001,
    "api_evaluate": 2_000_001,
}
ROUTES = [("pi", name) for name in PI] + [("trainer", name) for name in TRAINER]
FOREIGN = {"Host": "evil.example"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Flask]:
    """Both sites, filled, with a password set: once, for building them is most of the work."""
    folder = tmp_path_factory.mktemp("sites")
    (folder / "pi").mkdir()
    web_data.fill(folder / "pi", days=0.2, attacks=web_data.ATTACKS[-2:])
    models = web_trainer.fill(folder / "trainer")
    sites = {
        "pi": create_pi(folder / "pi", now=lambda: web_data.NOW),
        "trainer": create_trainer(
            folder / "trainer",
            models_dir=models,
            now=lambda: web_data.NOW,
            settings=Settings(exports_dir=folder / "exports", max_upload=MAX_UPLOAD_MB),
        ),
    }
    for app in sites.values():
        set_up(app)
    return sites


@pytest.fixture
def apps(made: dict[str, Flask]) -> dict[str, Flask]:
    """The sites as if nobody had knocked yet."""
    for app in made.values():
        site = app.extensions["pipit"]
        site.limiter.reset()
        for token in site.account.tokens():
            site.account.remove_token(token.id)
    return made


def row_of(site: str, name: str) -> tuple[str, str, int, int, int, int]:
    return (PI if site == "pi" else TRAINER)[name]


@pytest.mark.parametrize("site", ["pi", "trainer"])
def test_no_route_is_missing_from_the_table(apps: dict[str, Flask], site: str) -> None:
    assert {rule.endpoint for rule in apps[site].url_map.iter_rules()} == set(PI if site == "pi" else TRAINER)


@pytest.mark.parametrize(("site", "name"), ROUTES)
def test_each_caller_gets_what_the_table_says(apps: dict[str, Flask], site: str, name: str) -> None:
    app = apps[site]
    path, method, anonymous, reader, admin, browser = row_of(site, name)
    account = app.extensions["pipit"].account
    for token, expected in ((None, anonymous), ("read", reader), ("admin", admin)):
        client = app.test_client()
        headers = {"Authorization": f"Bearer {account.add_token('t', token)}"} if token else {}
        is_form = method == "POST" and not path.startswith("/api/")
        data = {"csrf_token": csrf_of(client)} if is_form else None
        answer = client.open(path, method=method, data=data, headers=headers)
        assert answer.status_code == expected, (token, answer.get_data(as_text=True)[:300])
    client = signed_in(app)
    data = {"csrf_token": csrf_of(client, "/access")} if method == "POST" else None
    shown = client.open(path, method=method, data=data)
    assert shown.status_code == browser
    told = shown.headers.get("Content-Type", "")
    assert told.count("charset=") <= 1, f"{told}: Prometheus 3 refuses a type that says a thing twice"


@pytest.mark.parametrize(("site", "name"), ROUTES)
def test_a_form_without_its_token_changes_nothing(apps: dict[str, Flask], site: str, name: str) -> None:
    path, method, *_ = row_of(site, name)
    if path.startswith("/api/"):
        return  # a session changes nothing there, whatever it sends: see the table
    if method != "POST":
        assert signed_in(apps[site]).post(path).status_code in (400, 403, 405)
        return
    answer = signed_in(apps[site]).post(path, data={"name": "x", "scope": "admin"})
    assert answer.status_code == 400
    assert "nothing was changed" in answer.get_data(as_text=True)
    assert apps[site].extensions["pipit"].account.tokens() == []


@pytest.mark.parametrize(("site", "name"), ROUTES)
def test_a_foreign_host_name_is_turned_away(apps: dict[str, Flask], site: str, name: str) -> None:
    path, method, *_ = row_of(site, name)
    for client in (apps[site].test_client(), signed_in(apps[site])):
        answer = client.open(path, method=method, headers=FOREIGN)
        assert answer.status_code == 400
        assert "not one of ours" in answer.get_data(as_text=True)


@pytest.mark.parametrize(("site", "name"), ROUTES)
def test_a_large_body_is_not_read(apps: dict[str, Flask], site: str, name: str) -> None:
    path, method, *_ = row_of(site, name)
    size = (LARGE if site == "trainer" else web_routes_pi.LARGE).get(name, 70_000)
    answer = signed_in(apps[site]).open(path, method=method, data=b"x" * size)
    assert answer.status_code == 413


@pytest.mark.parametrize(("site", "name"), ROUTES)
def test_every_answer_carries_the_headers(apps: dict[str, Flask], site: str, name: str) -> None:
    path, method, *_ = row_of(site, name)
    answer = signed_in(apps[site]).open(path, method=method)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy or name in ("report", "api_report")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    if name != "static":
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("site", ["pi", "trainer"])
def test_api_errors_are_json_and_page_errors_are_pages(apps: dict[str, Flask], site: str) -> None:
    client = signed_in(apps[site])
    assert client.get("/api/v1/nothing").get_json()["error"]["status"] == 404
    assert "<h1>This page does not exist.</h1>" in client.get("/nothing").get_data(as_text=True)
    refused = client.post("/api/v1/health")
    assert refused.status_code == 405
    assert "GET" in refused.headers["Allow"]


@pytest.mark.parametrize("site", ["pi", "trainer"])
def test_an_unknown_token_is_told_so(apps: dict[str, Flask], site: str) -> None:
    answer = apps[site].test_client().get("/api/v1/models", headers={"Authorization": "Bearer pipit_read_guess"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("site", ["pi", "trainer"])
def test_a_fault_shows_no_traceback(apps: dict[str, Flask], site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = apps[site]

    def broken() -> str:
        raise RuntimeError("secret detail")

    monkeypatch.setitem(app.view_functions, "api_health", broken)
    monkeypatch.setitem(app.view_functions, "metrics", broken)
    for path in ("/api/v1/health", "/metrics"):
        answer = app.test_client().get(path)
        assert answer.status_code == 500
        assert "secret detail" not in answer.get_data(as_text=True)
