"""Shipping to a real OpenSSH server, with a Pi that reconciles at the other end."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from shared import bundle, signing
from shared.errors import ConfigError, ShipError
from tests.fakes import V1, V2, V3, Workshop, bundle_files
from tests.services import free_port
from tests.shipping import RunningPi, login, runner
from tests.sshd_server import SshdServer
from trainer import targets
from trainer.commands import models as cli_models
from trainer.commands import registry as cli_registry
from trainer.commands import ship as cli_ship
from trainer.keys import next_serial
from trainer.remote import LocalRemote
from trainer.ship import Shipped, Wait, ship, ship_to
from trainer.shipping import fleet, history
from trainer.shipping.deliver import Sender, behind, deliver, roll_back
from trainer.targets import Target, parse_target


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def pi(tmp_path: Path, workshop: Workshop, own_sshd: SshdServer) -> Iterator[RunningPi]:
    pi = RunningPi(tmp_path / "pi", workshop.allowed, inbox=own_sshd.inbox)
    pi.run()
    yield pi
    pi.end()


@pytest.fixture
def target(own_sshd: SshdServer) -> Target:
    return parse_target("attic", own_sshd.url, own_sshd.identity, own_sshd.known_hosts)


@pytest.fixture
def sender(workshop: Workshop) -> Sender:
    return Sender(workshop.models, workshop.state_dir, workshop.key, now=workshop.clock)


def nobody(tmp_path: Path) -> Path:
    """A known hosts file that pins nobody."""
    (tmp_path / "nobody").write_text("")
    return tmp_path / "nobody"


WAIT = Wait("loaded", 20.0, 0.05)


def test_a_version_travels_and_serves(workshop: Workshop, pi: RunningPi, target: Target) -> None:
    sent: list[int] = []
    signed = workshop.make(V1, size=300_000)
    shipped = ship_to(signed, target, WAIT, sent.append)
    assert (shipped.state, pi.serving()) == ("loaded", V1)
    assert shipped.receipt
    assert shipped.receipt.pi == "attic"
    assert sum(sent) >= signed.manifest.size
    assert (pi.inbox / "wifi_model_active.joblib").read_bytes() == signed.raw["model.joblib"]
    assert list((pi.inbox / "incoming").iterdir()) == []
    again = ship_to(signed, target, WAIT, sent.append)
    assert again.state == "loaded", "shipping again changes nothing, and gets a fresh receipt"


def test_a_refusal_comes_back_with_its_reason(
    workshop: Workshop, pi: RunningPi, target: Target, sender: Sender
) -> None:
    workshop.make(V1)
    workshop.make(V2, "golden")
    deliver(sender, target, "wifi", V1, wait=WAIT)
    with pytest.raises(ShipError, match="row 14") as refused:
        deliver(sender, target, "wifi", V2, wait=WAIT)
    assert (refused.value.code, refused.value.unknown, pi.serving()) == ("golden", False, V1)
    assert [(t.version, t.state, t.code) for t in history.transfers(sender.state_dir)] == [
        (V2, "refused", "golden"),
        (V1, "loaded", ""),
    ]


def test_a_damaged_byte_is_refused_by_name_and_healed_by_shipping_again(
    workshop: Workshop, pi: RunningPi, target: Target
) -> None:
    ship_to(workshop.make(V1), target, WAIT)
    signed = workshop.make(V2)
    flipped = bytes([signed.raw["scorer.npz"][0] ^ 1]) + signed.raw["scorer.npz"][1:]
    bad = type(signed)(signed.manifest, {**signed.raw, "scorer.npz": flipped})
    shipped = ship_to(bad, target, WAIT)
    assert shipped.receipt
    assert (shipped.receipt.state, shipped.receipt.code, pi.serving()) == ("refused", "hash", V1)
    assert ship_to(signed, target, WAIT).state == "loaded"
    assert pi.serving() == V2


def test_going_back_signs_the_former_version_anew(
    workshop: Workshop, pi: RunningPi, target: Target, sender: Sender
) -> None:
    for version in (V1, V2):
        workshop.make(version)
        deliver(sender, target, "wifi", version, wait=WAIT)
    assert roll_back(sender, target, None, wait=WAIT).version == f"{V1}-r1"
    assert pi.serving() == f"{V1}-r1"
    assert roll_back(sender, target, V1, wait=WAIT).version == f"{V1}-r2"
    with pytest.raises(ConfigError, match="no version"):
        roll_back(sender, target, V3, wait=WAIT)


def test_without_a_daemon_the_answer_is_unknown(workshop: Workshop, own_sshd: SshdServer, target: Target) -> None:
    with pytest.raises(ShipError, match="no receipt came") as unknown:
        ship_to(workshop.make(V1), target, Wait("loaded", 0.3, 0.05))
    assert (unknown.value.code, unknown.value.unknown) == ("timeout", True)


def test_a_target_that_is_off_is_unknown_and_remembered(workshop: Workshop, sender: Sender, tmp_path: Path) -> None:
    workshop.make(V1)
    off = parse_target("attic", f"sftp://pi@127.0.0.1:{free_port()}/inbox", workshop.key.path, nobody(tmp_path))
    naps: list[float] = []
    with pytest.raises(ShipError, match="cannot be reached") as unknown:
        ship_to(workshop.make(V2), off, sleep=naps.append)
    assert (unknown.value.code, unknown.value.unknown, len(naps)) == ("offline", True, 2)
    with pytest.raises(ShipError):
        deliver(sender, off, "wifi", V1)
    assert [(t.name, v) for t, _, v in behind(sender, [off])] == [("attic", V1)]


def test_a_host_key_that_changed_is_refused_with_what_to_check(
    workshop: Workshop, own_sshd: SshdServer, tmp_path: Path
) -> None:
    other = signing.make_key(tmp_path / "other", "other")
    pinned = tmp_path / "pinned"
    pinned.write_text(f"[127.0.0.1]:{own_sshd.port} {' '.join(other.split()[:2])}\n")
    target = parse_target("attic", own_sshd.url, own_sshd.identity, pinned)
    with pytest.raises(ShipError, match=r"another host key.*ssh-keygen -lf.*ssh-keygen -R") as refused:
        ship_to(workshop.make(V1), target)
    assert (refused.value.code, refused.value.unknown) == ("host_key", False)
    pinned.write_text("")
    with pytest.raises(ShipError, match=r"no host key of attic is pinned.*ssh-keyscan"):
        ship_to(workshop.make(V2), target)
    assert list(own_sshd.inbox.iterdir()) == []


def test_a_key_that_is_not_let_in_is_a_refusal(workshop: Workshop, own_sshd: SshdServer, tmp_path: Path) -> None:
    signing.make_key(tmp_path / "stranger", "stranger")
    target = parse_target("attic", own_sshd.url, tmp_path / "stranger", own_sshd.known_hosts)
    with pytest.raises(ShipError, match="does not let") as refused:
        ship_to(workshop.make(V1), target)
    assert (refused.value.code, refused.value.unknown) == ("auth", False)


def test_a_login_key_that_is_none_is_a_setting_to_mend_and_not_a_pi_that_is_off(
    workshop: Workshop, own_sshd: SshdServer, tmp_path: Path
) -> None:
    (tmp_path / "junk").write_text("not a key\n")
    locked = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(tmp_path / "locked")]
    subprocess.run(locked, check=True, stdin=subprocess.DEVNULL)
    manifest = workshop.make(V1)
    for name, said in (("nowhere", "No such file"), ("junk", "no private SSH key"), ("locked", "has a passphrase")):
        target = parse_target("attic", own_sshd.url, tmp_path / name, own_sshd.known_hosts)
        with pytest.raises(ConfigError, match=f"the key .*{name} for attic cannot be used: .*{said}"):
            ship_to(manifest, target)
    assert list(own_sshd.inbox.iterdir()) == []


def test_a_version_with_other_content_is_never_overwritten(tmp_path: Path, workshop: Workshop) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    ship(workshop.make(V1), LocalRemote(inbox))
    other = Workshop(tmp_path / "other").make(V1, size=3000)
    with pytest.raises(ShipError, match="other content"):
        ship(other, LocalRemote(inbox))


def test_too_little_space_is_said_before_anything_is_sent(tmp_path: Path, workshop: Workshop) -> None:
    class Full(LocalRemote):
        def free_bytes(self) -> int | None:
            return 5000

    (tmp_path / "inbox").mkdir()
    with pytest.raises(ShipError, match="5000 bytes free"):
        ship(workshop.make(V1), Full(tmp_path / "inbox"))
    assert list((tmp_path / "inbox").iterdir()) == []


def test_old_versions_and_leftovers_are_tidied_away(tmp_path: Path, workshop: Workshop) -> None:
    inbox = tmp_path / "inbox"
    (inbox / "incoming" / "20250101_000000.left").mkdir(parents=True)
    os.utime(inbox / "incoming" / "20250101_000000.left", (1, 1))
    (inbox / "incoming" / "20250606_000000.young").mkdir()
    versions = [f"2025060{day}_230000" for day in range(1, 9)]
    for version in versions:
        ship(workshop.make(version), LocalRemote(inbox))
        os.utime(inbox / "wifi" / version, (hours := 1_000_000 + 7200 * int(version[6:8]), hours))
    ship(workshop.make(versions[-1] + "-r1"), LocalRemote(inbox))
    assert sorted(path.name for path in (inbox / "wifi").iterdir()) == [*versions[-4:], versions[-1] + "-r1", "active"]
    assert [path.name for path in (inbox / "incoming").iterdir()] == ["20250606_000000.young"]


# Fleets


def local_pis(tmp_path: Path, workshop: Workshop, names: list[str]) -> tuple[list[Target], dict[str, RunningPi]]:
    pis = {}
    for name in names:
        pis[name] = RunningPi(tmp_path / name, workshop.allowed, machine=name)
        pis[name].run()
    return [parse_target(name, f"file://{tmp_path / name}/inbox") for name in names], pis


def test_a_canary_that_refuses_stops_the_fleet(tmp_path: Path, workshop: Workshop, sender: Sender) -> None:
    members, pis = local_pis(tmp_path, workshop, ["a", "b", "c"])
    workshop.make(V1, audience=("b", "c"))

    def send(target: Target) -> Shipped:
        return deliver(sender, target, "wifi", V1, wait=WAIT)

    done = fleet.roll_out(members, send, send)
    assert [(r.target, r.state, r.code) for r in done.results] == [
        ("a", "failed", "audience"),
        ("b", "skipped", ""),
        ("c", "skipped", ""),
    ]
    assert [pi.serving() for pi in pis.values()] == [None, None, None]
    for pi in pis.values():
        pi.end()


def test_a_fleet_gets_it_in_batches_and_the_offline_one_later(
    tmp_path: Path, workshop: Workshop, sender: Sender
) -> None:
    members, pis = local_pis(tmp_path, workshop, ["a", "b", "c"])
    off = parse_target("off", f"sftp://pi@127.0.0.1:{free_port()}/inbox", workshop.key.path, nobody(tmp_path))
    workshop.make(V1)

    def send(target: Target) -> Shipped:
        return deliver(sender, target, "wifi", V1, wait=WAIT)

    done = fleet.roll_out([off, *members], send, send, batch=2)
    assert [(r.target, r.state) for r in done.results] == [
        ("off", "offline"),
        ("a", "loaded"),
        ("b", "loaded"),
        ("c", "loaded"),
    ]
    assert [(t.name, v) for t, _, v in behind(sender, [off, *members])] == [("off", V1)]
    for pi in pis.values():
        pi.end()


# The command line


@pytest.fixture
def run(workshop: Workshop) -> Callable[..., Result]:
    return runner(workshop)


def test_targets_are_added_shown_and_shipped_to(
    workshop: Workshop, pi: RunningPi, own_sshd: SshdServer, run: Callable[..., Result]
) -> None:
    added = run(
        cli_registry.targets,
        "add",
        "attic",
        own_sshd.url,
        *login(own_sshd),
        "--group",
        "home",
    )
    assert added.exit_code == 0, added.output
    workshop.make(V1)
    shipped = run(cli_ship.ship, "latest", "--to", "attic", "--wait", "--json")
    assert shipped.exit_code == 0, shipped.output
    assert json.loads(shipped.stdout)["state"] == "loaded"
    checked = json.loads(run(cli_registry.targets, "check", "attic").stdout)
    assert checked["agents"]["wifi"]["version"] == V1
    listed = json.loads(run(cli_registry.targets, "list", "--json").stdout)
    assert listed[0]["last"]["wifi"]["state"] == "loaded"
    assert run(cli_ship.ship, V1, "--fleet", "home", "--wait=loaded").exit_code == 0
    assert f"wifi {V1}" in run(cli_registry.targets, "history").stdout
    assert run(cli_registry.targets, "remove", "attic").exit_code == 0


def test_ship_takes_a_url_and_its_keys(
    workshop: Workshop, pi: RunningPi, own_sshd: SshdServer, run: Callable[..., Result]
) -> None:
    workshop.make(V1)
    done = run(cli_ship.ship, "--to", own_sshd.url, *login(own_sshd), "--wait", V1)
    assert done.exit_code == 0, done.output
    assert "loaded" in done.stdout


def test_keys_show_prints_what_a_pi_needs(workshop: Workshop, run: Callable[..., Result]) -> None:
    shown = run(cli_registry.keys, "show").stdout.splitlines()
    assert shown == [workshop.key.public, workshop.key.fingerprint, workshop.key.allowed_signers_line]
    assert 'namespaces="pipit-bundle-v1"' in shown[2]
    assert "there already" in run(cli_registry.keys, "init").stdout


def test_models_are_listed_shown_and_pruned(workshop: Workshop, run: Callable[..., Result]) -> None:
    for version in (V1, V2, V3):
        workshop.make(version)
    listed = json.loads(run(cli_models.models, "list", "--json").stdout)
    assert [entry["version"] for entry in listed] == [V3, V2, V1]
    assert json.loads(run(cli_models.models, "show", V1).stdout)["model_id"] == f"wifi_{V1}"
    assert run(cli_models.models, "prune", "--keep", "2").stdout == f"removed wifi_{V1}\n"


@pytest.mark.parametrize(
    ("url", "inbox"),
    [
        ("sftp://pi@host:22/inbox", "inbox"),
        ("sftp://pi@host//srv/pipit/inbox", "/srv/pipit/inbox"),
        ("sftp://pi@host", "."),
        ("file:///mnt/stick", "/mnt/stick"),
    ],
)
def test_one_slash_is_the_login_folder_and_two_are_the_root(url: str, inbox: str) -> None:
    assert parse_target("t", url).inbox == inbox


@pytest.mark.parametrize(
    "url",
    ["http://pi@host/inbox", "sftp://host/inbox", "sftp://pi:secret@host/inbox", "host", "sftp://pi@host:port/inbox"],
)
def test_urls_that_cannot_be_used_say_so(url: str) -> None:
    with pytest.raises(ConfigError):
        parse_target("t", url)


def test_every_fault_of_the_targets_file_is_listed(tmp_path: Path) -> None:
    (tmp_path / "targets.yaml").write_text(
        "targets:\n  a: {url: 'http://x'}\n  b: {uri: 1}\n  c: {url: 'sftp://pi@c/inbox', identity: ~/key}\n"
    )
    with pytest.raises(ConfigError) as wrong:
        targets.load_targets(tmp_path)
    assert len(wrong.value.faults) == 2


def test_a_model_that_missed_its_gate_is_shipped_by_force_only_and_that_is_recorded(
    tmp_path: Path, workshop: Workshop, sender: Sender
) -> None:
    files = {**bundle_files(), "metadata.json": b'{"gate": {"passed": false, "reason": "recall 66 %"}}'}
    serial = next_serial(workshop.state_dir, workshop.clock)
    bundle.write_bundle(workshop.models / "wifi" / V1, files, agent="wifi", version=V1, serial=serial,
                        audience=("*",), sign=workshop.key.sign)  # fmt: skip
    (tmp_path / "inbox").mkdir()
    stick = parse_target("stick", f"file://{tmp_path}/inbox")
    with pytest.raises(ShipError, match="recall 66 %"):
        deliver(sender, stick, "wifi", V1)
    deliver(sender, stick, "wifi", V1, force=True)
    assert [t.reason for t in history.transfers(sender.state_dir)] == ["forced past the gate"]
