"""A Remote over SFTP: keys, pinned host key, one connection, and a server that may know less than OpenSSH's.

Facts that shape this (OpenSSH 9.2, paramiko 5.1): a cut during an upload raises EOFError; a connection that carries
nothing any more hangs for ever without a channel timeout; unpipelined writes meet Nagle's algorithm, hence our own
socket; fsync and statvfs are extensions that paramiko does not name.
"""

from __future__ import annotations

import contextlib
import posixpath
import socket
import stat
import struct
from collections.abc import Iterator
from typing import Any

import paramiko
from paramiko.sftp import CMD_EXTENDED, CMD_EXTENDED_REPLY, SFTPError

from shared.errors import ShipError
from trainer.remote import Progress, no_progress
from trainer.shipping import logins
from trainer.targets import Target

_CHUNK = 32 * 1024
_KEEPALIVE_S = 15
_GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")


class SftpRemote:
    """An inbox behind an SFTP server. `can_sync` turns False when the server cannot make writes durable."""

    def __init__(self, target: Target, timeout_s: float = 20.0) -> None:
        self.target = target
        self.can_sync = True
        self._client = _connect(target, timeout_s)
        try:
            with self._talk("open"):
                self._sftp = self._client.open_sftp()
                channel: Any = self._sftp.get_channel()  # there is one: it was opened just now
                channel.settimeout(timeout_s)
        except BaseException:
            self._client.close()
            raise

    def make_folder(self, path: str) -> None:
        with self._talk(path):
            try:
                self._sftp.mkdir(self._at(path))
            except OSError:
                if not stat.S_ISDIR(self._sftp.lstat(self._at(path)).st_mode or 0):
                    raise

    def write_new(self, path: str, data: bytes, progress: Progress = no_progress) -> None:
        with self._talk(path):
            with self._sftp.open(self._at(path), "wx") as file:
                file.set_pipelined(True)
                for start in range(0, len(data), _CHUNK):
                    chunk = data[start : start + _CHUNK]
                    file.write(chunk)
                    progress(len(chunk))
                self._sync(file)
            size = self._sftp.stat(self._at(path)).st_size
        if size != len(data):  # pipelined writes do not say what failed
            free = self.free_bytes()
            raise ShipError(
                f"ship: {path}: only {size} of {len(data)} bytes arrived on {self.target.name}; free space "
                f"there: {'unknown' if free is None else f'{free} bytes'}",
                "io",
            )

    def sync_folder(self, path: str) -> None:
        if not self.can_sync:
            return
        with self._talk(path):
            try:
                file = self._sftp.open(self._at(path), "r")
            except OSError:
                return  # not every server opens a folder for this
            with file:
                self._sync(file)

    def rename(self, old: str, new: str) -> None:
        with self._talk(new):
            self._sftp.posix_rename(self._at(old), self._at(new))

    def make_link(self, target: str, path: str) -> None:
        """Servers disagree about the order of the two arguments, so the link is read back."""
        with self._talk(path):
            link = self._at(path)
            self._sftp.symlink(target, link)
            if self._says(link) == target:
                return
            if self._says(target) == link:  # made the wrong way round: in the login folder, pointing at us
                self._sftp.remove(target)
            self._sftp.symlink(link, target)
            if self._says(link) != target:
                raise ShipError(f"ship: {self.target.name} does not make symbolic links as asked", "link")

    def read(self, path: str, limit: int) -> bytes | None:
        with self._talk(path):
            try:
                with self._sftp.open(self._at(path), "r") as file:
                    return bytes(file.read(limit))
            except FileNotFoundError:
                return None

    def read_link(self, path: str) -> str | None:
        with self._talk(path):
            return self._says(self._at(path))

    def names(self, path: str) -> list[tuple[str, float]]:
        with self._talk(path):
            try:
                return sorted((entry.filename, float(entry.st_mtime or 0)) for entry in self._entries(path))
            except FileNotFoundError:
                return []

    def remove(self, path: str) -> None:
        with self._talk(path), contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(self._sftp.lstat(self._at(path)).st_mode or 0):
                for entry in self._entries(path):
                    self._sftp.remove(posixpath.join(self._at(path), entry.filename))
                self._sftp.rmdir(self._at(path))
            else:
                self._sftp.remove(self._at(path))

    def free_bytes(self) -> int | None:
        with self._talk("."):
            try:
                kind, message = self._extended("statvfs@openssh.com", self._at("."))
            except OSError:
                return None
            if kind != CMD_EXTENDED_REPLY:
                return None
            fields = struct.unpack(">11Q", message.get_bytes(88))
            return int(fields[1] * fields[4])  # fragment size × free blocks for us

    def close(self) -> None:
        self._client.close()

    def _at(self, path: str) -> str:
        return posixpath.normpath(posixpath.join(self.target.inbox, path))

    def _says(self, link: str) -> str | None:
        try:
            return self._sftp.readlink(link)
        except OSError:
            return None

    def _entries(self, path: str) -> list[paramiko.SFTPAttributes]:
        return [e for e in self._sftp.listdir_attr(self._at(path)) if e.filename not in (".", "..")]

    def _extended(self, name: str, argument: Any) -> Any:
        """An extension that paramiko has no method for."""
        client: Any = self._sftp
        return client._request(CMD_EXTENDED, name, argument)

    def _sync(self, file: paramiko.SFTPFile) -> None:
        if self.can_sync:
            try:
                self._extended("fsync@openssh.com", file.handle)
            except OSError as error:
                if "unsupported" not in str(error).lower() and "not supported" not in str(error).lower():
                    raise
                self.can_sync = False

    @contextlib.contextmanager
    def _talk(self, path: str) -> Iterator[None]:
        """Say what went wrong on the far side, and whether anybody can know what became of it."""
        name = self.target.name
        try:
            yield
        except (EOFError, TimeoutError, ConnectionError, paramiko.SSHException, struct.error) as cause:
            raise ShipError(
                f"ship: the connection to {name} broke at {path} ({_why(cause)})", "offline", True
            ) from cause
        except (SFTPError, UnicodeDecodeError) as cause:
            raise ShipError(
                f"ship: {name} answers what cannot be read at {path} ({_why(cause)})", "offline", True
            ) from cause
        except OSError as cause:
            if "closed" in str(cause).lower():
                raise ShipError(f"ship: the connection to {name} was closed at {path}", "offline", True) from cause
            said = cause.strerror or str(cause) or "failure"
            raise ShipError(
                f"ship: {name} refuses {path}: {said}; check the inbox's owner, permissions and free space", "io"
            ) from cause


def _connect(target: Target, timeout_s: float) -> paramiko.SSHClient:
    """Log in. The host's key must be the one in the known hosts file; nothing is learnt on the way."""
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    _load_known_hosts(client, target)
    _check_identity(target)
    where = f"{target.host}:{target.port}"
    raw = None
    try:
        raw = socket.create_connection((target.host, target.port), timeout_s)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect(
            target.host,
            target.port,
            target.user,
            sock=raw,
            timeout=timeout_s,
            banner_timeout=timeout_s,
            auth_timeout=timeout_s,
            key_filename=str(target.identity) if target.identity else None,
            look_for_keys=False,
            allow_agent=target.identity is None,
            transport_factory=_transport,
        )
        transport: Any = client.get_transport()  # there is one: it was connected just now
        transport.set_keepalive(_KEEPALIVE_S)
        return client
    except paramiko.BadHostKeyException as cause:
        error = logins.changed_host_key(target, cause.key.fingerprint, cause.expected_key.fingerprint)
        error.__cause__ = cause
    except paramiko.AuthenticationException as cause:
        error = logins.not_let_in(target, cause)
        error.__cause__ = cause
    except paramiko.SSHException as cause:
        error = (
            logins.unknown_host_key(target)
            if "known_hosts" in str(cause)
            else ShipError(f"ship: {target.name} ({where}) does not speak SSH with us ({_why(cause)})", "offline", True)
        )
        error.__cause__ = cause
    except (OSError, EOFError) as cause:
        error = ShipError(f"ship: {target.name} ({where}) cannot be reached ({_why(cause)})", "offline", True)
        error.__cause__ = cause
    client.close()
    if raw is not None:
        raw.close()
    raise error


def _load_known_hosts(client: paramiko.SSHClient, target: Target) -> None:
    try:
        if target.known_hosts is not None:
            client.load_host_keys(str(target.known_hosts))
        else:
            client.load_system_host_keys()
    except (OSError, ValueError, paramiko.SSHException, paramiko.hostkeys.InvalidHostKey) as cause:
        raise logins.unreadable_known_hosts(target, cause) from cause


def _check_identity(target: Target) -> None:
    """A key that is none is said before anybody is called; else it would look like a Pi that is offline."""
    if target.identity is None:
        return
    try:
        paramiko.PKey.from_path(target.identity)
    except (OSError, ValueError, TypeError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as cause:
        raise logins.unusable_identity(target, cause) from cause


def _transport(sock: Any, **options: Any) -> paramiko.Transport:
    transport = paramiko.Transport(sock, **options)
    security = transport.get_security_options()
    fast = tuple(name for name in _GCM if name in security.ciphers)
    security.ciphers = fast + tuple(name for name in security.ciphers if name not in fast)
    return transport


def _why(cause: BaseException) -> str:
    return str(cause) or type(cause).__name__
