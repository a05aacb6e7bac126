"""A Pi sends its log to the collector, and either is stopped, killed and started again while lines are under way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest

from tests.conftest import need
from tests.log_table import HOSTILE, apply_schema, as_role, count, logs, stored
from tests.postgres_server import PostgresServer
from tests.rsyslog_server import RsyslogServer, forwarder, tcp_forwarder, to_database
from tests.services import running, wait_until

__all__ = ["logs"]

LINES = 5000
WINDOW = 2  # lines that may be under way at once: windowSize in pipit-forward.conf


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    """A database with the shipped schema."""
    address = postgres.create_database()
    apply_schema(address)
    return address


@pytest.fixture
def relp_collector(dsn: str) -> Iterator[RsyslogServer]:
    """The collector with both shipped files."""
    with running(collecting(dsn)) as server:
        yield server


def collecting(dsn: str) -> RsyslogServer:
    """rsyslogd that listens for RELP too, writing as the role that may only add rows."""
    return to_database(need("rsyslog-relp"), as_role(dsn, "pipit_writer"), relp=True)


def numbered(first: int, end: int) -> list[bytes]:
    """Lines of a program on the Pi, each with another number."""
    return [b"<30>Mar 12 10:00:00 hostapd[5]: line %d" % n for n in range(first, end)]


def numbers(dsn: str) -> list[int]:
    """The numbers of the lines that are stored, in order."""
    return [int(message.removeprefix("line ")) for *_, message in stored(dsn)]


@contextmanager
def locked(dsn: str) -> Iterator[None]:
    """Nobody writes to the table meanwhile: who tries, waits."""
    db = psycopg2.connect(dsn)
    with db.cursor() as cursor:
        cursor.execute("LOCK TABLE log_entries IN ACCESS EXCLUSIVE MODE")
        try:
            yield
        finally:
            db.close()


def inserting(dsn: str) -> bool:
    """Does somebody wait to write to the table?"""
    db = psycopg2.connect(dsn)
    with db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'log_entries'::regclass")
        (waiting,) = cursor.fetchone() or (0,)
    db.close()
    return bool(waiting)


def test_no_line_is_lost_however_collector_and_database_are_stopped_and_killed(
    logs: tuple[PostgresServer, str],
) -> None:
    server, dsn = logs
    texts = [b"line %d" % n for n in range(LINES)]
    for n, text in enumerate(HOSTILE):
        texts[n * 500 + 7] = text
    sent = [b"<30>Mar 12 10:00:00 hostapd[5]: " + text for text in texts]
    with running(collecting(dsn)) as collector, running(forwarder(need("rsyslog-relp"), collector)) as pi:
        pi.send_local(sent[:1500])
        wait_until(lambda: count(dsn) >= 200, "the first lines")
        collector.kill()
        pi.send_local(sent[1500:2000])
        collector.start()
        wait_until(lambda: count(dsn) >= 1700, "lines after the first kill")
        collector.stop()
        pi.send_local(sent[2000:2500])
        collector.start()
        wait_until(lambda: count(dsn) >= 2200, "lines after the stop")
        with locked(dsn):
            pi.send_local(sent[2500:3500])
            wait_until(lambda: inserting(dsn), "a line that is being written")
            collector.kill()
        collector.start()
        wait_until(lambda: count(dsn) >= 3400, "lines after the second kill")
        server.stop()
        pi.send_local(sent[3500:4500])
        collector.kill()
        collector.start()
        server.start()
        pi.send_local(sent[4500:])
        expected = [HOSTILE.get(text, text.decode("utf-8", "replace")) for text in texts]
        wait_until(lambda: len({row[3] for row in stored(dsn)}) >= LINES, "every line", 60.0, 0.2)
    got = [message for *_, message in stored(dsn)]
    assert list(dict.fromkeys(got)) == expected, "all of them, in order"
    assert len(got) - LINES <= 5 * WINDOW, "a few may come twice each time the connection breaks"
    assert {(program, pid) for _, program, pid, _ in stored(dsn)} == {("hostapd", "5")}


def test_a_pi_whose_rsyslogd_is_restarted_while_lines_are_under_way_loses_none(
    dsn: str, relp_collector: RsyslogServer
) -> None:
    """More patience than shipped and few lines: on a busy machine five seconds may be short for many."""
    with running(forwarder(need("rsyslog-relp"), relp_collector, patience_ms=8000)) as pi:
        for first in (0, 100, 200):
            pi.send_local(numbered(first, first + 100))
            pi.stop()
            pi.start()
        wait_until(lambda: count(dsn) >= 300, "every line")
    assert numbers(dsn) == list(range(300))


def test_a_collector_that_is_restarted_with_lines_of_plain_tcp_in_hand_loses_none(
    dsn: str, relp_collector: RsyslogServer
) -> None:
    for first in (0, 100):
        relp_collector.send_tcp(numbered(first, first + 100))
        relp_collector.stop()
        relp_collector.start()
    wait_until(lambda: count(dsn) >= 200, "every line")
    assert numbers(dsn) == list(range(200))


@pytest.mark.parametrize("under_way", [False, True], ids=["between two lines", "while lines are under way"])
def test_a_pi_that_is_itself_restarted_while_the_collector_is_away_loses_three_lines_at_most(
    under_way: bool, dsn: str, relp_collector: RsyslogServer
) -> None:
    with running(forwarder(need("rsyslog-relp"), relp_collector, patience_ms=100)) as pi:
        pi.send_local(numbered(0, 100))
        wait_until(lambda: count(dsn) == 100, "the first hundred")
        if under_way:
            with locked(dsn):
                pi.send_local(numbered(100, 300))
                wait_until(lambda: inserting(dsn), "a line that is being written")
                relp_collector.kill()
        else:
            relp_collector.stop()
            pi.send_local(numbered(100, 300))
        pi.stop()
        assert pi.queued_on_disk() > 10_000, "what nobody took must be on disk when rsyslogd ends"
        pi.start()
        relp_collector.start()
        pi.send_local(numbered(300, 400))
        wait_until(lambda: set(range(103, 400)) <= set(numbers(dsn)), "the lines of the outage")
    got = numbers(dsn)
    lost = set(range(400)) - set(got)
    assert lost <= ({100, 101, 102} if under_way else {100}), "only those that were being sent"
    assert len(got) - len(set(got)) <= WINDOW


def test_a_pi_that_crashes_in_a_long_outage_keeps_what_it_had_put_on_disk(
    dsn: str, relp_collector: RsyslogServer
) -> None:
    relp_collector.stop()
    with running(forwarder(need("rsyslog-relp"), relp_collector)) as pi:
        pi.send_local(numbered(0, 6000))
        wait_until(lambda: pi.queued_on_disk() > 1_200_000, "half of the lines on disk")
        pi.kill()
        pi.start()
        relp_collector.start()
        pi.send_local(numbered(6000, 6100))
        wanted = {*range(1, 2000), *range(6000, 6100)}
        wait_until(lambda: wanted <= set(numbers(dsn)), "what was on disk, and what came later")


def test_plain_tcp_loses_no_line_that_comes_after_the_sender_has_noticed_that_the_collector_is_away(
    dsn: str, relp_collector: RsyslogServer
) -> None:
    with running(tcp_forwarder(need("rsyslog"), relp_collector)) as pi:
        pi.send_local(numbered(0, 100))
        wait_until(lambda: count(dsn) == 100, "the first hundred")
        relp_collector.stop()
        last = 100

        def noticed() -> bool:
            nonlocal last
            pi.send_local(numbered(last, last + 1))
            last += 1
            return "cannot connect" in pi.log()

        wait_until(noticed, "the sender to notice")
        pi.send_local(numbered(last, last + 300))
        relp_collector.start()
        wait_until(lambda: set(range(last, last + 300)) <= set(numbers(dsn)), "the lines after that")
    assert set(range(100)) <= set(numbers(dsn))
