"""The compose files and the Dockerfiles: right by schema, by linter, by our own rules, and carried out without an engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import check_compose
from inference.config import PREFIX as INFERENCE
from inference.config import Settings as InferenceSettings
from shared.setting import known_settings
from tests.dockerfile_root import Dockerfile, carry_out
from tests.services import may
from trainer.config import PREFIX as TRAINING
from trainer.config import Settings as TrainerSettings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = sorted(ROOT.glob("docker-compose.*.yml"))
DOCKERFILES = sorted((ROOT / "deploy/docker").glob("Dockerfile.*"))


def test_schema_linter_and_our_own_rules_have_nothing_to_say() -> None:
    line = [sys.executable, "-m", "deploy.check_compose", *map(str, COMPOSE)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("prom/prometheus:v2.55.1", "prom/prometheus:latest", "not pinned"),
        ("${PIPIT_NAME:?the name of this Pi, as bundles are addressed to it}", "${PIPIT_NAME}", "neither a default"),
        (
            "${PIPIT_NAME:?the name of this Pi, as bundles are addressed to it}",
            "${PIPIT_NAM:-x}",
            "not in .env.example",
        ),
        ("POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password", "POSTGRES_PASSWORD: logs", "in the open"),
        ('"127.0.0.1:5432:5432"', '"5432:5432"', "to the network"),
        ("prometheus: {condition: service_healthy}", "prometheu: {condition: service_healthy}", "which is no service"),
        ("secrets: [grafana_password]", "secrets: [grafana]", "not declared"),
        ("source: state, target", "source: stat, target", "not declared"),
        ("./deploy/postgres/schema.sql", "./deploy/postgres/scheme.sql", "not here"),
        ("deploy/docker/Dockerfile.inference}", "deploy/docker/Dockerfile.pi}", "not here"),
        ('security_opt: ["no-new-privileges:true"]', "security_opt: []", "may gain privileges"),
    ],
)
def test_each_of_our_own_rules_finds_its_fault(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    text = (ROOT / "docker-compose.pi.yml").read_text()
    assert old in text
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "compose.yml").write_text(text.replace(old, new))
    assert any(complaint in fault for fault in check_compose.faults(tmp_path / "compose.yml", ROOT / ".env.example"))


@pytest.mark.parametrize("path", [*COMPOSE, *DOCKERFILES, ROOT / ".env.example"], ids=lambda path: path.name)
def test_only_settings_that_exist_are_set(path: Path) -> None:
    known = {each.env for each in known_settings(InferenceSettings, INFERENCE).values()}
    known |= {each.env for each in known_settings(TrainerSettings, TRAINING).values()}
    named = set(re.findall(r"\b((?:INFERENCE|TRAINING)_[A-Z_]+)\b", path.read_text()))
    assert named <= known


def test_the_wheel_is_built_with_what_the_tests_build_with() -> None:
    pins = re.findall(r"sha256:\w+", (ROOT / "deploy/docker/build-requirements.lock").read_text())
    assert pins
    assert set(pins) <= set(re.findall(r"sha256:\w+", (ROOT / "requirements-test.lock").read_text()))


SERVES = """
ask="import urllib.request as u; print(u.urlopen('http://127.0.0.1:{port}/api/v1/health', timeout=2).read().decode())"
{program} --version
{program} {serve} & site=$!
for _ in $(seq 100); do
  if python -c "$ask" 2>/dev/null; then break; fi
  sleep 0.2
done
kill $site
wait $site || true
touch /forbidden 2>/dev/null && echo "the root folder can be written"
id -u
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_the_commands_of_the_dockerfile_make_a_service_that_answers_sealed_in(path: Path, tmp_path: Path) -> None:
    if os.geteuid() != 0 or not may("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/run"):
        pytest.skip("a root folder of its own needs root and mount namespaces")
    folder = Path("/var/tmp") / f"pipit-image-{os.getpid()}"
    folder.mkdir()
    dockerfile = Dockerfile(path)
    serve, port = ("web", 8990) if "inference" in path.name else ("serve", 8991)
    prefix = "INFERENCE" if "inference" in path.name else "TRAINING"
    program = f"env {prefix}_BIND=127.0.0.1:{port} " + dockerfile.value("ENTRYPOINT").strip('[]"')
    try:
        done = carry_out(dockerfile, ROOT, folder, SERVES.format(program=program, serve=serve, port=port))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    assert '"status"' in done.stdout
    assert done.stdout.splitlines()[-1] == "10001"
    assert "can be written" not in done.stdout
