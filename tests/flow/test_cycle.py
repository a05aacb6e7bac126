"""Cycles over a real table and a real state file, with a judge that gives away every row it saw."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from inference import state
from inference.cycle import CycleReport, Limits, Standing, run_cycle
from inference.judging.judges import Judges
from inference.judging.revising import Reviser
from inference.keeping import reading as read
from inference.models import ModelSlot
from inference.source import Cursor
from inference.sources.steady import SteadyClock
from inference.sqlite_source import SqliteSource, create_table
from shared.errors import StoreError
from shared.values import Row, Verdict
from tests.fakes_judge import FakeJudge, fake_replay, fake_serving, fake_slot

START = 1_773_144_000.0  # a multiple of 300


class Pi:
    """The daemon's insides over a SQLite log table; `restart` forgets everything that is not on the disk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, START
        self.logs = folder / "logs.db"
        create_table(self.logs)
        self.writer = sqlite3.connect(self.logs)
        self.slot = fake_slot()
        self.reports: list[CycleReport] = []
        self.clock: SteadyClock | None = None
        self.restart()

    def restart(self) -> None:
        self.db = state.connect(self.folder / "state.db")
        self.state = state.State(self.db)
        self.source = SqliteSource(self.logs, now=lambda: self.now)
        self.make: Callable[..., FakeJudge] = lambda serving: FakeJudge(serving.agent, serving.version)
        self.judges = Judges(self.slot, lambda serving: self.make(serving))
        self.models = {("wifi", fake_serving().version): fake_serving()}
        self.reviser = Reviser(self.state, lambda *key: self.models.get(key), lambda serving: self.make(serving))
        self.standing = Standing(self.state.cursor() or Cursor(0, 0), self.state.open_incidents())

    def write(self, *rows: Row) -> None:
        values = [(row[0], row[1], row[2], row[3], row[4], row[5], row[6]) for row in rows]
        self.writer.executemany("INSERT INTO log_entries VALUES (?,?,?,?,?,?,?)", values)
        self.writer.commit()

    def cycle(self, batch_rows: int = 2000, cycle_rows: int = 200_000) -> CycleReport:
        self.judges.refresh(self.source, self.standing.cursor, self.state.memory)
        limits = Limits(batch_rows, cycle_rows)
        return run_cycle(
            self.source, self.judges, self.standing, self.state, self.reports.append, lambda: self.now, limits,
            reviser=self.reviser, clock=self.clock,
        )  # fmt: skip

    def verdicts(self) -> list[Verdict]:
        return read.verdicts(self.db, limit=100_000)


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def traffic(seed: int, count: int = 3000, seconds: float = 7200.0) -> list[Row]:
    rng = random.Random(seed)
    times = sorted(START + rng.random() * seconds for _ in range(count))
    programs = ("hostapd", "cron", "wpa_supplicant")
    return [(n, t, f"ap{rng.randrange(3)}", rng.choice(programs), "", 6, f"m{n}") for n, t in enumerate(times, 1)]


def told(verdicts: list[Verdict]) -> list[tuple[str, float, str]]:
    return sorted((each.host, each.window_start, each.description) for each in verdicts)


def expected(rows: list[Row]) -> list[tuple[str, float, str]]:
    return told(fake_replay(rows, FakeJudge()))


def test_windows_close_only_after_their_grace_by_the_sources_clock(pi: Pi) -> None:
    pi.write((1, START + 10, "ap1", "hostapd", "", 6, "x"))
    pi.now = START + 329
    assert pi.cycle().windows == 0
    pi.now = START + 330
    assert pi.cycle().windows == 1


def test_an_idle_cycle_writes_nothing(pi: Pi) -> None:
    pi.write(*traffic(1, 100, 600))
    pi.now = START + 700
    pi.cycle()
    before = pi.db.total_changes
    pi.now += 10
    assert pi.cycle().windows == 0
    assert pi.db.total_changes == before


@pytest.mark.parametrize("seed", range(5))
def test_verdicts_do_not_depend_on_cycles_visibility_swaps_or_restarts(pi: Pi, seed: int) -> None:
    rng = random.Random(seed)
    rows = traffic(seed)
    waiting = sorted(rows, key=lambda row: row[1] + rng.random() * 20)  # visible up to 20 s after their time
    while pi.now < START + 7600:
        pi.now += rng.uniform(5, 120)
        visible = [row for row in waiting if row[1] + 20 * rng.random() <= pi.now - 20 or row[1] < pi.now - 25]
        pi.write(*visible)
        waiting = [row for row in waiting if row not in visible]
        pi.cycle(batch_rows=rng.choice([7, 50, 2000]))
        if rng.random() < 0.2:
            pi.restart()
        elif rng.random() < 0.2:
            pi.slot.put(fake_serving())
    assert told(pi.verdicts()) == expected(rows)
    assert sum(report.late for report in pi.reports) == 0


def test_a_backlog_is_judged_in_pieces_and_never_in_halves(pi: Pi) -> None:
    rows = traffic(9, 20_000, 4 * 86_400)
    rng = random.Random(9)
    shuffled = sorted(rows, key=lambda row: row[1] + rng.uniform(0, 600))
    rows = [(n, *row[1:]) for n, row in enumerate(shuffled, 1)]
    pi.write(*rows)
    pi.now = START + 5 * 86_400
    reports = [pi.cycle(batch_rows=500, cycle_rows=3000)]
    while not reports[-1].drained:
        assert reports[-1].lag_s > 0
        reports.append(pi.cycle(batch_rows=500, cycle_rows=3000))
        if len(reports) == 3:
            pi.restart()
    assert len(reports) >= 6
    assert reports[0].windows > 0
    assert told(pi.verdicts()) == expected(rows)


def test_a_kill_between_any_two_commits_changes_no_verdict(pi: Pi, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = traffic(4, 2000, 3600)
    pi.write(*rows)
    pi.now = START + 4000
    whole = state.State.commit
    commits = 0

    def dying(self: state.State, *arguments: object) -> list[Verdict]:
        nonlocal commits
        commits += 1
        if commits % 2:
            raise StoreError("disk full")
        return whole(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(state.State, "commit", dying)
    for _ in range(100):
        try:
            if pi.cycle(batch_rows=100, cycle_rows=300).drained:
                break
        except StoreError:
            pi.restart()
    assert told(pi.verdicts()) == expected(rows)


def test_one_hosts_broken_clock_closes_no_window_of_others_while_catching_up(pi: Pi) -> None:
    rows = traffic(6, 3000, 86_400)
    rows = [(row[0], row[1] + 30 * 86_400, "broken", *row[3:]) if n % 9 == 0 else row for n, row in enumerate(rows)]
    pi.write(*rows)
    pi.now = START + 2 * 86_400
    while not pi.cycle(batch_rows=200, cycle_rows=600).drained:
        pass
    good = [row for row in rows if row[2] != "broken"]
    assert told(pi.verdicts()) == expected(good)


def test_a_failing_agent_harms_no_other_and_loses_no_row(pi: Pi) -> None:
    rows = traffic(7, 600, 1800)
    broken = fake_serving("sshd", programs=("cron",))
    pi.slot.put(broken)
    fails = True
    pi.make = lambda serving: FakeJudge(serving.agent, serving.version, fails=fails and serving.agent == "sshd")
    pi.write(*rows)
    pi.now = START + 900
    pi.cycle()
    pi.now = START + 2200
    report = pi.cycle()
    assert told([each for each in pi.verdicts() if each.agent == "wifi"]) == expected(rows)
    assert "sshd" in pi.judges.take_errors()
    assert report.agents.keys() == {"wifi"}


def test_incidents_go_on_over_a_restart(pi: Pi) -> None:
    for window in range(4):
        rows = [(window * 20 + n + 1, START + window * 600 + n, "ap1", "hostapd", "", 6, "x") for n in range(15)]
        pi.write(*rows)
        pi.now = START + window * 600 + 331
        pi.cycle()
        pi.restart()
    (incident,) = read.incidents(pi.db)
    assert (incident.windows, incident.state, incident.started) == (4, "open", START)
    detail = read.incident(pi.db, incident.id)
    assert detail is not None
    assert [each.incident for each in detail.verdicts] == [incident.key] * 4
    pi.now += 3000
    pi.cycle()
    assert read.incidents(pi.db)[0].state == "ended"


def test_a_backlog_merges_incidents_as_a_live_log_does(pi: Pi) -> None:
    for window in (0, 6):  # 25 minutes between them, judged in one go
        pi.write(*[(window * 20 + n + 1, START + window * 300 + n, "ap1", "hostapd", "", 6, "x") for n in range(15)])
    pi.now = START + 86_400
    pi.cycle()
    (incident,) = read.incidents(pi.db)
    assert (incident.windows, incident.state) == (2, "ended")


def test_an_agent_whose_first_model_comes_later_begins_there(pi: Pi) -> None:
    rows = traffic(8, 2000, 3600)
    pi.write(*[row for row in rows if row[1] < START + 1700])
    pi.now = START + 1700
    pi.cycle()
    pi.slot.put(fake_serving("cron", programs=("cron",)))
    pi.cycle()
    pi.write(*[row for row in rows if row[1] >= START + 1700])
    pi.now = START + 4000
    pi.cycle()
    starts = {each.window_start for each in pi.verdicts() if each.agent == "cron"}
    assert starts == {START + 1500 + 300 * n for n in range(7)}


def test_without_a_model_there_is_no_judge(tmp_path: Path) -> None:
    judges = Judges(ModelSlot(), lambda serving: FakeJudge())
    assert judges.programs == ()
