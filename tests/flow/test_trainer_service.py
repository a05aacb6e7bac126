"""`pipit-trainer serve` for real: gunicorn, its worker and a training job that outlives a restart, all over HTTP."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from shared import bundle
from shared.web.account import Account
from tests.services import free_port
from tests.web_client import PASSWORD

ROOT = Path(__file__).parents[2]
DEADLINE_S = 60.0
QUICK = {"model": {"n_estimators": 10}, "evaluation.inject": False, "evaluation.cross_validation": False}


class Service:
    """The trainer's service in a folder of its own, and a token that may do everything."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        account = Account(folder / "state", time.time)
        account.set_up(account.setup_token() or "", PASSWORD, PASSWORD)
        self.token = account.add_token("test", "admin")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        folders = {name: str(self.folder / name.lower()) for name in ("MODELS", "EXPORTS", "STATE")}
        settings = {f"TRAINING_{name}_DIR": path for name, path in folders.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trainer", "serve", "--bind", f"127.0.0.1:{self.port}"],
            cwd=ROOT, env={**os.environ, **settings, "TRAINING_LOG_FILE": str(self.folder / "training.log")},
        )  # fmt: skip
        self.until(lambda: self.ask("GET", "/health")[0] == 200)

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(DEADLINE_S) == 0

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, f"/api/v1{path}", data, headers)
            answer = connection.getresponse()
            raw = answer.read()
            return answer.status, json.loads(raw) if answer.headers.get_content_subtype() == "json" else raw
        finally:
            connection.close()

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE_S
        while True:
            try:
                if is_so():
                    return
            except OSError:
                pass
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path)
    made.start()
    yield made
    made.stop()


def test_a_job_outlives_a_restart_and_its_model_can_be_fetched_whole(service: Service) -> None:
    with gzip.open(ROOT / "examples" / "wifi-train.csv.gz", "rb") as whole:
        part = gzip.compress(b"".join(islice(whole, 9_000)))
    assert service.ask("PUT", "/exports/part.csv.gz", part)[0] == 201
    status, task = service.ask(
        "POST", "/training/train", {"export_file": "exports/part.csv.gz", "config_overrides": QUICK}
    )
    assert (status, task["status"]) == (202, "initializing")
    told: dict[str, Any] = {}

    def state(wanted: str) -> bool:
        told.update(service.ask("GET", f"/training/status/{task['training_id']}")[1])
        return told["status"] in (wanted, "failed") and (wanted != "running" or bool(told["progress"]))

    service.until(lambda: state("running"))
    assert service.ask("DELETE", "/exports/part.csv.gz")[0] == 409, "a job needs it"
    service.stop()
    service.start()
    service.until(lambda: state("completed"))
    assert (told["error"], told["progress"], told["attempts"]) == (None, 100, 1)
    model_id = told["result"]["model_id"]
    assert [one["model_id"] for one in service.ask("GET", "/models")[1]["models"]] == [model_id], "one model, not two"
    assert Path(told["result"]["model_path"]).is_dir()
    assert b"<!doctype html>" in service.ask("GET", f"/models/{model_id}/report")[1][:100].lower()
    raw = service.ask("GET", f"/models/{model_id}/bundle")[1]
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        files = {Path(one.name).name: (tar.extractfile(one) or io.BytesIO()).read() for one in tar}
    assert bundle.verify(files, None).model_id == model_id
    assert "job done" in (service.folder / "training.log").read_text()
    lines = service.ask("GET", f"/training/log/{task['number']}")[1]["lines"]
    assert any("step learn" in line for line in lines)
