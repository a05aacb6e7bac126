"""The trainer's API against its own OpenAPI document: whatever is sent, the answer is one that the document promises."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from tests import web_data, web_trainer
from tests.made_up_requests import send_all
from tests.web_client import set_up
from trainer.config import Settings
from trainer.web.app import create_app

FOUNDING = (("GET", "/api/v1/health"), ("GET", "/api/v1/models"), ("POST", "/api/v1/training/train"),
            ("GET", "/api/v1/training/status/{reference}"), ("GET", "/api/v1/training/tasks"))  # fmt: skip


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    models = web_trainer.fill(tmp_path)
    settings = Settings(exports_dir=tmp_path / "exports", max_upload=1)
    made = create_app(tmp_path, models_dir=models, now=lambda: web_data.NOW, settings=settings)
    set_up(made)
    return made


def test_the_document_names_every_call_with_what_it_takes_and_answers(app: Flask) -> None:
    token = app.extensions["pipit"].account.add_token("t", "read")
    document = app.test_client().get("/api/v1/openapi.json", headers={"Authorization": f"Bearer {token}"}).get_json()
    listed = {(method.upper(), path) for path, own in document["paths"].items() for method in own}
    assert set(FOUNDING) <= listed
    assert len(listed) > 20
    for path, own in document["paths"].items():
        for method, told in own.items():
            assert told["summary"], (method, path)
            assert any(code.startswith("2") for code in told["responses"]), (method, path)


@pytest.mark.slow
def test_no_made_up_request_is_answered_otherwise_than_promised(app: Flask, faults: str) -> None:
    if faults != "full":
        pytest.skip("made-up requests are sent with FAULTS=full")
    send_all(app)
