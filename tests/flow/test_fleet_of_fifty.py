"""Fifty Pis at once: `ship --fleet` over real SFTP, each Pi verifying, trying and serving the version by itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import V1, Workshop
from tests.shipping import WatchedPi, login, runner
from tests.sshd_server import SshdServer
from trainer.commands import registry as cli_registry
from trainer.commands import ship as cli_ship
from trainer.targets import connect, parse_target

NAMES = [f"pi{number:02}" for number in range(50)]


@pytest.fixture
def fifty(patient: None, tmp_path: Path, own_sshd: SshdServer) -> Iterator[tuple[Workshop, list[WatchedPi]]]:
    """Fifty inboxes behind one server, and a thread in which their Pis take turns."""
    workshop, stop = Workshop(tmp_path), threading.Event()
    setup = connect(parse_target("server", own_sshd.url, own_sshd.identity, own_sshd.known_hosts))
    pis = []
    for name in NAMES:
        for folder in (name, f"{name}/inbox", f"{name}/receipts"):
            setup.make_folder(folder)
        inbox = own_sshd.inbox / name / "inbox"
        pis.append(WatchedPi(tmp_path / name, workshop.allowed, inbox=inbox, machine=name))
    setup.close()

    def live() -> None:
        while not stop.wait(0.02):
            for pi in pis:
                pi.turn()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    yield workshop, pis
    stop.set()
    thread.join(30)


def test_fifty_pis_take_a_version_canary_first_then_in_batches(
    fifty: tuple[Workshop, list[WatchedPi]], own_sshd: SshdServer
) -> None:
    workshop, pis = fifty
    run = runner(workshop)
    for name in NAMES:
        url = f"{own_sshd.url}/{name}/inbox"
        assert run(cli_registry.targets, "add", name, url, *login(own_sshd), "--group", "home").exit_code == 0
    workshop.make(V1)
    done = run(cli_ship.ship, V1, "--fleet", "home", "--batch", "16", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(each["target"], each["state"]) for each in told["results"]] == [(name, "good") for name in NAMES]
    active = [pi.store.active("wifi") for pi in pis]
    assert {one.version for one in active if one} == {V1}
    assert None not in active
    lines = done.stderr.splitlines()
    assert lines.index("pi00: good") < lines.index("pi01: shipping")
    assert max(lines.index(f"pi{n:02}: good") for n in range(1, 17)) < lines.index("pi17: shipping")
