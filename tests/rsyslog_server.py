"""A real rsyslogd under the configurations of deploy/rsyslog, with the addresses of a test put in."""

from __future__ import annotations

import contextlib
import fcntl
import re
import socket
import sys
import termios
from collections.abc import Iterable
from pathlib import Path

from tests.services import MissingPartError, Part, Server, find, free_port, version_of, wait_until

RSYSLOG = Path(__file__).resolve().parent.parent / "deploy" / "rsyslog"
FOLDERS = ("usr/lib/*/rsyslog", "usr/lib64/rsyslog", "usr/lib/rsyslog")
MODULES = {"ompgsql": "PostgreSQL output", "imrelp": "RELP input", "omrelp": "RELP output"}
PACKAGES = {"ompgsql": "rsyslog-pgsql", "imrelp": "rsyslog-relp", "omrelp": "rsyslog-relp"}


def find_rsyslog(*modules: str) -> Part:
    """rsyslogd with its PostgreSQL output and the named modules. Raises MissingPartError."""
    needed = ["ompgsql", *modules]
    part = find("rsyslog", "rsyslogd", " ".join(dict.fromkeys(["rsyslog", *map(PACKAGES.__getitem__, needed)])), "-v")
    for module in needed:
        if not any(list(Path("/").glob(f"{folder}/{module}.so")) for folder in FOLDERS):
            install = PACKAGES[module]
            raise MissingPartError(f"rsyslog: its {MODULES[module]} is missing (Debian: apt install {install})")
    return Part(part.name, part.program, version_of(part.program, "-v"), part.how)


def find_relp() -> Part:
    """rsyslogd that speaks RELP on both sides. Raises MissingPartError."""
    part = find_rsyslog("imrelp", "omrelp")
    return Part("rsyslog-relp", part.program, part.version, part.how)


class RsyslogServer(Server):
    """rsyslogd as it is deployed: the shipped files behind the few lines that Debian's rsyslog.conf puts before them."""

    name = "rsyslog"

    def __init__(self, part: Part, shipped: list[str], changes: dict[str, str]) -> None:
        """`changes`: regular expression → text, each of which must be found in the shipped files."""
        super().__init__(part)
        self.socket = self.folder / "log.sock"
        self.relp_port = free_port()
        text = "".join((RSYSLOG / name).read_text() for name in shipped)
        for pattern, replacement in {
            **changes,
            r'port="514" ruleset': f'address="127.0.0.1" port="{self.port}" ruleset',
            r'port="2514" ruleset': f'address="127.0.0.1" port="{self.relp_port}" ruleset',
        }.items():
            text, found = re.subn(pattern, lambda _, to=replacement: to, text)  # type: ignore[misc]
            assert found or "ruleset" in pattern, f"{shipped} have no {pattern}"
        (self.folder / "work").mkdir()
        before = f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{self.socket}" CreatePath="on")\n'
        (self.folder / "rsyslog.conf").write_text(f"$WorkDirectory {self.folder}/work\n{before}{text}")

    def command(self) -> list[str]:
        """In the foreground, with a pid file of its own."""
        return [str(self.part.program), "-n", "-f", f"{self.folder}/rsyslog.conf", "-i", f"{self.folder}/pid"]

    def ready(self) -> bool:
        """The local socket is the last input that opens."""
        return self.socket.exists() and super().ready() if "imtcp" in self._config() else self.socket.exists()

    def kill(self) -> None:
        """End it as a crash does: nothing is saved, nobody is told."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None
        self.socket.unlink()  # systemd would keep it open; here it would only look as if somebody listened

    def send_tcp(self, lines: Iterable[bytes]) -> None:
        """Lines over one TCP connection, each ended by a newline; returns when rsyslogd has taken all of them."""
        with socket.create_connection((self.host, self.port), timeout=30) as out:
            out.sendall(b"".join(line + b"\n" for line in lines))
            out.shutdown(socket.SHUT_WR)
            assert out.recv(1) == b"", "rsyslogd closes when it has read to the end"

    def send_local(self, lines: Iterable[bytes]) -> None:
        """Lines as a program on the same machine logs them; returns when rsyslogd has read the last."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.connect(str(self.socket))
            for line in lines:
                out.send(line)
            wait_until(lambda: _unread(out) == 0, "rsyslogd to read its socket")

    def queued_on_disk(self) -> int:
        """Bytes that wait in the work folder."""
        sizes = []
        for path in (self.folder / "work").iterdir():
            with contextlib.suppress(FileNotFoundError):  # rsyslogd has just renamed it
                sizes.append(path.stat().st_size)
        return sum(sizes)

    def _config(self) -> str:
        return (self.folder / "rsyslog.conf").read_text()


def _unread(out: socket.socket) -> int:
    """Bytes that were sent and nobody has received."""
    return int.from_bytes(fcntl.ioctl(out, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def to_database(part: Part, dsn: str, *, relp: bool = False, patience_ms: int = 5000) -> RsyslogServer:
    """The collector, writing to a test's database; `relp`: with its ear for RELP; `patience_ms`: as in `forwarder`."""
    changes = {
        r'conninfo="[^"]*"': f'conninfo="{dsn}"',
        r'resumeInterval="5"': 'resumeInterval="1"',
        r'timeoutShutdown="5000"': f'timeoutShutdown="{patience_ms}"',
    }
    return RsyslogServer(part, ["pipit-postgres.conf", *(["pipit-relp.conf"] if relp else [])], changes)


def forwarder(part: Part, collector: RsyslogServer, patience_ms: int = 5000) -> RsyslogServer:
    """A Pi that sends its log to the collector over RELP; `patience_ms`: how long its stop waits for what is under way."""
    changes = {r'timeoutShutdown="5000"': f'timeoutShutdown="{patience_ms}"'}
    return _sender(part, collector, "pipit-forward.conf", 'port="2514"', collector.relp_port, changes)


def tcp_forwarder(part: Part, collector: RsyslogServer) -> RsyslogServer:
    """A Debian host that sends its log to the collector over plain TCP."""
    return _sender(part, collector, "pipit-forward-tcp.conf", 'port="514"', collector.port, {})


def _sender(
    part: Part, collector: RsyslogServer, shipped: str, shown: str, port: int, more: dict[str, str]
) -> RsyslogServer:
    changes = {
        **more,
        f'target="collector.lan" {shown}': f'target="127.0.0.1" port="{port}"',
        r'resumeInterval="5"': 'resumeInterval="1"',
    }
    return RsyslogServer(part, [shipped], changes)


__all__ = ["RSYSLOG", "RsyslogServer", "find_relp", "find_rsyslog", "forwarder", "tcp_forwarder", "to_database"]
