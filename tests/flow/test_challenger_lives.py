"""A challenger that a trainer ships to a running daemon: it judges the same rows, alerts nobody, and is promoted."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.judging.comparison import Comparison, compare
from inference.keeping import reading as read
from inference.said import switches
from shared import layout
from shared.errors import StoreError
from tests.daemon_process import DaemonProcess, Trained, daemon, trained
from tests.flow.test_two_real_models import incidents, windows, write, wrong_passwords
from tests.services import wait_until
from trainer.keys import ensure_key
from trainer.registry import sign_anew
from trainer.remote import LocalRemote
from trainer.ship import Wait, ship
from trainer.shipping.signed import SignedBundle, load_signed

__all__ = ["trained"]


@pytest.fixture
def pi(trained: Trained, tmp_path: Path) -> Iterator[DaemonProcess]:
    shutil.copytree(trained.models, tmp_path / "inbox", symlinks=True)
    settings = {
        "INBOX": tmp_path / "inbox", "ALLOWED_SIGNERS": trained.allowed_signers, "INTERVAL_S": 0.2, "GRACE_S": 1, "POLL_S": 2,
    }  # fmt: skip
    with daemon(tmp_path / "pi", **settings) as process:
        write(process.folder, wrong_passwords(time.time() - 3000))
        process.start()
        wait_until(lambda: "wifi" in incidents(process), "the active version to judge", 60)
        yield process


@pytest.fixture
def other(trained: Trained, tmp_path: Path) -> SignedBundle:
    """The same model as another version."""
    models, state_dir = tmp_path / "models", trained.allowed_signers.parent
    shutil.copytree(trained.models, models, symlinks=True)
    key = ensure_key(state_dir)
    again = sign_anew(models, "wifi", trained.bundle.name, key=key, state_dir=state_dir, now=time.time)
    return load_signed(models, "wifi", again.version, key)


def compared(pi: DaemonProcess, active: str) -> Comparison | None:
    try:
        db = read.connect_read(pi.folder / "state.db")
    except StoreError:
        return None
    found = compare(db, "wifi", active, time.time()) if switches.challengers(db) else None
    db.close()
    return found


def test_a_shipped_challenger_is_judged_beside_compared_and_promoted(
    pi: DaemonProcess, trained: Trained, other: SignedBundle
) -> None:
    active, version = trained.bundle.name, other.manifest.version
    remote = LocalRemote(pi.settings["INBOX"])
    receipt = ship(other, remote, Wait(timeout_s=60), link=layout.CHALLENGER)
    assert receipt is not None
    assert (receipt.state, receipt.version, receipt.previous) == ("challenger", version, active)

    before = windows(pi, "wifi")
    wait_until(lambda: compared(pi, active) is not None, "the daemon to take the challenger up", 30)
    write(pi.folder, [row for begin in (1000, 700) for row in wrong_passwords(time.time() - begin)])
    wait_until(lambda: windows(pi, "wifi") > before, "the active version to judge on", 60)
    found = compared(pi, active)
    assert found is not None
    assert (found.challenger, found.error) == (version, "")
    told = json.loads(pi.cli("models", "list", "--json").stdout)
    assert {one["version"]: one["state"] for one in told}[version] == "tried"

    promoted = ship(other, remote, Wait(timeout_s=60))
    assert promoted is not None
    assert promoted.state == "loaded"
    assert [one["version"] for one in pi.status()["models"] if one["active"]] == [version]
    assert "Traceback" not in pi.log()


def test_a_version_that_is_here_challenges_by_the_command_line(pi: DaemonProcess, other: SignedBundle) -> None:
    remote = LocalRemote(pi.settings["INBOX"])
    assert ship(other, remote, Wait(timeout_s=60)) is not None
    former = next(one for one in json.loads(pi.cli("models", "list", "--json").stdout) if not one["active"])
    done = pi.cli("models", "challenge", former["version"])
    assert done.returncode == 0, done.stderr
    assert f"{former['version']} is judged beside it" in done.stdout.decode()
    again = pi.cli("models", "challenge", other.manifest.version)
    assert (again.returncode, b"is what serves" in again.stderr) == (1, True)
