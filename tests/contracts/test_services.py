"""The real servers that other tests stand on really are what they say."""

from __future__ import annotations

import os
from pathlib import Path

import paramiko
import psycopg2
import pytest
import redis

from tests.asyncssh_server import PackagedSftpServer, find_asyncssh
from tests.postgres_server import PostgresServer
from tests.services import RedisServer, running
from tests.sshd_server import SshdServer


def login(server: SshdServer) -> paramiko.SSHClient:
    client = paramiko.SSHClient()
    client.load_host_keys(str(server.known_hosts))
    client.connect(server.host, server.port, server.user, key_filename=str(server.identity), look_for_keys=False)
    return client


def test_each_database_of_the_real_postgres_is_new(postgres: PostgresServer) -> None:
    first, second = postgres.create_database(), postgres.create_database()
    assert first != second
    with psycopg2.connect(first) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        assert cursor.fetchone() == (0,)


def test_a_postgres_of_ones_own_comes_back_with_its_data(own_postgres: PostgresServer) -> None:
    dsn = own_postgres.create_database()
    own_postgres.stop()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(dsn)
    own_postgres.start()
    psycopg2.connect(dsn).close()


def test_the_real_redis_answers(redis_server: RedisServer) -> None:
    assert redis.Redis.from_url(redis_server.url).ping()


def test_the_sftp_user_writes_the_inbox_and_sees_the_receipts(sshd: SshdServer) -> None:
    (sshd.receipts / "one.json").write_text("{}")
    with login(sshd) as client, client.open_sftp() as sftp:
        assert sorted(sftp.listdir(".")) == ["inbox", "receipts"]
        with sftp.open("inbox/hello", "wx") as remote:
            remote.write("hello")
        with sftp.open("receipts/one.json") as receipt:
            assert receipt.read() == b"{}"
    assert (sshd.inbox / "hello").read_text() == "hello"


def test_the_chroot_holds_and_there_is_no_shell(sshd: SshdServer) -> None:
    if sshd.mode != "chroot":
        pytest.skip("the chroot needs root and mount namespaces")
    with login(sshd) as client, client.open_sftp() as sftp:
        with pytest.raises(OSError, match="No such file"):
            sftp.stat("../../etc/passwd")
        with pytest.raises(OSError, match="ermission"):
            sftp.open("receipts/forged.json", "wx")
        _, out, _ = client.exec_command("id")
        assert b"uid=" not in out.read()
    assert not Path("/etc/passwd").read_text().count("pipit:x:2001"), "the user must not exist outside the namespace"


def test_the_sftp_server_of_the_package_keeps_links_as_they_were_written() -> None:
    with running(PackagedSftpServer(find_asyncssh())) as server, login(server) as client, client.open_sftp() as sftp:
        sftp.symlink("20260101_000000", "inbox/new")
        sftp.posix_rename("inbox/new", "inbox/active")
        assert sftp.readlink("inbox/active") == "20260101_000000"
        assert os.readlink(server.inbox / "active") == "20260101_000000"
        with pytest.raises(OSError, match="No such file"):
            sftp.stat("../../etc/passwd")
