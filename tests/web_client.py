"""A browser's part in the tests of the sites: sign in, send forms with their token, follow nothing by itself."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

PASSWORD = "correct horse battery"
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


def set_up(app: Flask) -> None:
    """Choose the password, as somebody with the one-time token would."""
    account = app.extensions["pipit"].account
    token = account.setup_token()
    if token is not None:
        account.set_up(token, PASSWORD, PASSWORD)


def csrf_of(client: FlaskClient, page: str = "/login") -> str:
    """The token of a page's forms."""
    found = CSRF.search(client.get(page).get_data(as_text=True))
    assert found is not None, f"{page} has no form"
    return found[1]


def post(client: FlaskClient, path: str, page: str = "/login", **data: Any) -> TestResponse:
    """Send a form as it stands on a page."""
    return client.post(path, data={"csrf_token": csrf_of(client, page), **data})


def signed_in(app: Flask) -> FlaskClient:
    """A browser in which the administrator is signed in."""
    set_up(app)
    client = app.test_client()
    answer = post(client, "/login", password=PASSWORD)
    assert answer.status_code == 303, answer.get_data(as_text=True)
    return client


def with_session(app: Flask) -> FlaskClient:
    """The same without typing the password: for the tests that need it hundreds of times (a hash takes its time)."""
    set_up(app)
    client = app.test_client()
    with client.session_transaction() as session:
        session["admin"] = app.extensions["pipit"].account.fingerprint()
    return client
