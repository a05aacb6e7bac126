"""A real rsyslogd under the configurations of deploy/rsyslog, with the addresses of a test put in."""

from __future__ import annotations

import fcntl
import re
import socket
import sys
import termios
from collections.abc import Iterable
from pathlib import Path

from tests.services import MissingPartError, Part, Server, find, free_port, version_of, wait_until

RSYSLOG = Path(__file__).resolve().parent.parent / "deploy" / "rsyslog"
MODULES = ("/usr/lib/*/rsyslog/ompgsql.so", "/usr/lib64/rsyslog/ompgsql.so", "/usr/lib/rsyslog/ompgsql.so")


def find_rsyslog() -> Part:
    """rsyslogd with its PostgreSQL output. Raises MissingPartError."""
    part = find("rsyslog", "rsyslogd", "rsyslog rsyslog-pgsql", "-v")
    if not any(list(Path("/").glob(pattern.lstrip("/"))) for pattern in MODULES):
        raise MissingPartError("rsyslog: its PostgreSQL output is missing (Debian: apt install rsyslog-pgsql)")
    return Part(part.name, part.program, version_of(part.program, "-v"), part.how)


class RsyslogServer(Server):
    """rsyslogd as it is deployed: the shipped file behind the few lines that Debian's rsyslog.conf puts before it."""

    name = "rsyslog"

    def __init__(self, part: Part, shipped: str, changes: dict[str, str]) -> None:
        """`changes`: regular expression → text, each of which must be found in the shipped file."""
        super().__init__(part)
        self.socket = self.folder / "log.sock"
        text = (RSYSLOG / shipped).read_text()
        for pattern, replacement in {
            **changes,
            r'port="514" ruleset': f'address="127.0.0.1" port="{self.port}" ruleset',
        }.items():
            text, found = re.subn(pattern, lambda _, to=replacement: to, text)  # type: ignore[misc]
            assert found or "ruleset" in pattern, f"{shipped} has no {pattern}"
        (self.folder / "work").mkdir()
        before = f'module(load="imuxsock" SysSock.Use="off")\ninput(type="imuxsock" Socket="{self.socket}" CreatePath="on")\n'
        (self.folder / "rsyslog.conf").write_text(f"$WorkDirectory {self.folder}/work\n{before}{text}")

    def command(self) -> list[str]:
        """In the foreground, with a pid file of its own."""
        return [str(self.part.program), "-n", "-f", f"{self.folder}/rsyslog.conf", "-i", f"{self.folder}/pid"]

    def ready(self) -> bool:
        """The local socket is the last input that opens."""
        return self.socket.exists() and super().ready() if "imtcp" in self._config() else self.socket.exists()

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
        return sum(path.stat().st_size for path in (self.folder / "work").iterdir())

    def _config(self) -> str:
        return (self.folder / "rsyslog.conf").read_text()


def _unread(out: socket.socket) -> int:
    """Bytes that were sent and nobody has received."""
    return int.from_bytes(fcntl.ioctl(out, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def to_database(part: Part, dsn: str) -> RsyslogServer:
    """The collector, writing to a test's database."""
    return RsyslogServer(
        part,
        "pipit-postgres.conf",
        {r'conninfo="[^"]*"': f'conninfo="{dsn}"', r'resumeInterval="5"': 'resumeInterval="1"'},
    )


def forwarder(part: Part, collector: RsyslogServer) -> RsyslogServer:
    """A Pi that sends its log to the collector."""
    changes = {
        r'target="collector.lan" port="514"': f'target="127.0.0.1" port="{collector.port}"',
        r'resumeInterval="5"': 'resumeInterval="1"',
    }
    return RsyslogServer(part, "pipit-forward.conf", changes)


__all__ = ["RSYSLOG", "RsyslogServer", "find_rsyslog", "forwarder", "free_port", "to_database"]
