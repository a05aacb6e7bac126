"""What people say of incidents on a Pi comes back over the connection that ships, and is a label in training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from inference.said import handing
from inference.said import marks as said
from shared import layout
from shared.errors import ExportError
from tests.fakes import Pi, Workshop
from tests.sshd_server import SshdServer
from trainer import targets
from trainer.commands import registry as cli_registry
from trainer.config import Settings
from trainer.labels import faults_of, normal_of, parse_labels
from trainer.shipping import marks
from trainer.targets import Target, parse_target
from trainer.tasks import doing
from trainer.tasks.job import Teller
from trainer.tasks.orders import TrainOrder

NOW = 1_773_000_000.0


@pytest.fixture
def pi(tmp_path: Path, own_sshd: SshdServer) -> Iterator[Pi]:
    pi = Pi(tmp_path / "pi", Workshop(tmp_path).allowed, inbox=own_sshd.inbox)
    yield pi
    pi.db.close()


@pytest.fixture
def target(own_sshd: SshdServer) -> Target:
    return parse_target("attic", own_sshd.url, own_sshd.identity, own_sshd.known_hosts)


def mark(pi: Pi, number: int, what: str, agent: str = "wifi") -> None:
    """An incident, and what somebody says of it."""
    columns = [row[1] for row in pi.db.execute("PRAGMA table_info(incidents)") if row[3] and row[4] is None]
    known = {"id": number, "key": f"k{number}", "agent": agent, "host": "ap1", "type": "deauth_burst",
             "started": NOW - 600, "ended": NOW, "state": "ended"}  # fmt: skip
    row = {**dict.fromkeys(columns, 0), **known}
    pi.db.execute(f"INSERT INTO incidents ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", list(row.values()))
    said.mark(pi.db, number, what, by="me", now=pi.clock(), note="<b>\x1b[2J")


def test_more_than_a_trainer_reads_is_not_handed_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing, "LIMIT", 1_200)
    pi = Pi(tmp_path / "pi", Workshop(tmp_path).allowed)
    for number in range(1, 13):
        mark(pi, number, "false")
    pi.reconcile()
    laid = (pi.settings.receipts / layout.MARKS).read_bytes()
    assert len(laid) <= handing.LIMIT
    assert 1 <= len(marks.parse(laid, "attic")) < 12
    pi.db.close()


def test_marks_travel_from_a_pi_to_the_labels_of_a_training(
    tmp_path: Path, pi: Pi, target: Target, own_sshd: SshdServer
) -> None:
    pi.reconcile()
    assert not (pi.settings.receipts / layout.MARKS).exists(), "where nobody said anything there is no file"
    mark(pi, 1, "false")
    mark(pi, 2, "confirmed")
    mark(pi, 3, "false", agent="sshd")
    pi.reconcile()
    laid = (pi.settings.receipts / layout.MARKS).stat()
    pi.reconcile()
    assert (pi.settings.receipts / layout.MARKS).stat().st_ino == laid.st_ino, "the same marks are not written again"

    settings = Settings(state_dir=tmp_path / "state", exports_dir=tmp_path)
    targets.add_target(settings.state_dir, target)
    order = TrainOrder(
        ("week.csv",), marks=True, labels=({"type": "x", "start": "2026-03-01", "end": "2026-03-02", "host": "h"},)
    )
    stream = StringIO()
    found = parse_labels(doing.known_episodes(order, settings, Teller(stream)), "labels")
    assert (len(faults_of(found)), len(normal_of(found))) == (2, 1), "only this agent's, beside the order's own"
    assert "2 marks" in stream.getvalue()

    own_sshd.stop()
    mark(pi, 4, "false")
    pi.reconcile()
    (heard,) = marks.ask(settings.state_dir, [target], lambda: NOW)
    assert heard.fault
    assert len(heard.labels) == 3, "who cannot be reached counts with what was heard of it last"
    own_sshd.start()
    (heard,) = marks.ask(settings.state_dir, [target], lambda: NOW)
    assert (heard.fault, heard.at, len(heard.labels)) == ("", NOW, 4)
    said.unmark(pi.db, 1)
    pi.reconcile()
    done = CliRunner().invoke(
        cli_registry.targets, ["marks", "--agent", "wifi", "--output", str(tmp_path / "labels.json")], obj=settings
    )
    assert done.exit_code == 0, done.output
    labels = json.loads((tmp_path / "labels.json").read_text())
    assert sorted(label["mark"] for label in labels) == ["confirmed", "false"]
    assert "\x1b" not in (tmp_path / "labels.json").read_text()


@pytest.mark.parametrize(
    "laid",
    [
        b"\xff\x00", b"[]", b'{"labels": 5}', b'{"labels": [5]}', b'{"labels": [{"type": "x"}]}',
        b'{"labels": [{"type":"x","start":"2026-03-01","end":"2026-03-02","host":"h","mark":"perhaps"}]}',
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_what_is_no_list_of_marks_is_refused_whole(tmp_path: Path, laid: bytes) -> None:
    with pytest.raises(ExportError, match="marks of attic"):
        marks.parse(laid, "attic")
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / layout.RECEIPTS).mkdir()
    (tmp_path / layout.RECEIPTS / layout.MARKS).write_bytes(laid)
    (heard,) = marks.ask(tmp_path, [replace(parse_target("attic", inbox.as_uri()))], lambda: NOW)
    assert (heard.labels, bool(heard.fault)) == ((), True)


def test_a_pi_that_is_forgotten_has_no_say_any_more(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (tmp_path / layout.RECEIPTS).mkdir()
    good = {"type": "x", "start": "2026-03-01", "end": "2026-03-02", "host": "h", "mark": "false", "agent": "wifi"}
    (tmp_path / layout.RECEIPTS / layout.MARKS).write_text(json.dumps({"pi": "attic", "labels": [good]}))
    marks.ask(tmp_path, [parse_target("attic", inbox.as_uri())], lambda: NOW)
    assert len(marks.kept(tmp_path, "attic").labels) == 1
    marks.forget(tmp_path, "attic")
    assert marks.kept(tmp_path, "attic").labels == ()
