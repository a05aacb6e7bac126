"""Fleets on the command line: several Pis behind a real OpenSSH server, each with its own inbox."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from rich.console import Console

from shared.command import exit_code
from tests.fakes import V1, V2, V3, Workshop
from tests.services import free_port
from tests.shipping import WatchedPi, login, runner
from tests.sshd_server import SshdServer
from trainer.commands import registry as cli_registry
from trainer.commands import ship as cli_ship
from trainer.commands.fleet_view import FleetView
from trainer.shipping import history
from trainer.targets import connect, parse_target

NAMES = ("attic", "barn", "cellar", "den")


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def pis(tmp_path: Path, workshop: Workshop, own_sshd: SshdServer) -> Iterator[dict[str, WatchedPi]]:
    setup = connect(parse_target("server", own_sshd.url, own_sshd.identity, own_sshd.known_hosts))
    found = {}
    for name in NAMES:
        setup.make_folder(name)
        setup.make_folder(f"{name}/inbox")
        setup.make_folder(f"{name}/receipts")
        found[name] = WatchedPi(tmp_path / name, workshop.allowed, inbox=own_sshd.inbox / name / "inbox", machine=name)
        found[name].run()
    setup.close()
    yield found
    for pi in found.values():
        pi.end()


@pytest.fixture
def run(workshop: Workshop) -> Callable[..., Result]:
    return runner(workshop)


@pytest.fixture
def fleet(run: Callable[..., Result], pis: dict[str, WatchedPi], own_sshd: SshdServer) -> Callable[..., Result]:
    """`pipit-trainer` with the four Pis as targets of the group `home`."""
    for name in pis:
        url = f"{own_sshd.url}/{name}/inbox"
        assert run(cli_registry.targets, "add", name, url, *login(own_sshd), "--group", "home").exit_code == 0
    return run


def code_of(result: Result) -> int:
    return exit_code(result.exception) if result.exception else 0


def serving(pis: dict[str, WatchedPi]) -> list[str | None]:
    rows = [pi.store.active("wifi") for pi in pis.values()]
    return [row.version if row else None for row in rows]


def test_a_fleet_takes_a_version_canary_first_then_in_batches(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop
) -> None:
    workshop.make(V1)
    done = fleet(cli_ship.ship, V1, "--fleet", "home", "--batch", "2", "--json")
    assert code_of(done) == 0, done.output
    told = json.loads(done.stdout)
    assert [(each["target"], each["state"]) for each in told["results"]] == [(name, "good") for name in NAMES]
    assert serving(pis) == [V1] * 4
    lines = done.stderr.splitlines()
    assert lines.index("attic: good") < lines.index("barn: shipping"), (
        "the canary has passed before anybody else begins"
    )
    assert max(lines.index(f"{n}: good") for n in ("barn", "cellar")) < lines.index("den: shipping")


def test_a_canary_that_breaks_its_promise_returns_by_itself_and_stops_the_fleet(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop
) -> None:
    workshop.make(V1)
    assert code_of(fleet(cli_ship.ship, V1, "--fleet", "home")) == 0
    pis["attic"].strange = frozenset({V2})
    workshop.make(V2, promise={"anomaly_rate_max": 0.2})
    done = fleet(cli_ship.ship, V2, "--fleet", "home")
    assert code_of(done) == 1
    assert "promise_anomalies" in str(done.exception)
    assert [line for line in done.stderr.splitlines() if "skipped" in line] == [f"{n}: skipped" for n in NAMES[1:]]
    assert serving(pis) == [V1] * 4


def test_a_failing_batch_can_be_undone_everywhere(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop
) -> None:
    workshop.make(V1)
    assert code_of(fleet(cli_ship.ship, V1, "--fleet", "home")) == 0
    pis["cellar"].strange = frozenset({V2})
    workshop.make(V2, promise={"anomaly_rate_max": 0.2})
    done = fleet(cli_ship.ship, V2, "--fleet", "home", "--batch", "2", "--undo", "--json")
    assert code_of(done) == 1
    told = json.loads(done.stdout)
    assert [each["state"] for each in told["results"]] == ["good", "good", "failed", "skipped"]
    assert told["undone"] == ["attic", "barn"]
    assert serving(pis) == [f"{V1}-r1", f"{V1}-r2", V1, V1]


def test_an_offline_pi_does_not_hold_the_others_up_and_is_caught_up_later(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop, own_sshd: SshdServer
) -> None:
    off = f"sftp://{own_sshd.user}@127.0.0.1:{free_port()}/inbox/den/inbox"
    fleet(cli_registry.targets, "add", "den", off, *login(own_sshd), "--group", "home")
    workshop.make(V1)
    done = fleet(cli_ship.ship, V1, "--fleet", "home", "--wait", "--json")
    assert code_of(done) == 3
    states = [each["state"] for each in json.loads(done.stdout)["results"]]
    assert states[3] == "offline"
    assert set(states[:3]) <= {"loaded", "good"}
    still = fleet(cli_ship.ship, "--fleet", "home", "--catch-up")
    assert code_of(still) == 3
    assert "den: wifi_" in still.stdout
    fleet(cli_registry.targets, "add", "den", f"{own_sshd.url}/den/inbox", *login(own_sshd), "--group", "home")
    workshop.make(V2)
    assert fleet(cli_ship.ship, V2, "--fleet", "home", "--catch-up").stdout == "nobody is behind\n", "nobody lacks that"
    caught = fleet(cli_ship.ship, V1, "--fleet", "home", "--catch-up", "--json")
    assert code_of(caught) == 0
    assert json.loads(caught.stdout)[0]["target"] == "den"
    assert serving(pis) == [V1] * 4
    assert fleet(cli_ship.ship, "--fleet", "home", "--catch-up").stdout == "nobody is behind\n"


def test_a_version_that_was_stopped_is_not_caught_up(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop, own_sshd: SshdServer
) -> None:
    """The canary is off, the next one refuses: the one that was off must never get that version."""
    off = f"sftp://{own_sshd.user}@127.0.0.1:{free_port()}/inbox/attic/inbox"
    fleet(cli_registry.targets, "add", "attic", off, *login(own_sshd), "--group", "home")
    workshop.make(V1, "golden")
    assert code_of(fleet(cli_ship.ship, V1, "--fleet", "home")) == 1
    assert fleet(cli_ship.ship, "--fleet", "home", "--catch-up").stdout == "nobody is behind\n"


def test_a_roll_out_that_is_interrupted_tells_who_serves_and_the_same_command_goes_on(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop
) -> None:
    """Ctrl-C while one Pi has not answered yet: nothing is redone where it serves."""
    workshop.make(V1)
    pis["cellar"].end()
    wish = pis["cellar"].settings.inbox / "wifi" / "active"

    def half_way() -> bool:
        return "barn" in _states(workshop) and wish.is_symlink()

    stopper = threading.Thread(target=_interrupt_when, args=(half_way,))
    stopper.start()
    stopped = fleet(cli_ship.ship, "latest", "--fleet", "home", "--batch", "2")
    stopper.join()
    assert serving(pis) == [V1, V1, None, None]
    lines = [" ".join(line.split()) for line in stopped.stderr.splitlines()]
    assert "it serves at attic (good), barn (good)" in lines
    assert "it lies there, no word yet: cellar (unknown)" in lines, "\n".join(lines)
    assert "nothing was changed at den (waits)" in lines
    assert f"go on: pipit-trainer ship --fleet=home --batch=2 {V1}" in lines, "latest may be another one by then"
    assert _states(workshop) == {"attic": "good", "barn": "good", "cellar": "unknown"}
    pis["cellar"].run()
    done = fleet(cli_ship.ship, V1, "--fleet", "home", "--batch", "2", "--json")
    assert code_of(done) == 0, done.output
    assert [each["state"] for each in json.loads(done.stdout)["results"]] == ["good"] * 4
    assert "attic: good (it serves there already)" in done.stderr.splitlines()
    assert serving(pis) == [V1] * 4
    assert sorted(t.target for t in history.transfers(workshop.state_dir)) == sorted([*NAMES, "cellar"])


def _states(workshop: Workshop) -> dict[str, str]:
    return {target: transfer.state for (target, _), transfer in history.latest(workshop.state_dir).items()}


def _interrupt_when(met: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not met() and time.monotonic() < end:
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)


def test_groups_live_in_the_targets_file(
    fleet: Callable[..., Result], workshop: Workshop, own_sshd: SshdServer
) -> None:
    path = workshop.state_dir / "targets.yaml"
    assert path.read_text().count("home") == 4
    path.write_text(path.read_text().replace("- home", "- home\n    - upstairs", 1))
    workshop.make(V1)
    done = fleet(cli_ship.ship, V1, "--fleet", "upstairs", "--wait", "--json")
    assert [each["target"] for each in json.loads(done.stdout)["results"]] == ["attic"]
    assert "no target is in it" in str(fleet(cli_ship.ship, V1, "--fleet", "garden").exception)


def test_the_history_is_listed_filtered_and_cleaned_up(
    fleet: Callable[..., Result], pis: dict[str, WatchedPi], workshop: Workshop
) -> None:
    workshop.make(V1)
    workshop.make(V2, "golden")
    fleet(cli_ship.ship, V1, "--fleet", "home", "--wait")
    fleet(cli_ship.ship, V2, "--to", "barn", "--wait")

    def told(*options: str) -> list[dict[str, Any]]:
        return list(json.loads(fleet(cli_registry.targets, "history", "--json", *options).stdout))

    newest, before = told("--limit", "2")
    assert (newest["target"], newest["state"], before["version"]) == ("barn", "refused", V1)
    assert {row["target"] for row in told("--target", "barn")} == {"barn"}
    assert [row["code"] for row in told("--state", "refused")] == ["golden"]
    assert [row["version"] for row in told("--version", V2)] == [V2]
    assert told("--days", "0") == []
    assert told("--agent", "sshd") == []
    assert fleet(cli_registry.targets, "history", "--forget-days", "1").stdout == "0 removed\n"
    assert fleet(cli_registry.targets, "history", "--forget-days", "0").stdout == "5 removed\n"
    assert history.transfers(workshop.state_dir) == []


def test_a_terminal_shows_one_live_line_for_each_pi() -> None:
    with FleetView(f"wifi_{V3}", ["attic", "barn"], 1000, live=False) as view:
        view.say("attic", "shipping")
        view.sent("attic", 500)
        out = io.StringIO()
        Console(file=out, width=100).print(view.table())
        shown = out.getvalue().splitlines()
        assert [line.split() for line in shown[1:]] == [["attic", "shipping", "50%"], ["barn", "waits"]]
        view.sent("attic", 500)
        view.say("attic", "failed", "evil \x1b[31m name")
        out = io.StringIO()
        Console(file=out, width=100).print(view.table())
        assert "\x1b" not in out.getvalue()
        assert "failed" in out.getvalue()
