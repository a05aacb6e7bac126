"""`make deploy-pi` against a whole machine of its own: installed, upgraded, shipped to over its own sshd, and removed."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import need
from tests.daemon_process import ROOT, Trained, environment, trained
from tests.doc_blocks import blocks
from tests.pi_root import PiRoot
from tests.services import MissingPartError, running, wait_until

__all__ = ["trained"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400), pytest.mark.usefixtures("patient")]


@pytest.fixture(scope="module")
def pi_root() -> Iterator[PiRoot]:
    """A machine like a Pi, with nothing of Pipit on it."""
    try:
        server = PiRoot(need("sshd"))
    except MissingPartError as missing:
        pytest.skip(str(missing))
    with running(server):
        yield server


def trainer(model: Trained, *words: str) -> subprocess.CompletedProcess[str]:
    env = environment(TRAINING_STATE_DIR=model.allowed_signers.parent, TRAINING_MODELS_DIR=model.models)
    return subprocess.run(
        [sys.executable, "-m", "trainer", *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


def test_a_pi_is_installed_upgraded_shipped_to_and_cleared_over_ssh(pi_root: PiRoot, trained: Trained) -> None:
    given = {"NAME": "attic", "WHEELHOUSE": "1", "TRAINING_STATE_DIR": str(trained.allowed_signers.parent)}
    first = pi_root.deploy("install-pi.sh", given)
    assert first.returncode == 0, first.stdout + first.stderr
    assert "one-time set-up token: " in first.stdout
    assert "ssh -L 8000:127.0.0.1:8000 root@127.0.0.1" in first.stdout
    places = "/var/lib/pipit /srv/pipit /srv/pipit/inbox /srv/pipit/receipts /etc/pipit/pipit.env"
    owned = pi_root.run(f"stat -c %U:%a {places}").split()
    assert owned == ["pipit:700", "root:755", "pi-models:755", "pipit:755", "root:600"]

    checked = trainer(trained, "targets", "check", "attic")
    assert checked.returncode == 0, checked.stderr
    shipped = trainer(trained, "ship", "latest", "--to", "attic", "--wait", "--timeout", "60", "--json")
    assert shipped.returncode == 0, (
        shipped.stdout + shipped.stderr + pi_root.run("tail -20 /run/units/pipit-inference.log")
    )
    version = json.loads(shipped.stdout)["version"]
    assert version in pi_root.run("pipit-inference models list")
    wait_until(lambda: '"status":"ok"' in health(pi_root).replace(" ", ""), "a healthy page")

    pi_root.run("echo INFERENCE_INTERVAL_S=1 >> /etc/pipit/pipit.env")
    again = pi_root.deploy("install-pi.sh", given)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to change" in again.stdout
    assert pi_root.run("ls /opt/pipit/releases | wc -l").strip() == "1"
    assert pi_root.run("wc -l < /etc/pipit/allowed_signers").strip() == "1", "keys are added once"
    assert "INFERENCE_INTERVAL_S=1" in pi_root.run("cat /etc/pipit/pipit.env"), "settings are kept"
    token = next(line for line in again.stdout.splitlines() if "set-up token" in line)
    assert token in first.stdout, "the token that was told stays good"

    gone = pi_root.deploy("uninstall-pi.sh", {})
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert not pi_root.run("ls /opt").split().count("pipit")
    assert pi_root.run("ls /var/lib/pipit/state.db /etc/pipit/pipit.env /srv/pipit/inbox/wifi").split(), "state stays"
    assert "INFERENCE" not in pi_root.run("ps -ef | grep '[p]ipit-inference' || true")
    back = pi_root.deploy("install-pi.sh", given)
    assert back.returncode == 0, back.stdout + back.stderr
    assert version in pi_root.run("pipit-inference models list"), "what served, serves again"


def health(pi_root: PiRoot) -> str:
    """What the Pi's page says of itself."""
    page = f"http://127.0.0.1:{pi_root.pages}/api/v1/health"
    return pi_root.run(f"python3 -c \"import urllib.request as u; print(u.urlopen('{page}').read().decode())\"")


def test_the_pis_blocks_of_the_documents_run_one_after_another(pi_root: PiRoot) -> None:
    """After the test above: a Pi is installed and serves. The blocks are those of installation, operations, troubleshooting."""
    for block in blocks("sh pi"):
        script = shlex.quote("set -e\n" + block.text)
        said = pi_root.run(f"bash -c {script} 2>&1 || {{ echo {block.name} failed; exit 1; }}")
        if "pipit-inference status" in block.text:
            assert "model      none" not in said, said
    assert pi_root.run("stat -c %U /var/lib/pipit/state.db").strip() == "pipit", (
        "a restored backup belongs to the service"
    )
    wait_until(lambda: '"status":"ok"' in health(pi_root).replace(" ", ""), "a healthy page")


def test_a_release_that_does_not_start_leaves_the_old_one_serving(pi_root: PiRoot, trained: Trained) -> None:
    """After the test above: the installed release serves; the next one is broken by a unit that cannot start."""
    served = pi_root.run("readlink /opt/pipit/current").strip()
    pi_root.run("mkdir -p /tmp/next && cd /tmp/next && rm -rf ./* && mkdir -p x")
    work = Path(pi_root.folder, "next")
    work.mkdir()
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(work), "."],
        cwd=ROOT,
        check=True,
    )
    wheel = next(work.glob("*.whl"))
    parcel = [
        "deploy/pi/install.sh",
        "deploy/pi/prune.sh",
        "deploy/pi/pipit-inference",
        "deploy/pi/pipit.env",
        "deploy/systemd/sshd-pipit.conf",
    ]
    parcel += ["deploy/systemd/pipit-inference.service", "deploy/systemd/pipit-inference-web.service"]
    for name in parcel:
        (work / Path(name).name).write_bytes((ROOT / name).read_bytes())
    (work / "requirements.lock").write_text("# nothing: so the program cannot find its libraries\n")
    (work / "allowed_signers").write_bytes(trained.allowed_signers.read_bytes())
    (work / "sftp_key.pub").write_text((trained.allowed_signers.parent / "sftp_key.pub").read_text())
    assert wheel.exists()
    tar = subprocess.run(["tar", "-C", str(work), "-cz", "."], capture_output=True, check=True)
    line = [
        "ssh",
        "-o",
        "BatchMode=yes",
        *pi_root.options.split(),
        f"root@{pi_root.host}",
        "cd /tmp/next && tar -xz && sh install.sh",
    ]
    done = subprocess.run(line, input=tar.stdout, capture_output=True, check=False, env=dict(os.environ))
    assert done.returncode != 0
    assert b"the old one was not touched" in done.stderr
    assert pi_root.run("readlink /opt/pipit/current").strip() == served
    assert '"status":"ok"' in health(pi_root).replace(" ", "")


def test_the_shipping_login_writes_the_inbox_and_nothing_else(pi_root: PiRoot, trained: Trained) -> None:
    key = trained.allowed_signers.parent / "sftp_key"
    options = ["-P", str(pi_root.port), "-i", str(key), "-o", f"UserKnownHostsFile={pi_root.known_hosts}", "-b", "-"]
    tries = ["put /etc/hostname receipts/forged", "put /etc/hostname inbox/incoming/a", "ln inbox/incoming/a inbox/b"]
    commands = "ls\n" + "".join(f"-{each}\n" for each in tries)
    done = subprocess.run(
        ["sftp", *options, f"pi-models@{pi_root.host}"], input=commands, capture_output=True, text=True, check=False
    )
    assert "inbox" in done.stdout
    assert "receipts" in done.stdout
    assert pi_root.run("ls /srv/pipit/receipts").count("forged") == 0
    assert pi_root.run("ls /srv/pipit/inbox/incoming").split() == ["a"]
    assert "b" not in pi_root.run("ls /srv/pipit/inbox").split(), "hard links are denied"
    shell = [
        "ssh",
        "-o",
        "BatchMode=yes",
        *pi_root.options.split()[:2],
        "-i",
        str(key),
        "-o",
        f"UserKnownHostsFile={pi_root.known_hosts}",
    ]
    tried = subprocess.run(
        [*shell, f"pi-models@{pi_root.host}", "id"], capture_output=True, text=True, check=False, timeout=30
    )
    assert "uid=" not in tried.stdout
