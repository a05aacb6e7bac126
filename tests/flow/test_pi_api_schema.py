"""The Pi's API against its own OpenAPI document: whatever is sent, the answer is one that the document promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.web.app import create_app
from tests import web_data
from tests.made_up_requests import send_all
from tests.web_client import set_up


@pytest.mark.slow
@pytest.mark.timeout(900)  # a thousand requests, some of which start a child
def test_no_made_up_request_is_answered_otherwise_than_promised(tmp_path: Path, faults: str) -> None:
    if faults != "full":
        pytest.skip("made-up requests are sent with FAULTS=full")
    web_data.fill(tmp_path, days=0.1)
    app = create_app(tmp_path, now=lambda: web_data.NOW)
    set_up(app)
    send_all(app)
