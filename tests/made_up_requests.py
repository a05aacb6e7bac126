"""Requests that nobody would send, made up from a site's own OpenAPI document; the answers must be what it promises."""

from __future__ import annotations

from flask import Flask


def send_all(app: Flask) -> None:
    """Fifteen of each operation, as an administrator; an answer of another status, type or shape fails."""
    import schemathesis
    from hypothesis import HealthCheck, given, settings
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    token = app.extensions["pipit"].account.add_token("t", "admin")
    headers = {"Authorization": f"Bearer {token}"}
    document = app.test_client().get("/api/v1/openapi.json", headers=headers).get_json()
    schema = schemathesis.openapi.from_dict(document)
    schema.app = app
    checks = (schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance,
              response_schema_conformance)  # fmt: skip
    for operation in schema.get_all_operations():

        @given(case=operation.ok().as_strategy())  # type: ignore[union-attr]  # the document is ours, and sound
        @settings(max_examples=15, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(app=app, headers=headers, checks=list(checks))

        ask()
