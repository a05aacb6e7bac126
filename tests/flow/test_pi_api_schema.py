"""The Pi's API against its own OpenAPI document: whatever is sent, the answer is one that the document promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.web.app import create_app
from tests import web_data
from tests.web_client import set_up


@pytest.mark.slow
@pytest.mark.timeout(900)  # a thousand requests, some of which start a child
def test_no_made_up_request_is_answered_otherwise_than_promised(tmp_path: Path, faults: str) -> None:
    if faults != "full":
        pytest.skip("made-up requests are sent with FAULTS=full")
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    web_data.fill(tmp_path, days=0.1)
    app = create_app(tmp_path, now=lambda: web_data.NOW)
    set_up(app)
    token = app.extensions["pipit"].account.add_token("t", "admin")
    headers = {"Authorization": f"Bearer {token}"}
    schema = schemathesis.openapi.from_dict(app.test_client().get("/api/v1/openapi.json", headers=headers).get_json())
    schema.app = app
    checks = (schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance,
              response_schema_conformance)  # fmt: skip
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())  # type: ignore[union-attr]  # the document is ours, and sound
        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(app=app, headers=headers, checks=list(checks))

        ask()
