"""Redis may refuse, hang, answer nonsense or vanish; the daemon shows its status again when it is back."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest
import redis

from inference.live import RECENT, RECENT_KEPT, TIMEOUT_S, Live, check_url, status_key
from shared.errors import ConfigError
from tests.services import RedisServer, free_port, port_answers, wait_until

MODEL = "wifi_20250607_230000"


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_status_is_a_hash_and_anomalies_a_capped_list(redis_server: RedisServer) -> None:
    client = redis.Redis.from_url(redis_server.url, decode_responses=True)
    live = Live(redis_server.url)
    assert live.publish({MODEL: {"is_running": True, "capabilities": ["a"], "description": "wïfi\r\n$5"}}, [{"n": 0}])
    status = client.hgetall(status_key(MODEL))
    assert status == {"is_running": "true", "capabilities": '["a"]', "description": "wïfi\r\n$5"}
    assert 0 < client.ttl(status_key(MODEL)) <= 600
    live.publish({}, [{"n": n} for n in range(1, RECENT_KEPT + 50)])
    newest = client.lrange(RECENT, 0, -1)
    assert len(newest) == RECENT_KEPT
    assert json.loads(newest[0]) == {"n": RECENT_KEPT + 49}
    assert live.forget([MODEL])
    assert not client.exists(status_key(MODEL))
    live.close()


def test_a_redis_that_is_killed_costs_one_try_and_is_found_again(own_redis: RedisServer) -> None:
    clock = Clock()
    live = Live(own_redis.url, clock)
    assert live.publish({MODEL: {"n": 1}})
    own_redis.stop()
    assert not live.publish({MODEL: {"n": 2}})
    assert live.error is not None
    own_redis.start()
    assert not live.publish({MODEL: {"n": 3}}), "it is left alone for a while"
    clock.now += 400
    assert live.publish({MODEL: {"n": 4}})
    assert live.error is None
    live.close()


@pytest.mark.parametrize(
    "answer", [None, b"", b"$99999999999\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR no\r\n", b"$x\r\n"]
)
def test_a_silent_or_babbling_server_delays_by_its_timeout_at_most(answer: bytes | None) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    kept: list[socket.socket] = []

    def serve() -> None:
        connection, _ = server.accept()
        kept.append(connection)
        if answer is not None:
            connection.recv(100)
            connection.sendall(answer * 3)
            connection.shutdown(socket.SHUT_RDWR)

    threading.Thread(target=serve, daemon=True).start()
    live = Live(f"redis://127.0.0.1:{server.getsockname()[1]}")
    began = time.monotonic()
    live.publish({MODEL: {"n": 1}})
    assert time.monotonic() - began < 4 * TIMEOUT_S
    assert live.error is not None
    live.close()
    server.close()


def test_a_password_is_sent_and_never_shown(own_redis: RedisServer) -> None:
    client = redis.Redis.from_url(own_redis.url)
    client.config_set("requirepass", "s3cret")
    address = own_redis.url.removeprefix("redis://")
    wrong = Live(f"redis://:wr0ng@{address}")
    assert not wrong.publish({MODEL: {"n": 1}})
    assert "wr0ng" not in str(wrong.error)
    right = Live(f"redis://:s3cret@{address.rstrip('/')}/2" if "/" not in address else f"redis://:s3cret@{address}")
    assert right.publish({MODEL: {"n": 1}})
    right.close()


def test_nothing_listens(own_redis: RedisServer) -> None:
    port = free_port()
    live = Live(f"redis://127.0.0.1:{port}")
    assert not live.publish({MODEL: {"n": 1}})
    wait_until(lambda: not port_answers(port), "nothing to listen")


def test_without_a_url_nothing_is_shown() -> None:
    assert not Live("").publish({MODEL: {"n": 1}})


def test_a_wrong_url_is_refused_without_showing_it() -> None:
    for url in ("http://x", "redis://h:port/0", "hunter2"):
        with pytest.raises(ConfigError) as error:
            check_url(url)
        assert url not in str(error.value)
