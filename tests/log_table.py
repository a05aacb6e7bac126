"""The log table as deploy/postgres makes it, in a test's own PostgreSQL: its fixture, what is in it, and lines to send there."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from shared.values import iso
from tests.postgres_server import PostgresServer

SCHEMA = Path(__file__).resolve().parent.parent / "deploy" / "postgres"
# What is sent as the whole of a message → what must be stored.
HOSTILE = {
    b"bytes \xff\xfe\xc3( that are no UTF-8": "bytes    ( that are no UTF-8",
    "ssid='caf\u00e9 \U0001f4f6 \u202egnp.exe'".encode(): "ssid='caf\u00e9 \U0001f4f6 \u202egnp.exe'",
    b"a NUL \x00 and an escape \x1b[2J": "a NUL #000 and an escape #033[2J",
    b"'); DROP TABLE log_entries; --": "'); DROP TABLE log_entries; --",
    b"back\\slash \\' and \\\\": "back\\slash \\' and \\\\",
    b"%s%n%p %program% $!all-json": "%s%n%p %program% $!all-json",
    b"": "",
    b"x" * 60_000: "x" * 60_000,
}


def apply_schema(dsn: str, name: str = "schema.sql") -> None:
    with psycopg2.connect(dsn) as db, db.cursor() as cursor:
        cursor.execute((SCHEMA / name).read_text())
    db.close()


def as_role(dsn: str, role: str) -> str:
    return dsn.replace("postgres@", f"{role}@")


def stored(dsn: str) -> list[tuple[str, ...]]:
    db = psycopg2.connect(dsn)
    with db.cursor() as cursor:
        cursor.execute("SELECT host, program, pid, message FROM log_entries ORDER BY id")
        rows = cursor.fetchall()
    db.close()
    return rows


def count(dsn: str) -> int:
    db = psycopg2.connect(dsn)
    with db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM log_entries")
        (found,) = cursor.fetchone() or (0,)
    db.close()
    return int(found)


def line(host: str, program: str, pid: str, message: bytes, time: float, severity: int = 6) -> bytes:
    """One RFC 5424 line, as a forwarding rsyslog sends it."""
    return f"<{24 + severity}>1 {iso(time)} {host} {program} {pid or '-'} - - ".encode() + message


@pytest.fixture
def logs(own_postgres: PostgresServer) -> tuple[PostgresServer, str]:
    """A database with the shipped schema, and its address as the owner."""
    dsn = own_postgres.create_database()
    apply_schema(dsn)
    return own_postgres, dsn
