"""The runner for real: gunicorn in a process of its own, from first start to a signed-in page."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEADLINE_S = 30.0
START = (
    "import sys, logging, pathlib; logging.basicConfig(level=logging.INFO);"
    "from shared.web.serve import serve;"
    "serve('inference.web.app:create_app', sys.argv[1], pathlib.Path(sys.argv[2]))"
)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The Pi's site under gunicorn; ended by its process at the end."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", START, f"127.0.0.1:{port}", str(tmp_path)], stderr=subprocess.PIPE, text=True,
        cwd=Path(__file__).parents[2], env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    yield process, port
    process.terminate()
    process.wait(DEADLINE_S)


def answers(port: int, path: str) -> tuple[int, bytes]:
    """The first answer, as soon as there is one."""
    end = time.monotonic() + DEADLINE_S
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except OSError:
            if time.monotonic() > end:
                raise
            select.select([], [], [], 0.02)
        finally:
            connection.close()


def test_it_serves_under_gunicorn_and_logs_the_one_time_token(
    running: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    process, port = running
    status, body = answers(port, "/api/v1/health")
    assert status == 200
    assert json.loads(body)["daemon"] == "never"
    assert answers(port, "/setup")[0] == 200
    process.terminate()
    assert process.wait(DEADLINE_S) == 0
    assert process.stderr is not None
    logged = process.stderr.read()
    found = re.findall(r"token=(\S+)", logged)
    assert found == [(tmp_path / "web/setup-token").read_text().strip()]


def test_a_network_address_is_refused_until_a_password_is_set(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "inference", "web", "--bind", f"0.0.0.0:{free_port()}"], capture_output=True, text=True,
        timeout=DEADLINE_S, cwd=Path(__file__).parents[2], env={**os.environ, "INFERENCE_STATE_DIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2
    assert "no password is set yet" in done.stderr
    assert "ssh -L" in done.stderr
