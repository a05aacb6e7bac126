"""What a database or Redis says comes with what to do about it, in the page, the log and `check` alike."""

from __future__ import annotations

import pytest

from inference.cures import DATABASE, REDIS, cured
from inference.sources.columns import find_columns


@pytest.mark.parametrize(
    ("said", "do"),
    [
        ('FATAL: password authentication failed for user "pi"', "correct user and password"),
        ("fe_sendauth: no password supplied", "correct user and password"),
        ('FATAL: database "nope" does not exist', "correct the database's name"),
        ("permission denied for table log_entries", "GRANT SELECT"),
        ("permission denied for schema logs", "GRANT USAGE ON SCHEMA"),
        ('FATAL: no pg_hba.conf entry for host "10.0.0.7", user "pi", database "logs", no encryption', "pg_hba.conf"),
        (
            'root certificate file "/root/.postgresql/root.crt" does not exist Either provide the file',
            "sslrootcert=FILE",
        ),
        ("SSL error: certificate verify failed", "authority that signed"),
        ('server certificate for "db.lan" does not match host name "10.0.0.7"', "as its certificate does"),
        ("server does not support SSL, but SSL was required", "switch TLS on"),
        ('could not translate host name "no.such.host" to address: Name or service not known', "DNS"),
        ("Connection refused Is the server running on that host?", "listen_addresses"),
        ("no answer within 5 s", "listen_addresses"),
        ("canceling statement due to statement timeout", "an index is missing"),
        ("FATAL: sorry, too many clients already", "max_connections"),
    ],
)
def test_what_a_database_says_comes_with_a_cure(said: str, do: str) -> None:
    text, _, cure = cured(said, DATABASE).partition("; ")
    assert text == said
    assert do in cure


@pytest.mark.parametrize(
    ("said", "do"),
    [
        ("NOAUTH Authentication required.", "redis://USER:PASSWORD@"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "redis://USER:PASSWORD@"),
        ("NOPERM this user has no permissions to run the 'hset' command", "HSET"),
        ("connect redis.lan: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "SSL_CERT_FILE"),
        ("connect redis.lan: [SSL] record layer failure (_ssl.c:1006)", "speaks no TLS"),
        ("the connection was closed", "rediss://"),
        ("no answer: [Errno 104] Connection reset by peer", "rediss://"),
        ("connect 127.0.0.1: _ssl.c:989: The handshake operation timed out", "speaks no TLS"),
        (
            "[SSL: CERTIFICATE_VERIFY_FAILED] verify failed: IP address mismatch, certificate is not valid",
            "name the host",
        ),
        ("ERR DB index is out of range", "number of the database"),
        ("connect 127.0.0.1: [Errno 111] Connection refused", "start Redis"),
        ("READONLY You can't write against a read only replica.", "master"),
    ],
)
def test_what_redis_says_comes_with_a_cure(said: str, do: str) -> None:
    assert do in cured(said, REDIS)


def test_what_nobody_knows_is_left_as_it_is() -> None:
    assert cured("the moon is full", DATABASE) == "the moon is full"


def test_an_id_that_does_not_grow_yields_to_a_column_that_does() -> None:
    rest = {"timestamp": "date", "program": "text", "message": "text"}
    assert find_columns({"id": "uuid", "seq": "bigint", **rest}, {}, "t")["id"] == "seq"
    assert find_columns({"id": "uuid", **rest}, {}, "t")["id"] == "id"
    assert find_columns({"Log_ID": "integer", **rest}, {}, "t")["id"] == "Log_ID"
    assert find_columns({"id": "integer", "seq": "bigint", **rest}, {}, "t")["id"] == "id"
