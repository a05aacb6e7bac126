"""The far side of shipping, as a small file system: what `ship` needs of a Pi's inbox and nothing more.

Paths are relative to the inbox, with `/`; `../receipts` is its sibling. The steps are this small so that a cut between
any two of them can be tested.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from shared.errors import ShipError

Progress = Callable[[int], None]  # is told how many more bytes have gone


def no_progress(_sent: int) -> None:
    """Nobody watches."""


class Remote(Protocol):
    """An inbox that a trainer may write.

    Every method raises ShipError: `unknown` where the connection went (the same call may be made again after
    connecting anew), otherwise the far side refused.
    """

    def make_folder(self, path: str) -> None:
        """Make one folder; it may exist already."""

    def write_new(self, path: str, data: bytes, progress: Progress = no_progress) -> None:
        """Create a file that must not exist yet, make its bytes durable, and compare its size."""

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder durable, where the server can."""

    def rename(self, old: str, new: str) -> None:
        """Rename; a file or link of the new name is replaced in the same step."""

    def make_link(self, target: str, path: str) -> None:
        """Make a symbolic link that says `target`, and see that it does."""

    def read(self, path: str, limit: int) -> bytes | None:
        """The first `limit` bytes of a file; None where there is none."""

    def read_link(self, path: str) -> str | None:
        """What a symbolic link says; None where there is no link."""

    def names(self, path: str) -> list[tuple[str, float]]:
        """Names in a folder and when each was changed; empty where there is no folder."""

    def remove(self, path: str) -> None:
        """Remove a file, a link, or a folder of files; nothing there is well too."""

    def free_bytes(self) -> int | None:
        """Free space for the inbox; None where the server does not say."""

    def close(self) -> None:
        """Let go of the connection."""


class LocalRemote:
    """An inbox on this machine: a folder, a USB stick, a test."""

    def __init__(self, inbox: Path) -> None:
        self.inbox = inbox

    def make_folder(self, path: str) -> None:
        with _refusals(path):
            (self.inbox / path).mkdir(exist_ok=True)

    def write_new(self, path: str, data: bytes, progress: Progress = no_progress) -> None:
        with _refusals(path):
            handle = os.open(self.inbox / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        progress(len(data))

    def sync_folder(self, path: str) -> None:
        with _refusals(path):
            handle = os.open(self.inbox / path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

    def rename(self, old: str, new: str) -> None:
        with _refusals(new):
            os.rename(self.inbox / old, self.inbox / new)

    def make_link(self, target: str, path: str) -> None:
        with _refusals(path):
            os.symlink(target, self.inbox / path)

    def read(self, path: str, limit: int) -> bytes | None:
        with _refusals(path):
            try:
                with open(self.inbox / path, "rb") as file:
                    return file.read(limit)
            except (FileNotFoundError, NotADirectoryError):
                return None

    def read_link(self, path: str) -> str | None:
        try:
            return os.readlink(self.inbox / path)
        except OSError:
            return None

    def names(self, path: str) -> list[tuple[str, float]]:
        with _refusals(path):
            try:
                with os.scandir(self.inbox / path) as entries:
                    return sorted((e.name, e.stat(follow_symlinks=False).st_mtime) for e in entries)
            except FileNotFoundError:
                return []

    def remove(self, path: str) -> None:
        with _refusals(path), contextlib.suppress(FileNotFoundError):
            place = self.inbox / path
            if stat.S_ISDIR(place.lstat().st_mode):
                shutil.rmtree(place)
            else:
                place.unlink()

    def free_bytes(self) -> int | None:
        with _refusals("."):
            found = os.statvfs(self.inbox)
            return found.f_bavail * found.f_frsize

    def close(self) -> None:
        pass


@contextlib.contextmanager
def _refusals(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        raise ShipError(f"ship: {path}: {cause.strerror or cause} on the target", "io") from cause
