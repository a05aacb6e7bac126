"""Live status and recent anomalies in Redis: for dashboards, never needed, allowed to vanish at any time.

Speaks Redis' protocol itself over one socket, seven commands long: the `redis` package costs the daemon 23 MB of memory
(measured: 72 MB against 49 MB with everything else loaded). Each exchange has 250 ms; after a failure Redis is left
alone for a while (1 s to 5 min), so that a slow or dead one never delays judging.
"""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from inference.cures import REDIS, cured
from inference.schedule import Backoff
from shared.errors import ConfigError

logger = logging.getLogger(__name__)

TIMEOUT_S = 0.25
RECENT = "mcp:anomalies:recent"
RECENT_KEPT = 200
STATUS_TTL_S = 600  # a daemon that died must not look alive for ever

Command = tuple[str | bytes | int | float, ...]


class RedisError(Exception):
    """Redis answered with an error, or not at all. Never leaves this module."""


class Live:
    """Where the daemon shows what it is doing; without a URL it shows nothing."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._breaker = Backoff(clock)
        self._connection: Connection | None = None
        self.error: str | None = None

    def publish(self, status: Mapping[str, Mapping[str, Any]], anomalies: Sequence[Mapping[str, Any]] = ()) -> bool:
        """Show the status of each model (by model id) and prepend new anomalies; whether Redis took it."""
        commands: list[Command] = []
        for model_id, facts in status.items():
            key = status_key(model_id)
            fields = [text for name, value in facts.items() for text in (name, _text(value))]
            commands += [("HSET", key, *fields), ("EXPIRE", key, STATUS_TTL_S)]
        if anomalies:
            commands += [
                ("LPUSH", RECENT, *(json.dumps(each) for each in anomalies)),
                ("LTRIM", RECENT, 0, RECENT_KEPT - 1),
            ]
        return self._send(commands)

    def forget(self, model_ids: Sequence[str]) -> bool:
        """Remove the status of models that no longer serve."""
        return self._send([("DEL", status_key(model_id)) for model_id in model_ids])

    def _send(self, commands: list[Command]) -> bool:
        if not self._url or not commands or not self._breaker.ready():
            return False
        try:
            if self._connection is None:
                self._connection = Connection(self._url)
            self._connection.send(commands)
        except RedisError as error:
            self.close()
            wait_s = self._breaker.failed()
            log = logger.warning if self.error is None else logger.debug
            self.error = cured(str(error), REDIS)
            log("redis does not take the live status error=%s retry_in_s=%.1f", self.error, wait_s)
            return False
        if self.error is not None:
            logger.info("redis takes the live status again")
        self.error = None
        self._breaker.succeeded()
        return True

    def close(self) -> None:
        """Let go of the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class Connection:
    """One socket that speaks RESP2; every method raises RedisError and is then to be closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        try:
            self._socket = _connect(url)
        except OSError as error:
            raise RedisError(f"connect {parts.hostname or parts.path}: {error}") from None
        self._reader = self._socket.makefile("rb")
        hello: list[Command] = []
        if parts.password:
            name = (unquote(parts.username),) if parts.username else ()
            hello.append(("AUTH", *name, unquote(parts.password)))
        if (database := parts.path.strip("/")) and parts.scheme != "unix":
            hello.append(("SELECT", database))
        try:
            self.send(hello)
        except RedisError:
            self.close()
            raise

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one go and read all their answers."""
        try:
            self._socket.sendall(b"".join(map(_encode, commands)))
            answers = [self._read() for _ in commands]
        except (OSError, ValueError) as error:
            raise RedisError(f"no answer: {error}") from None
        for answer in answers:
            if isinstance(answer, RedisError):
                raise answer
        return answers

    def _read(self) -> Any:
        line = self._reader.readline(65_536)
        if not line.endswith(b"\r\n"):
            raise RedisError("the connection was closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return RedisError(str(rest, "utf-8", "replace"))
        if kind not in b"+:":
            raise RedisError("the answer is not Redis'; is it another server?")  # nothing we send is answered by more
        return rest

    def close(self) -> None:
        """Close the socket."""
        self._reader.close()
        self._socket.close()


def status_key(model_id: str) -> str:
    """The key that holds a model's status."""
    return f"mcp:model:{model_id}:status"


def check_url(url: str) -> None:
    """Refuse what is not a Redis URL.

    Raises:
        ConfigError: the scheme or the port is wrong.
    """
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("redis", "rediss", "unix") and (parts.port or 1) > 0
    except ValueError:
        known = False
    if not known:
        raise ConfigError(
            "settings: INFERENCE_REDIS_URL is not redis://HOST:PORT/N, rediss://… or unix:///path (value not shown)"
        )


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        connected = socket.socket(socket.AF_UNIX)
        connected.settimeout(TIMEOUT_S)
        connected.connect(parts.path)
        return connected
    host, port = parts.hostname or "127.0.0.1", parts.port or 6379
    connected = socket.create_connection((host, port), timeout=TIMEOUT_S)
    if parts.scheme == "rediss":
        import ssl  # 3 MB that only users of TLS pay

        connected = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
    return connected


def _encode(command: Command) -> bytes:
    parts = [part if isinstance(part, bytes) else str(part).encode() for part in command]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
