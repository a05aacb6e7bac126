"""What is done on a worker of a cluster: take an export, and read one share of it.

The machine that trains calls these functions (`trainer/cluster/reading.py`, `trainer/cluster/exports.py`). They answer with
values, and with a reason in words where something cannot be done: what they raise would be logged over there.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import pickle
import stat
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from shared.errors import PipitError
from trainer.cluster import stay as cluster_stay
from trainer.cluster.stay import LeftError, stay_in
from trainer.windows.gather import Gathered
from trainer.windows.reading import Share, Task, gather_all
from trainer.windows.source import Source


@dataclass(frozen=True)
class Offer:
    """An export as the machine that trains has it. path: absolute."""

    number: int
    path: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Order:
    """One share of one reading. paths: of the exports, at the worker."""

    folder: Path
    reading: int
    paths: tuple[Path, ...]
    start: float
    end: float
    task: Task
    share: Share


async def look(run: str, offers: tuple[Offer, ...], dask_worker: Any = None) -> tuple[Path, tuple[Path | None, ...]]:
    """The run's folder here, and where each export is: at the same path, or where it was sent to; None: not here."""
    folder = _folder(run, dask_worker)
    stay_in(folder)
    return folder, tuple(await asyncio.to_thread(lambda: [_found(folder, offer) for offer in offers]))


async def take(run: str, offer: Offer, at: int, piece: bytes, packed: bool, dask_worker: Any = None) -> str:
    """Keep the piece of an export that begins at byte `at`; the last one gives the file its name. A fault in words."""
    folder = _folder(run, dask_worker)
    stay_in(folder)
    return await asyncio.to_thread(_take, folder, offer, at, zlib.decompress(piece) if packed else piece)


def read_share(order: bytes) -> bytes:
    """A pickled order's share of the hosts, read: pickled Gathered, or the error that was raised on purpose, or None
    where nobody waits any more."""
    found: Gathered | PipitError | None
    try:
        found = _read(pickle.loads(order))  # noqa: S301  whoever reaches a worker may run any code on it anyway
    except LeftError:
        found = None
    except PipitError as error:
        found = error
    return pickle.dumps(found, protocol=5)


def renew(run: str, reading: int, dask_worker: Any = None) -> float:
    """The run still waits; how much of the reading's share has been read here, 0 to 1."""
    number, part = stay_in(_folder(run, dask_worker)).read
    return part if number == reading else 0.0


def stop(run: str, reading: int, dask_worker: Any = None) -> None:
    """Nobody waits for the shares of this reading."""
    stay_in(_folder(run, dask_worker)).stopped = reading


def leave(run: str, dask_worker: Any = None) -> None:
    """The run is over: forget it, and remove what it sent."""
    cluster_stay.leave(_folder(run, dask_worker))


def hash_of(path: Path) -> str:
    """SHA-256 of a file, in hex; kept as long as the file stays what it is. Raises OSError."""
    status = path.stat()
    return _hash(path, status.st_size, status.st_mtime_ns, status.st_ino)


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, changed_ns: int, number: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder(run: str, worker: Any) -> Path:
    """Beside the worker's own folder, so that all workers of a machine find what one of them was sent."""
    return Path(worker.local_directory).absolute().parent / f"pipit-{run}"


def _found(folder: Path, offer: Offer) -> Path | None:
    return next((path for path in (_place(folder, offer), offer.path) if _is(path, offer)), None)


def _is(path: Path, offer: Offer) -> bool:
    try:
        return path.is_file() and path.stat().st_size == offer.size and hash_of(path) == offer.sha256
    except OSError:  # somebody else's file, or one that goes away right now
        return False


def _place(folder: Path, offer: Offer) -> Path:
    return folder / str(offer.number) / offer.path.name


def _take(folder: Path, offer: Offer, at: int, piece: bytes) -> str:
    place = _place(folder, offer)
    part = place.with_name(place.name + ".part")
    try:
        _make_own(folder)
        place.parent.mkdir(mode=0o700, exist_ok=True)
        with open(part, "ab" if at else "wb", opener=_private) as file:
            if file.tell() != at:
                return f"{part} has {file.tell()} bytes where {at} were expected"
            end = at + file.write(piece)
        if end >= offer.size:
            part.rename(place)
            if not _is(place, offer):
                place.unlink()
                return f"{offer.path.name} has changed while it was sent; train on a file that nobody writes to"
    except OSError as error:
        return f"{place.parent} cannot be written: {error.strerror}"
    return ""


def _make_own(folder: Path) -> None:
    """Make the run's folder, for this user alone. Raises OSError: it is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise PermissionError(1, "it belongs to somebody else")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def _read(order: Order) -> Gathered:
    stay, number = stay_in(order.folder), order.reading
    stay.check(number)
    source = Source(order.paths, order.start, order.end, lambda: stay.check(number))

    def told(part: float) -> None:
        stay.read = (number, part)

    return gather_all(source.rows(counting=True, told=told), order.task, order.share)
