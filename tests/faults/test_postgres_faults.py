"""A database that hangs, goes away or comes back: an error in time, nothing lost, no hanging daemon."""

from __future__ import annotations

import socket
import threading
import time

import psycopg2
import pytest

from inference.postgres import PostgresSource
from inference.source import Cursor
from shared.errors import SourceError
from tests.contracts.test_sources import Table, line, read_all
from tests.postgres_server import PostgresServer


class Hole:
    """A proxy to a server that can begin to acknowledge everything and carry nothing."""

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.open = threading.Event()
        self.open.set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self.open.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def close(self) -> None:
        self.open.set()
        self.listener.close()


def through(dsn: str, port: int) -> str:
    parts = psycopg2.extensions.parse_dsn(dsn)
    return psycopg2.extensions.make_dsn(**{**parts, "host": "127.0.0.1", "port": str(port)})


def test_a_peer_that_acknowledges_and_never_answers_is_given_up_in_time(postgres: PostgresServer) -> None:
    table = Table("postgres", postgres.create_database())
    table.insert(line())
    parts = psycopg2.extensions.parse_dsn(table.place)
    hole = Hole(parts["host"], int(parts["port"]))
    source = PostgresSource(through(table.place, hole.port), query_timeout_s=0.3)
    rows, cursor = read_all(source, Cursor(0, 0))
    assert len(rows) == 1
    hole.open.clear()
    table.insert(line(1))
    began = time.monotonic()
    with pytest.raises(SourceError, match="no answer within"):
        source.fetch(cursor, ["hostapd"])
    assert time.monotonic() - began < 4
    hole.open.set()
    assert [row[0] for row in read_all(source, cursor)[0]] == [2]
    source.close()
    hole.close()


def test_a_query_that_takes_too_long_ends_by_the_servers_own_timeout(postgres: PostgresServer) -> None:
    table = Table("postgres", postgres.create_database())
    source = PostgresSource(table.place, query_timeout_s=0.3)
    source.head()
    locker = psycopg2.connect(table.place)
    locker.cursor().execute("LOCK TABLE log_entries IN ACCESS EXCLUSIVE MODE")
    with pytest.raises(SourceError, match="statement timeout"):
        source.fetch(Cursor(0, 0), ["hostapd"])
    locker.rollback()
    locker.close()
    assert source.fetch(Cursor(0, 0), ["hostapd"]).drained
    source.close()


def test_a_restarted_database_is_found_again_and_nothing_is_lost(own_postgres: PostgresServer) -> None:
    table = Table("postgres", own_postgres.create_database())
    table.insert(line(), line(1))
    source = PostgresSource(table.place)
    rows, cursor = read_all(source, Cursor(0, 0))
    own_postgres.stop()
    for _ in range(2):
        with pytest.raises(SourceError):
            source.fetch(cursor, ["hostapd"])
    own_postgres.start()
    table.insert(line(2))
    more, _ = read_all(source, cursor)
    assert [row[0] for row in rows + more] == [1, 2, 3]
    source.close()


def test_a_connection_that_the_server_ends_costs_one_error(postgres: PostgresServer) -> None:
    table = Table("postgres", postgres.create_database())
    source = PostgresSource(table.place)
    source.head()
    killer = psycopg2.connect(table.place)
    killer.autocommit = True
    killer.cursor().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pipit-inference'"
    )
    killer.close()
    with pytest.raises(SourceError):
        source.head()
    assert source.head().max_id == 0
    source.close()


def test_a_wait_for_a_database_that_does_not_answer_ends_when_somebody_wants_something_else() -> None:
    class EnoughError(Exception):
        pass

    def look_up() -> None:
        raise EnoughError

    with socket.create_server(("127.0.0.1", 0)) as silent:  # it accepts and says nothing
        url = f"postgresql://pi@127.0.0.1:{silent.getsockname()[1]}/logs"
        source = PostgresSource(url, query_timeout_s=600.0, on_wait=look_up)
        with pytest.raises(EnoughError):
            source.head()
        assert source._connection is None, "half an answer is of no use to the next question"
