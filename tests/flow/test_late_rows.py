"""Rows that come out of time: their windows are judged again, and end as if the rows had come in time."""

from __future__ import annotations

import random
from bisect import bisect_right
from pathlib import Path

import pytest

from inference.keeping import reading as read
from shared.values import ALL_HOSTS, Moved, Row, Verdict
from tests.fakes_judge import FakeJudge, fake_serving
from tests.flow.test_cycle import START, Pi, expected, told, traffic


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    return Pi(tmp_path)


def line(number: int, seconds: float, host: str = "ap1") -> Row:
    return (number, START + seconds, host, "hostapd", "", 6, "x")


def settle(pi: Pi) -> None:
    """Cycles until nothing waits any more."""
    for _ in range(5):
        pi.now += 31
        pi.cycle()


def test_a_late_row_reopens_its_window_and_the_verdict_is_revised(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 20))
    pi.now = START + 400
    pi.cycle()
    pi.write(line(2, 15))
    pi.now += 301
    assert (pi.cycle().late, pi.reports[-1].revised) == (1, 0)
    pi.now += 31
    assert pi.cycle().revised == 1
    assert told(pi.verdicts()) == expected([line(1, 10), line(2, 15), line(3, 20)])
    (row,) = pi.db.execute("SELECT revision, rows FROM verdicts").fetchall()
    assert tuple(row) == (1, 3)
    pi.now += 100
    assert pi.cycle().revised == 0


def test_a_host_that_was_not_heard_of_gets_its_first_verdict_late(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 320))
    pi.now = START + 700
    pi.cycle()
    pi.write(line(2, 20, "ap2"))
    settle(pi)
    assert told(pi.verdicts()) == expected([line(1, 10), line(2, 20, "ap2"), line(3, 320)])


def test_rows_older_than_a_day_are_counted_and_change_nothing(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 2 * 86_400))
    pi.now = START + 2 * 86_400 + 400
    pi.cycle()
    before = told(pi.verdicts())
    pi.write(line(2, 20))
    pi.now += 10
    assert pi.cycle().late == 1
    settle(pi)
    assert told(pi.verdicts()) == before


def test_a_late_row_is_judged_by_the_model_that_judged_its_window_first(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 20))
    pi.now = START + 400
    pi.cycle()
    pi.slot.put(fake_serving(version="20260101_000000"))
    pi.write(line(2, 15), line(4, 410))
    settle(pi)
    pi.now = START + 1000
    pi.cycle()
    versions = {each.window_start: each.model_version for each in pi.verdicts()}
    assert versions == {START: fake_serving().version, START + 300: "20260101_000000"}
    assert pi.db.execute("SELECT revision FROM verdicts ORDER BY window_start").fetchall()[0][0] == 1


def test_where_that_model_is_gone_the_old_verdict_stays(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 20))
    pi.now = START + 400
    pi.cycle()
    before = told(pi.verdicts())
    pi.models.clear()
    pi.slot.put(fake_serving(version="20260101_000000"))
    pi.write(line(2, 15))
    settle(pi)
    assert told(pi.verdicts()) == before
    assert pi.db.execute("SELECT count(*) FROM reopen").fetchone()[0] == 0


def test_where_rows_were_deleted_meanwhile_the_old_verdict_stays(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 20), line(4, 310))
    pi.now = START + 700
    pi.cycle()
    before = told(pi.verdicts())
    pi.writer.execute("DELETE FROM log_entries WHERE id IN (1, 3)")
    pi.write(line(2, 15))
    settle(pi)
    assert told(pi.verdicts()) == before


def test_a_crash_between_reading_and_judging_again_loses_no_late_row(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 20))
    pi.now = START + 400
    pi.cycle()
    pi.write(line(2, 15))
    pi.now += 301
    pi.cycle()
    pi.restart()
    settle(pi)
    assert told(pi.verdicts()) == expected([line(1, 10), line(2, 15), line(3, 20)])


@pytest.mark.parametrize("seed", range(3))
def test_however_late_rows_come_the_verdicts_end_as_if_they_had_not(pi: Pi, seed: int) -> None:
    rng = random.Random(seed)
    rows = traffic(seed, 1500, 7200)
    late = {row[0]: rng.uniform(60, 7200) if rng.random() < 0.05 else rng.random() * 10 for row in rows}
    rows.sort(key=lambda row: row[1] + late[row[0]])
    when = [row[1] + late[row[0]] for row in rows]
    rows = [(n, *row[1:]) for n, row in enumerate(rows, 1)]
    written = 0
    while written < len(rows):
        pi.now += rng.uniform(10, 120)
        visible = bisect_right(when, pi.now)
        pi.write(*rows[written:visible])
        written = visible
        pi.cycle(batch_rows=rng.choice([7, 50, 2000]))
        if rng.random() < 0.1:
            pi.restart()
    settle(pi)
    assert told(pi.verdicts()) == expected(rows)


def test_an_incident_that_late_rows_feed_rises_and_keeps_its_name_and_evidence(pi: Pi) -> None:
    busy = [line(2 * n, n / 10) for n in range(1, 13)]
    pi.write(*busy)
    pi.now = START + 400
    pi.cycle()
    (before,) = read.incidents(pi.db)
    pi.write(*[line(2 * n - 1, n / 10) for n in range(1, 13)])
    settle(pi)
    (after,) = read.incidents(pi.db)
    assert (after.key, after.windows, before.score, after.score) == (before.key, 1, 12.0, 24.0)


def test_late_rows_can_open_an_incident_of_their_own(pi: Pi) -> None:
    pi.write(*[line(2 * n, n / 10) for n in range(1, 9)])
    pi.now = START + 400
    pi.cycle()
    assert read.incidents(pi.db) == []
    pi.write(*[line(2 * n - 1, n / 10) for n in range(1, 9)])
    settle(pi)
    (incident,) = read.incidents(pi.db)
    assert (incident.windows, incident.state) == (1, "open")
    pi.now += 3600
    pi.cycle()
    assert read.incidents(pi.db)[0].state == "ended"


def test_rows_from_the_future_wait_for_their_time_outside_of_memory(pi: Pi) -> None:
    ahead = 3 * 86_400.0
    pi.write(line(1, 10), *[line(n, ahead + n, "ap9") for n in range(2, 30)])
    pi.now = START + 400
    assert pi.cycle().early == 28
    assert sum(len(bench.waiting) for bench in pi.judges._benches.values()) == 0
    pi.now = START + ahead + 700
    pi.write(line(40, ahead + 500))
    pi.cycle()
    settle(pi)
    later = [each for each in pi.verdicts() if each.host == "ap9"]
    assert [(each.window_start, each.rows) for each in later] == [(START + ahead, 28)]


def silence(quiet_s: float, end: float, limit_s: float = 900.0, host: str = "ap1") -> Verdict:
    """A verdict on a window without rows, as a judge with a memory makes it."""
    moved = Moved("silence_s", quiet_s, 0.0, limit_s, 1.0)
    return Verdict(
        agent="wifi", host=host, window_start=START + end - 300, window_end=START + end, role="any", rows=0, score=1.0,
        rarity=9.0, is_anomaly=True, type="ap_hang", severity="critical", confidence=0.8, description="quiet", features={},
        explanation=(moved,), model_version=fake_serving().version, found_by="silence",
    )  # fmt: skip


def test_a_silence_that_late_rows_disprove_is_taken_back(pi: Pi) -> None:
    pi.write(line(1, 10), line(9, 3000, "ap2"))
    pi.now = START + 3400
    pi.cycle()
    silences = [silence(990, 1200), silence(1290, 1500), silence(2790, 3000)]
    pi.state.commit(pi.standing.cursor, silences, {}, pi.standing.incidents, {}, pi.now)
    pi.write(line(2, 1050))  # heard of in the window before the first silence, and quiet from then on
    settle(pi)
    left = [each for each in pi.verdicts() if each.found_by == "silence"]
    assert [each.window_end - START for each in left] == [3000]
    (incident,) = read.incidents(pi.db)
    assert (incident.windows, incident.started - START) == (1, 2700)
    pi.write(line(3, 2500))
    settle(pi)
    (incident,) = read.incidents(pi.db)
    assert (incident.windows, incident.state) == (0, "ended")
    assert "taken back" in incident.description


def test_a_late_row_of_any_host_says_that_not_all_were_silent(pi: Pi) -> None:
    pi.write(line(1, 10), line(9, 3000, "ap2"))
    pi.now = START + 3400
    pi.cycle()
    away = [silence(990, end, host=ALL_HOSTS) for end in (1200, 1500, 2700)]
    pi.state.commit(pi.standing.cursor, away, {}, pi.standing.incidents, {}, pi.now)
    pi.write(line(2, 1050))
    settle(pi)
    assert [each.window_end - START for each in pi.verdicts() if each.host == ALL_HOSTS] == [2700]
    pi.write(line(3, 1900, "ap2"))
    settle(pi)
    (incident,) = [each for each in read.incidents(pi.db) if each.host == ALL_HOSTS]
    assert (incident.windows, "taken back" in incident.description) == (0, True)


def test_the_silences_of_other_hosts_stay(pi: Pi) -> None:
    pi.write(line(1, 10), line(9, 3000, "ap2"))
    pi.now = START + 3400
    pi.cycle()
    other = silence(2690, 2700, host="ap2")
    pi.state.commit(pi.standing.cursor, [other], {}, pi.standing.incidents, {}, pi.now)
    pi.write(line(2, 2000))
    settle(pi)
    assert [each.host for each in pi.verdicts() if each.found_by == "silence"] == ["ap2"]


def test_the_judge_hears_that_a_late_row_was_written_in_time(pi: Pi) -> None:
    pi.write(line(1, 10), line(3, 20))
    pi.now = START + 400
    pi.cycle()
    pi.write(line(2, 15))
    pi.cycle()
    (judge,) = [bench.judge for bench in pi.judges._benches.values()]
    assert isinstance(judge, FakeJudge)
    assert judge.heard_late == [START + 15]
