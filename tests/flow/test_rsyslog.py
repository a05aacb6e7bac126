"""Lines go through the real rsyslogd into the real PostgreSQL, whatever they hold and whatever is down, and are judged."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from shared.frame import parse_severity
from tests.conftest import need
from tests.daemon_process import Trained, daemon, example_rows, trained
from tests.log_table import HOSTILE, apply_schema, as_role, count, line, logs, stored
from tests.postgres_server import PostgresServer
from tests.rsyslog_server import RsyslogServer, to_database
from tests.services import running, wait_until

__all__ = ["logs", "trained"]

LINES = 20_000


@pytest.fixture
def collector(logs: tuple[PostgresServer, str]) -> Iterator[RsyslogServer]:
    """rsyslogd as shipped, writing as the role that may only add rows."""
    with running(to_database(need("rsyslog"), as_role(logs[1], "pipit_writer"), patience_ms=100)) as server:
        yield server


def twenty_thousand() -> list[tuple[str, str, str, bytes, float, int]]:
    """The example's live log, hostile messages and other programs' lines between, in order of sending."""
    rows = example_rows()
    hostile = list(HOSTILE)
    sent = []
    for n in range(LINES):
        if n % 2 == 0 and n // 2 < len(rows):
            _, time, host, program, pid, severity, message = rows[n // 2]
            sent.append((host, program, pid, message.encode(), time, parse_severity(str(severity))))
        else:
            message_bytes = hostile[n // 400] if n % 400 == 1 and n // 400 < len(hostile) else f"line {n}".encode()
            sent.append(
                (
                    "gw",
                    "hostapd" if n % 400 == 1 else "cron",
                    "7",
                    message_bytes,
                    rows[min(n // 2, len(rows) - 1)][1],
                    6,
                )
            )
    return sent


def test_twenty_thousand_lines_arrive_in_order_over_an_outage_and_are_judged(
    logs: tuple[PostgresServer, str], collector: RsyslogServer, trained: Trained, tmp_path: Path
) -> None:
    server, dsn = logs
    sent = twenty_thousand()
    lines = [line(*each) for each in sent]
    collector.send_tcp(lines[:8000])
    wait_until(lambda: count(dsn) > 2000, "the first rows in the database")
    server.stop()
    collector.send_tcp(lines[8000:16000])
    server.start()
    collector.send_tcp(lines[16000:])
    wait_until(lambda: count(dsn) >= LINES, "all rows in the database", 60.0)
    expected = [
        (host, program, pid, HOSTILE.get(text, text.decode("utf-8", "replace")))
        for host, program, pid, text, _, _ in sent
    ]
    got = [(host, program, pid or "", message) for host, program, pid, message in stored(dsn)]
    assert sorted(got) == sorted(expected)
    assert got == expected
    settings = {
        "DATABASE_URL": as_role(dsn, "pipit_reader"),
        "INBOX": trained.models,
        "ALLOWED_SIGNERS": trained.allowed_signers,
        "START": "all",
    }
    with daemon(tmp_path / "pi", **settings) as pi:
        done = pi.cli("once", "--json")
        assert done.returncode == 0, done.stderr.decode()
        report = json.loads(done.stdout)
        assert report["seen"] == LINES
        assert report["windows"] > 500
        found = json.loads(pi.cli("incidents", "--json").stdout)
    assert "psk_bruteforce" in {incident["type"] for incident in found}


def test_rsyslogd_restarted_while_the_database_is_away_loses_one_line_at_most(
    logs: tuple[PostgresServer, str], collector: RsyslogServer
) -> None:
    server, dsn = logs
    collector.send_tcp(line("ap1", "hostapd", "1", b"n %d" % n, 1.7e9) for n in range(1000))
    wait_until(lambda: count(dsn) == 1000, "the first rows in the database")
    server.stop()
    collector.send_tcp(line("ap1", "hostapd", "1", b"n %d" % n, 1.7e9) for n in range(1000, 9000))
    collector.stop()
    assert collector.queued_on_disk() > 1_000_000, "what nobody took must be on disk when rsyslogd ends"
    collector.start()
    server.start()
    collector.send_tcp([line("ap1", "hostapd", "1", b"the last", 1.7e9)])
    wait_until(lambda: "the last" in {message for *_, message in stored(dsn)}, "the line after the outage")
    wait_until(lambda: count(dsn) >= 9000, "the rows of the outage")
    got = [int(message[2:]) for *_, message in stored(dsn) if message != "the last"]
    assert set(range(9000)) - set(got) <= {1000}, "only the line that was being tried"
    assert len(got) == len(set(got)), "no line comes twice"


def test_a_row_that_the_database_refuses_is_dropped_or_holds_the_others_up_and_takes_none_along(
    logs: tuple[PostgresServer, str], collector: RsyslogServer
) -> None:
    """rsyslog 8.2302 drops it; 8.2504 tries again until it is taken."""
    _, dsn = logs
    change(dsn, "ALTER TABLE log_entries ADD CONSTRAINT odd CHECK (message <> 'n 500')")
    collector.send_tcp(line("ap1", "hostapd", "1", b"n %d" % n, 1.7e9) for n in range(1000))
    wait_until(lambda: count(dsn) >= 999 or "suspended" in collector.log(), "the refusal")
    change(dsn, "ALTER TABLE log_entries DROP CONSTRAINT odd")
    wait_until(lambda: count(dsn) >= 999, "every other row")
    assert {message for *_, message in stored(dsn)} | {"n 500"} == {f"n {n}" for n in range(1000)}


def change(dsn: str, statement: str) -> None:
    """What the owner of the database may do."""
    with psycopg2.connect(dsn) as db, db.cursor() as cursor:
        cursor.execute(statement)
    db.close()


def test_nothing_that_a_sender_may_write_makes_the_database_refuse_a_row(
    logs: tuple[PostgresServer, str], collector: RsyslogServer
) -> None:
    """A refused row would be gone without a word."""
    _, dsn = logs
    odd = [
        b"<30>Mar 12 10:00:00 ap1 hostapd: wlan0: a plain line",
        b"<30>Mar 12 10:00:00 ap\xff1 hostapd\xfe[12]: bytes in the tag",
        b"<30>1 2026-03-12T10:00:00Z ap\xff1 host\xfeapd 1\xff2 - - bytes in every field",
        b"<30>1 2026-03-12T10:00:00Z ap1 hostapd 1.5e9 - - a pid that is none",
        b"<30>1 2026-02-30T10:00:00Z ap1 hostapd - - - the 30th of February",
        b"<30>Feb 30 10:00:00 ap1 hostapd: again",
        b"<30>1 0000-01-01T10:00:00Z ap1 hostapd - - - the year 0",
        b"<30>1 9999-99-99T99:99:99Z ap1 hostapd - - - no date",
        b"<999>1 2026-03-12T10:00:00Z ap1 hostapd - - - no such priority",
        b"\xff\xfe\xfd",
    ]
    chance = random.Random(1)
    spice = [0x00, 0x1B, 0x27, 0x5C, 0x25, 0xC0, 0xED, 0xA0, 0x80, 0xF4, 0xF5]
    for n in range(600):
        text = bytes(chance.choice([chance.randrange(256), chance.choice(spice)]) for _ in range(60)).replace(
            b"\n", b""
        )
        odd.append((b"<30>1 2026-03-12T10:00:00Z ap1 hostapd 1 - - " if n % 2 else b"<30>") + text)
    collector.send_tcp(odd)
    wait_until(lambda: count(dsn) >= len(odd), "every row")
    rows = stored(dsn)
    assert rows[0] == ("ap1", "hostapd", "", "wlan0: a plain line")
    assert rows[2][3] == "bytes in every field"
    assert len(rows) == len(odd)


def test_the_reader_may_read_and_the_writer_may_add_and_neither_may_more(logs: tuple[PostgresServer, str]) -> None:
    _, dsn = logs
    apply_schema(dsn)  # a second time changes nothing
    insert = "INSERT INTO log_entries (\"timestamp\", program, message) VALUES (now(), 'p', 'm')"
    allowed = {"pipit_reader": ["SELECT count(*) FROM log_entries"], "pipit_writer": [insert]}
    everything = ["SELECT count(*) FROM log_entries", insert, "DELETE FROM log_entries", "UPDATE log_entries SET host = 'x'",
                  "TRUNCATE log_entries", "SELECT delete_old_logs()", "DROP TABLE log_entries"]  # fmt: skip
    for role, may in allowed.items():
        for statement in everything:
            db = psycopg2.connect(as_role(dsn, role))
            with db.cursor() as cursor:
                if statement in may:
                    cursor.execute(statement)
                else:
                    cursor.execute("SET default_transaction_read_only = off")
                    with pytest.raises(psycopg2.Error):
                        cursor.execute(statement)
            db.close()


def test_old_rows_go_by_the_time_they_arrived_and_not_by_what_the_sender_says(logs: tuple[PostgresServer, str]) -> None:
    _, dsn = logs
    db = psycopg2.connect(dsn)
    with db.cursor() as cursor:
        cursor.execute(
            'INSERT INTO log_entries ("timestamp", received, program, message) VALUES'
            " ('1970-01-01', now(), 'p', 'new, from a clock that was never set'),"
            " ('2099-01-01', now() - interval '40 days', 'p', 'old, from a clock in the future'),"
            " (now() - interval '20 days', now() - interval '20 days', 'p', 'of this month')"
        )
        cursor.execute("SELECT delete_old_logs('30 days')")
        assert cursor.fetchone() == (1,)
        cursor.execute("SELECT message FROM log_entries ORDER BY id")
        assert [message for (message,) in cursor.fetchall()] == [
            "new, from a clock that was never set",
            "of this month",
        ]
        with pytest.raises(psycopg2.Error, match="less than a day"):
            cursor.execute("SELECT delete_old_logs('0 days')")
    db.close()


def test_rsyslogs_own_table_is_read_through_the_view(
    postgres: PostgresServer, trained: Trained, tmp_path: Path
) -> None:
    dsn = postgres.create_database()
    db = psycopg2.connect(dsn)
    with db, db.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE systemevents (id serial PRIMARY KEY, receivedat timestamp, devicereportedtime timestamp,"
            " facility smallint, priority smallint, fromhost varchar(60), message text, infounitid int, syslogtag varchar(60))"
        )
        for tag in ("sshd[44]:", "kernel:", "postfix/smtpd[1]:", "hostapd"):
            cursor.execute(
                "INSERT INTO systemevents (devicereportedtime, facility, priority, fromhost, message, syslogtag)"
                " VALUES ('2026-03-12 10:00:00', 3, 6, 'ap1', ' wlan0: AP-ENABLED', %s)",
                (tag,),
            )
    db.close()
    apply_schema(dsn, "systemevents_view.sql")
    apply_schema(dsn, "systemevents_view.sql")
    reader = as_role(dsn, "pipit_reader")
    assert stored(reader) == [
        ("ap1", program, pid, "wlan0: AP-ENABLED")
        for program, pid in (("sshd", "44"), ("kernel", None), ("postfix/smtpd", "1"), ("hostapd", None))
    ]
    with daemon(
        tmp_path / "pi", DATABASE_URL=reader, INBOX=trained.models, ALLOWED_SIGNERS=trained.allowed_signers, START="all"
    ) as pi:
        report = json.loads(pi.cli("once", "--json").stdout)
    assert (report["seen"], report["rows"]) == (4, report["rows"])
    assert report["rows"] >= 1
