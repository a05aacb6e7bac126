"""Run one admin site under gunicorn: one worker with four threads, so that memory stays small and its limits hold."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import socket
import time
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication

from shared.errors import ConfigError, RequestError
from shared.memory import one_arena
from shared.web.account import Account

logger = logging.getLogger(__name__)

THREADS = 4
REQUEST_TIMEOUT_S = 60


def serve(factory: str, bind: str, state_dir: Path, **options: Any) -> None:
    """Serve `module:function` until the process is told to end; `state_dir` and `options` are what it is called with.

    Until a password is set only this machine may connect; after that another address may be bound, with a warning.

    Raises:
        ConfigError: the address cannot be bound yet, or is not HOST:PORT.
        RequestError: another program has it, or this machine does not.
    """
    host, port = split_bind(bind)
    account = Account(state_dir, time.time)
    check_bind(host, port, account.has_password)
    check_free(host, port)
    token = account.setup_token()
    logger.info("serving the admin site address=http://%s:%d/%s", _shown(host), port, "setup" if token else "")
    _Gunicorn(factory, f"{_shown(host)}:{port}", {"state_dir": state_dir, **options}).run()


def reset_password(state_dir: Path) -> str:
    """Forget the administrator's password; returns the one-time token that lets somebody choose a new one."""
    return Account(state_dir, time.time).reset()


def split_bind(bind: str) -> tuple[str, int]:
    """`HOST:PORT` in its two parts; raises ConfigError for anything else."""
    host, separator, port = bind.rpartition(":")
    if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"bind address {bind!r} is not HOST:PORT, for example 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether an address is reachable from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_bind(host: str, port: int, has_password: bool) -> None:
    """Refuse an address of the network without a password; with one, warn that plain HTTP can be listened to."""
    if is_loopback(host):
        return
    tunnel = f"ssh -L {port}:127.0.0.1:{port} USER@THIS-MACHINE, then http://127.0.0.1:{port}/"
    if not has_password:
        raise ConfigError(
            f"bind {host}:{port}: no password is set yet, so only 127.0.0.1 may be bound. "
            f"Start on 127.0.0.1:{port}, set the password (from elsewhere: {tunnel}), then bind this address"
        )
    logger.warning(
        "plain HTTP on the network: whoever can listen there sees the password address=%s:%d safer=%s",
        host,
        port,
        tunnel,
    )


def check_free(host: str, port: int) -> None:
    """Refuse an address that cannot be had, in one line; gunicorn would try it five times and then give up."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as cause:
        raise RequestError(
            f"serve: {_shown(host)}:{port} cannot be had: {cause.strerror or cause}; "
            "is it being served already? Else choose another with --bind"
        ) from cause


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class _Gunicorn(BaseApplication):  # type: ignore[misc]  # the stubs leave the base untyped
    """gunicorn, embedded: settings from here only, never from files or the environment of somebody else."""

    def __init__(self, factory: str, bind: str, options: dict[str, Any]) -> None:
        self._factory, self._bind, self._options = factory, bind, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in {
            "bind": [self._bind],
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "timeout": REQUEST_TIMEOUT_S,
            "max_requests": 0,
            "preload_app": False,
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108  a heartbeat, no data
            "control_socket_disable": True,
            "limit_request_line": 4094,
            "limit_request_fields": 60,
            "accesslog": None,
            "errorlog": "-",
            "loglevel": "warning",
            "proc_name": "pipit-web",
        }.items():
            if name in self.cfg.settings:  # the control socket is known to newer releases only
                self.cfg.set(name, value)

    def load(self) -> Any:
        one_arena()
        module, _, function = self._factory.partition(":")
        app = getattr(importlib.import_module(module), function)(**self._options)
        for name in app.jinja_env.list_templates(extensions=["html"]):
            app.jinja_env.get_template(name)  # compiled before anybody waits for a page
        return app
