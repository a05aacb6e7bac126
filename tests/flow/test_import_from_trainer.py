"""The Pi's API fetches models from a trainer: both sites and the daemon are the real ones."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from inference.config import load_settings
from inference.web.app import create_app
from tests.daemon_process import DaemonProcess, Trained, daemon, trained
from tests.flow.test_pull import site
from tests.services import free_port, wait_until
from tests.sshd_model import both
from tests.web_client import set_up

__all__ = ["both", "trained"]

MANAGED = "/api/v1/model-management"


@dataclass
class Attic:
    """A Pi: its daemon, and its API with an administrator's token."""

    process: DaemonProcess
    call: Callable[..., TestResponse]

    def post(self, path: str) -> tuple[int, dict[str, Any]]:
        answer = self.call("POST", f"{MANAGED}/{path}")
        return answer.status_code, answer.get_json()


def api_of(process: DaemonProcess) -> Callable[..., TestResponse]:
    settings = load_settings(None, process.env, {})
    app = create_app(process.folder, settings=settings)
    set_up(app)
    token = app.extensions["pipit"].account.add_token(uuid.uuid4().hex[:8], "admin")

    def call(method: str, path: str, **more: Any) -> TestResponse:
        return app.test_client().open(path, method=method, headers={"Authorization": f"Bearer {token}"}, **more)

    return call


@pytest.fixture
def attic(both: Trained, tmp_path: Path) -> Iterator[Attic]:
    (tmp_path / "inbox").mkdir()
    with site(both.models, tmp_path / "site") as (url, token):
        (tmp_path / "token").write_text(token)
        settings = {
            "INBOX": tmp_path / "inbox", "ALLOWED_SIGNERS": both.allowed_signers, "TRAINER_URL": url,
            "TRAINER_TOKEN_FILE": tmp_path / "token", "INTERVAL_S": 0.5, "POLL_S": 3600,
        }  # fmt: skip
        with daemon(tmp_path / "pi", **settings) as process:
            process.start()
            process.wait("daemon started")
            yield Attic(process, api_of(process))


def test_the_newest_and_a_named_version_are_imported_and_serve(attic: Attic, both: Trained) -> None:
    wifi = (both.models / "wifi" / "active").readlink().name
    offered = attic.call("GET", f"{MANAGED}/training-service/models").get_json()["models"]
    assert {(one["agent"], one["state"]) for one in offered} == {("wifi", "new"), ("sshd", "new")}
    assert attic.post("import-latest?wait_s=30")[0] == 409, "of two agents one must be named"

    code, told = attic.post("import-latest?agent=wifi&wait_s=30")
    assert (code, told["outcome"]) == (200, "loaded"), told
    code, told = attic.post(f"import/sshd_{both.bundle.name}?wait_s=30")
    assert (code, told["outcome"]) == (200, "loaded"), told
    active = {one["agent"]: one["version"] for one in attic.process.status()["models"] if one["active"]}
    assert active == {"wifi": wifi, "sshd": both.bundle.name}
    wait_until(lambda: "way=activate" in attic.process.log(), "the daemon to say how they came", 10)

    code, told = attic.post("import/20200101_000000")
    assert code == 404, told
    assert "no usable version" in told["error"]["detail"]
    history = attic.call("GET", f"{MANAGED}/transfer-history").get_json()["transfers"]
    assert {one["agent"] for one in history} == {"wifi", "sshd"}


def test_a_trainer_that_does_not_answer_or_take_the_token_is_an_answer_of_its_own(attic: Attic, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("wrong")
    code, told = Attic(attic.process, api_of(attic.process)).post("import-latest?agent=wifi")
    assert (400 <= code < 504, "does not accept the token" in told["error"]["detail"]) == (True, True), (code, told)
    attic.process.settings["TRAINER_URL"] = f"http://127.0.0.1:{free_port()}"
    code, told = Attic(attic.process, api_of(attic.process)).post("import-latest?agent=wifi")
    assert (code, "cannot be reached" in told["error"]["detail"]) == (504, True), told
