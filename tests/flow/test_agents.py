"""Several agents on one Pi: one that fails, one that pauses, one with a challenger; none of them harms another."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from inference import state
from inference.agents import AgentFiles
from inference.cycle import CycleReport, Limits, Standing, run_cycle
from inference.judging import comparison
from inference.judging.challenging import Awake, ChallengedJudges, Challengers
from inference.judging.comparison import compare
from inference.keeping import reading as read
from inference.models import Serving
from inference.said import switches
from inference.source import Cursor
from inference.sqlite_source import SqliteSource, create_table
from shared.errors import BundleError
from shared.values import Row
from tests.fakes_judge import FakeJudge, fake_serving, fake_slot

START = 1_773_144_000.0  # a multiple of 300
FIRST, SECOND = "20250101_000000", "20250202_000000"
WIFI, SSHD = fake_serving("wifi", FIRST), fake_serving("sshd", FIRST, programs=("sshd",))
BUSY = {FIRST: 10, SECOND: 4}


class Pi:
    """The daemon's insides with two agents over a SQLite log table."""

    def __init__(self, folder: Path) -> None:
        self.now = START
        logs = folder / "logs.db"
        create_table(logs)
        self.writer = sqlite3.connect(logs)
        self.db = state.connect(folder / "state.db")
        self.state = state.State(self.db)
        self.source = SqliteSource(logs, now=lambda: self.now)
        self.awake = Awake(fake_slot(WIFI, SSHD))
        self.failing: set[tuple[str, str]] = set()
        self.loadable: Callable[[str, str], Serving] = lambda agent, version: fake_serving(agent, version)
        self.challengers = Challengers(self.db, lambda agent, version: self.loadable(agent, version))
        self.judges = ChallengedJudges(self.awake, self.challengers.slot, self._judge, sink=self.challengers.take)
        self.standing = Standing(Cursor(0, 0), self.state.open_incidents())
        self.reports: list[CycleReport] = []
        self._id = 0

    def _judge(self, serving: Serving) -> FakeJudge:
        fails = (serving.agent, serving.version) in self.failing
        return FakeJudge(serving.agent, serving.version, BUSY[serving.version], fails)

    def write(self, program: str, host: str, at: float, count: int = 1) -> None:
        for n in range(count):
            self._id += 1
            row: Row = (self._id, at + n, host, program, "", 6, "m")
            self.writer.execute("INSERT INTO log_entries VALUES (?,?,?,?,?,?,?)", row)
        self.writer.commit()

    def pass_window(self, wifi: int = 2, sshd: int = 2) -> CycleReport:
        """A window of both agents' rows, and the cycle that judges it."""
        self.write("hostapd", "ap1", self.now + 1, wifi)
        self.write("sshd", "gate", self.now + 1, sshd)
        self.now += 400.0 - self.now % 300  # past the window's end and the grace
        return self.cycle()

    def cycle(self) -> CycleReport:
        wanted = switches.switches(self.db)
        self.awake.pause(frozenset(agent for agent, each in wanted.items() if each.paused))
        self.challengers.follow({"wifi": FIRST, "sshd": FIRST}, self.now)
        self.judges.refresh(self.source, self.standing.cursor, self.state.memory)
        report = run_cycle(
            self.source, self.judges, self.standing, self.state, self.reports.append, lambda: self.now, Limits()
        )
        self.challengers.flush(self.judges.take_challenger_errors())
        return report

    def windows(self, agent: str) -> int:
        return len(read.verdicts(self.db, agent=agent, limit=10_000))


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def test_both_agents_judge_their_own_rows_of_one_reading(pi: Pi) -> None:
    report = pi.pass_window()
    assert set(report.agents) == {"wifi", "sshd"}
    assert {(v.agent, v.host) for v in read.verdicts(pi.db)} == {("wifi", "ap1"), ("sshd", "gate")}


def test_an_agent_that_fails_harms_no_other(pi: Pi) -> None:
    pi.failing.add(("wifi", FIRST))
    for _ in range(3):
        pi.pass_window()
    assert pi.windows("sshd") == 3
    assert pi.windows("wifi") == 0
    assert pi.judges.take_errors()["wifi"].startswith("RuntimeError")


def test_a_paused_agent_judges_nothing_and_goes_on_from_now(pi: Pi) -> None:
    pi.pass_window()
    switches.pause(pi.db, "wifi", True, "test", pi.now)
    pi.pass_window()
    pi.pass_window()
    assert (pi.windows("wifi"), pi.windows("sshd")) == (1, 3)
    switches.pause(pi.db, "wifi", False, "test", pi.now)
    pi.db.execute("DELETE FROM memory WHERE agent = 'wifi'")  # as the service does when it pauses an agent
    pi.cycle()
    pi.pass_window()
    pi.pass_window()
    assert pi.windows("wifi") == 3, "what it missed is nobody's"
    assert pi.windows("sshd") == 5


def test_all_agents_may_pause_and_the_reading_goes_on(pi: Pi) -> None:
    for agent in ("wifi", "sshd"):
        switches.pause(pi.db, agent, True, "test", pi.now)
    report = pi.pass_window()
    assert report.windows == 0
    assert report.seen == 4


def test_pausing_twice_keeps_the_first_moment(pi: Pi) -> None:
    switches.pause(pi.db, "wifi", True, "one", 10.0)
    switches.pause(pi.db, "wifi", True, "two", 20.0)
    assert switches.switches(pi.db)["wifi"].paused_at == 10.0
    switches.pause(pi.db, "wifi", False, "three", 30.0)
    assert switches.switches(pi.db)["wifi"].paused_at is None


def test_a_challenger_is_judged_beside_and_alerts_nobody(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    pi.pass_window()
    switches.challenge(pi.db, "wifi", SECOND, "test", pi.now)
    pi.cycle()
    for rows in (2, 6, 12):  # nobody, the challenger alone, both
        pi.pass_window(wifi=rows)
    found = compare(pi.db, "wifi", FIRST, pi.now)
    assert found is not None
    assert (found.windows, found.both, found.only_active, found.only_challenger) == (3, 1, 0, 1)
    assert found.agree == 2
    assert found.active_incidents == 1
    assert found.challenger_incidents == 1, "two windows side by side are one incident"
    monkeypatch.setattr(comparison, "MOST", 2)
    newest = compare(pi.db, "wifi", FIRST, pi.now)
    assert newest is not None
    assert (newest.windows, newest.both, newest.only_challenger) == (2, 1, 1), "of very many, the newest"
    assert newest.since > found.since
    (different,) = found.different
    assert (different.host, different.active_alerts, different.challenger_alerts) == ("ap1", False, True)
    assert pi.windows("wifi") == 4, "the active version's verdicts alone are stored as such"
    assert len(read.incidents(pi.db)) == 1, "and alert alone"
    assert pi.windows("sshd") == 4


def test_a_challenger_that_fails_is_told_and_the_active_version_goes_on(pi: Pi) -> None:
    pi.failing.add(("wifi", SECOND))
    switches.challenge(pi.db, "wifi", SECOND, "test", pi.now)
    for _ in range(2):
        pi.pass_window()
    assert pi.windows("wifi") == 2
    assert "always fails" in switches.challengers(pi.db)["wifi"].error


def test_a_challenger_that_cannot_be_loaded_is_told_once(pi: Pi) -> None:
    tries = []

    def refuse(agent: str, version: str) -> Serving:
        tries.append(version)
        raise BundleError("hash", "the copy is damaged")

    pi.loadable = refuse
    switches.challenge(pi.db, "wifi", SECOND, "test", pi.now)
    for _ in range(3):
        pi.pass_window()
    assert tries == [SECOND], "it is not tried at every cycle"
    assert "damaged" in switches.challengers(pi.db)["wifi"].error
    assert pi.windows("wifi") == 3


def test_a_challenger_that_is_withdrawn_leaves_nothing(pi: Pi) -> None:
    switches.challenge(pi.db, "wifi", SECOND, "test", pi.now)
    pi.pass_window()
    pi.pass_window()
    assert pi.db.execute("SELECT count(*) FROM challenger_verdicts").fetchone()[0] == 2
    switches.challenge(pi.db, "wifi", None, "test", pi.now)
    pi.pass_window()
    assert switches.challengers(pi.db) == {}
    assert pi.db.execute("SELECT count(*) FROM challenger_verdicts").fetchone()[0] == 0
    assert pi.challengers.slot.all() == ()


def test_a_challenger_that_becomes_active_challenges_no_longer(pi: Pi) -> None:
    switches.challenge(pi.db, "wifi", FIRST, "test", pi.now)
    pi.pass_window()
    assert switches.challengers(pi.db) == {}


def test_a_faulty_agent_file_is_told_with_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "agents"
    folder.mkdir()
    (folder / "dhcp.yaml").write_text("name: dhcp\nversion: 1\ntitle: DHCP\n")
    (folder / "again.yaml").write_bytes((Path(__file__).parents[2] / "shared/agents/sshd.yaml").read_bytes())
    files = AgentFiles(folder)
    found = {each.agent: each.error for each in files.look()}
    assert "programs" in found["dhcp"]
    assert "built-in" in found["again"]
    assert files.look() == files.look()
    assert AgentFiles(tmp_path / "nowhere").look()[0].error.startswith("no such folder")
    assert AgentFiles(None).look() == []
