"""Backlogs, clocks that jump, tables that begin again, disks that fill and state files that rot."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections import namedtuple
from pathlib import Path

import psycopg2
import pytest

from inference import state
from inference.cycle import Limits, Standing, run_cycle
from inference.judging.judges import Judges
from inference.keeping import reading as read
from inference.keeping.disk import BALLAST_BYTES, Disk
from inference.postgres import PostgresSource
from inference.source import Cursor, Head, start_cursor
from inference.sources.steady import SteadyClock
from shared.frame import parse_time
from shared.values import Row
from tests.contracts.test_sources import POSTGRES_TABLE
from tests.fakes_judge import FakeJudge, fake_slot
from tests.flow.test_cycle import START, Pi, expected, told, traffic
from tests.postgres_server import PostgresServer

pytestmark = pytest.mark.faults


def resident_mb() -> float:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * 4096 / 1e6


# --- backlogs --------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_days_of_backlog_are_caught_up_in_flat_memory(postgres: PostgresServer, tmp_path: Path, faults: str) -> None:
    count = 1_000_000 if faults == "full" else 60_000
    dsn = postgres.create_database()
    db = psycopg2.connect(dsn)
    db.cursor().execute(POSTGRES_TABLE)
    db.cursor().execute(
        "INSERT INTO log_entries (timestamp, host, program, severity, message)"
        " SELECT to_timestamp(%s + n * 604800.0 / %s), 'ap' || n %% 20,"
        " CASE WHEN n %% 3 = 0 THEN 'cron' ELSE 'hostapd' END, 6, 'wlan0: STA line ' || n || repeat('x', 60)"
        " FROM generate_series(1, %s) n",
        (START, count, count),
    )
    db.commit()
    counting = db.cursor()
    counting.execute(
        "SELECT count(DISTINCT (host, floor(extract(epoch FROM timestamp) / 300))) FROM log_entries"
        " WHERE program = 'hostapd'"
    )
    (windows,) = counting.fetchone() or (0,)
    db.close()
    kept = state.State(state.connect(tmp_path / "state.db"))
    judges = Judges(fake_slot(), lambda serving: FakeJudge(busy=10**9))
    source, standing = PostgresSource(dsn), Standing(Cursor(0, 0), kept.open_incidents())
    judges.refresh(source, standing.cursor, kept.memory)
    seen, peak, before = 0, 0.0, 0.0
    while True:
        report = run_cycle(
            source, judges, standing, kept, lambda report: None, lambda: START, Limits(2000, count // 20)
        )
        seen += report.seen
        before = before or resident_mb()
        peak = max(peak, resident_mb())
        if report.drained:
            break
    source.close()
    assert seen == count
    assert peak - before <= 50
    assert read.totals(kept.db).windows == windows


def test_a_flood_from_one_host_delays_nobody_and_stays_in_bounded_memory(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    flood = [(n, START + 10 + n / 1000, "loud", "hostapd", "", 6, "x") for n in range(1, 30_001)]
    calm = [(30_000 + n, START + 30 * n, "calm", "hostapd", "", 6, "x") for n in range(1, 10)]
    pi.write(*flood, *calm)
    pi.now = START + 331
    pi.cycle()
    assert {each.host: each.rows for each in pi.verdicts()} == {"loud": 30_000, "calm": 9}
    assert sum(len(bench.waiting) for bench in pi.judges._benches.values()) <= 5_000


# --- clocks ----------------------------------------------------------------------------------------------------


class Watch:
    """A clock that a test sets, and the machine's own that goes on by itself."""

    def __init__(self) -> None:
        self.said, self.ran = START, 0.0
        self.steady = SteadyClock(lambda: self.ran)

    def go(self, seconds: float) -> None:
        self.said += seconds
        self.ran += seconds

    def now(self, newest: float | None = None) -> float:
        return self.steady.steady(Head(1, self.said, newest)).now


JUMPS = {
    "to 1970": -START,
    "to 2038": 2_147_483_647 - START,
    "ten years on": 3.15e8,
    "ten years back": -3.15e8,
    "an hour back": -3600.0,
}


@pytest.mark.parametrize("jump", JUMPS.values(), ids=JUMPS)
def test_a_clock_that_jumps_and_returns_changes_no_window(tmp_path: Path, jump: float) -> None:
    pi, watch = Pi(tmp_path), Watch()
    rows = traffic(11, 1500, 3600)
    pi.clock = watch.steady
    written = 0
    for step in range(130):
        watch.go(30)
        visible = sum(row[1] <= watch.said for row in rows)
        pi.write(*rows[written:visible])
        written = visible
        pi.now = watch.said + (jump if 40 <= step < 55 else 0.0)
        pi.cycle()
    assert told(pi.verdicts()) == expected(rows)


def test_a_jump_that_rows_confirm_is_believed_at_once_and_one_that_stays_after_ten_minutes() -> None:
    watch = Watch()
    assert watch.now() == START
    watch.said += 9e6
    assert watch.now(newest=watch.said - 5) == watch.said, "as after the boot of a Pi without a clock chip"
    watch.said -= 9e6
    believed = watch.now()
    assert believed == pytest.approx(watch.said + 9e6)
    watch.go(599)
    assert watch.now() == pytest.approx(believed + 599)
    watch.go(2)
    assert watch.now() == watch.said


def test_windows_judged_by_a_wrong_clock_do_not_stop_the_right_ones(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    pi.write((1, START + 10, "ap1", "hostapd", "", 6, "x"))
    pi.now = START + 3e8  # no SteadyClock here: it was wrong from the start
    pi.cycle()
    pi.now = START + 400
    pi.write((2, START + 310, "ap1", "hostapd", "", 6, "x"))
    pi.cycle()
    pi.now = START + 700
    pi.cycle()
    assert [(each.window_start, each.rows) for each in pi.verdicts()] == [(START, 1), (START + 300, 1)]


# --- tables ----------------------------------------------------------------------------------------------------


def test_a_table_that_was_emptied_and_counts_anew_is_read_from_its_beginning(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    pi.write(*[(n, START + n, "ap1", "hostapd", "", 6, "x") for n in range(1, 200)])
    pi.now = START + 400
    pi.cycle()
    pi.writer.execute("DELETE FROM log_entries")
    pi.writer.commit()
    pi.now += 30
    pi.cycle()
    assert pi.standing.cursor.last == 199, "an empty table says nothing"
    pi.write(*[(n, START + 500 + n, "ap1", "hostapd", "", 6, "x") for n in range(1, 21)])
    pi.now = START + 1000
    pi.cycle()
    assert {each.window_start: each.rows for each in pi.verdicts()} == {START: 199, START + 300: 20}


def rows_of(ids: range, since: float, every: float = 1.0) -> list[Row]:
    return [(n, START + since + every * k, "ap1", "hostapd", "", 6, "x") for k, n in enumerate(ids)]


def restored(pi: Pi, up_to: int) -> None:
    """The table as a backup has it that was made when `up_to` was the newest id."""
    pi.writer.execute("DELETE FROM log_entries WHERE id > ?", (up_to,))
    pi.writer.commit()


def test_a_restored_table_is_read_on_from_the_first_new_row_and_nothing_is_read_twice(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    pi.write(*rows_of(range(1, 201), 1), *rows_of(range(201, 221), 310))
    pi.now = START + 400
    pi.cycle()
    restored(pi, 210)
    pi.now += 30
    assert "id 210, and id 220 was read" in pi.cycle().note
    assert pi.standing.cursor.last == 220
    pi.write(*rows_of(range(211, 216), 450))
    pi.now = START + 470
    report = pi.cycle()
    assert report.note == ""
    assert "counted its ids anew at 2026-03-10" in report.begun_again
    assert report.seen == 15, "the rows of the open window, not the whole table"
    pi.write(*rows_of(range(216, 230), 640))
    pi.now = START + 1000
    report = pi.cycle()
    assert (report.begun_again, report.note) == ("", "")
    assert {each.window_start - START: each.rows for each in pi.verdicts()} == {0: 200, 300: 15, 600: 14}


@pytest.mark.parametrize("failed", [True, False])
def test_a_restored_table_whose_new_ids_have_passed_the_cursor_is_noticed_after_a_pause(
    tmp_path: Path, failed: bool
) -> None:
    pi = Pi(tmp_path)
    pi.write(*rows_of(range(1, 201), 1))
    pi.now = START + 400
    pi.cycle()
    restored(pi, 100)
    pi.write(*rows_of(range(101, 251), 700))
    if failed:
        pi.standing.is_known = False  # as after an error of the source
    else:
        pi.restart()
    pi.now = START + 1300
    assert pi.cycle().begun_again
    assert {each.window_start - START: each.rows for each in pi.verdicts()} == {0: 200, 600: 150}
    pi.restart()
    assert not pi.cycle().begun_again, "it is the known one now"


def test_a_table_that_is_restored_before_anything_was_read_is_noticed_too(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    pi.write(*rows_of(range(1, 201), 1))
    pi.now = START + 250
    pi.standing.cursor = start_cursor(pi.source, "now", parse_time)
    restored(pi, 100)
    pi.write(*rows_of(range(101, 111), 400))
    pi.now = START + 700
    assert pi.cycle().begun_again
    assert sum(each.rows for each in pi.verdicts()) == 10


def test_deleting_the_newest_rows_is_not_taken_for_a_new_table(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    rows = [(n, START + n, "ap1", "hostapd", "", 6, "x") for n in range(1, 200)]
    pi.write(*rows)
    pi.now = START + 250
    pi.cycle()
    pi.writer.execute("DELETE FROM log_entries WHERE id > 100")
    pi.writer.commit()
    pi.now += 30
    pi.cycle()
    assert pi.standing.cursor.last == 199


# --- disks and files -------------------------------------------------------------------------------------------

Usage = namedtuple("Usage", "total used free")


def test_the_ballast_is_put_aside_while_there_is_room_and_dropped_when_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Disk(tmp_path)
    assert place.load_ballast()
    assert (tmp_path / "ballast").stat().st_size == BALLAST_BYTES
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(32 << 30, 31 << 30, 900 << 20))
    assert place.is_nearly_full()
    assert place.drop_ballast()
    assert not place.load_ballast()
    assert not place.drop_ballast()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(4 << 40, 3 << 40, 2 << 30))
    assert not place.is_nearly_full(), "2 GB are room enough, however large the disk"


def test_a_damaged_state_file_is_moved_aside_and_everything_is_judged_again(tmp_path: Path, faults: str) -> None:
    rows = traffic(3, 600, 1800)
    rounds, found = (200 if faults == "full" else 12), 0
    (tmp_path / "template").mkdir()
    template = Pi(tmp_path / "template")
    template.write(*rows)
    template.now = START + 2200
    template.cycle()
    template.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    template.db.close()
    template.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # the rows must be in the file that is copied
    template.writer.close()
    good = (tmp_path / "template/state.db").read_bytes()
    for seed in range(rounds):
        chance = random.Random(seed)
        folder = tmp_path / f"pi{seed}"
        folder.mkdir()
        shutil.copy(tmp_path / "template/logs.db", folder)
        at = 4096 * chance.randrange(len(good) // 4096)  # a page's header: what lies in unused room harms nobody
        (folder / "state.db").write_bytes(good[:at] + chance.randbytes(512) + good[at + 512 :])
        state.open_checked(folder / "state.db").close()
        if not list(folder.glob("state.db.damaged-*")):
            continue
        found += 1
        rows_there = sqlite3.connect(folder / "logs.db")
        assert rows_there.execute("SELECT count(*) FROM log_entries").fetchone()[0] == len(rows)
        rows_there.close()
        pi = Pi(folder)
        pi.now = START + 2200
        pi.cycle()
        assert told(pi.verdicts()) == expected(rows)
        pi.db.close()
    assert found >= 0.9 * rounds


def test_a_read_only_state_is_an_error_and_no_row_is_lost(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    rows = traffic(5, 300, 900)
    pi.write(*rows)
    pi.db.execute("PRAGMA query_only = on")
    pi.now = START + 1300
    with pytest.raises(Exception, match="write state"):
        pi.cycle()
    pi.db.execute("PRAGMA query_only = off")
    pi.restart()
    pi.cycle()
    assert told(pi.verdicts()) == expected(rows)


def test_a_full_disk_is_an_error_and_no_row_is_lost(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    rows = traffic(6, 3000, 7200)
    pi.write(*rows)
    pages = pi.db.execute("PRAGMA page_count").fetchone()[0]
    pi.db.execute(f"PRAGMA max_page_count = {pages + 3}")
    pi.now = START + 7600
    with pytest.raises(Exception, match="full"):
        pi.cycle()
    pi.restart()
    pi.cycle()
    assert told(pi.verdicts()) == expected(rows)


def test_an_idle_hour_writes_next_to_nothing(tmp_path: Path) -> None:
    pi = Pi(tmp_path)
    pi.write(*traffic(8, 300, 900))
    pi.now = START + 1300
    pi.cycle()
    before = pi.db.total_changes
    for _ in range(120):
        pi.now += 30
        pi.cycle()
    assert pi.db.total_changes - before <= 30, "the judge's memory once a window, and no more"
