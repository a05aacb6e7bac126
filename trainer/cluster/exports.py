"""The exports of a run at the workers of a cluster: where they are seen already, and sent where they are not.

One worker of each machine is sent to, and the others of the machine find it there. A few megabytes are on their way at a
time, whatever the size of the export.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from shared.errors import ExportError
from trainer.cluster.worker import Offer, hash_of, look, take

logger = logging.getLogger(__name__)
PIECE_BYTES = 4 << 20
GZIP = b"\x1f\x8b"


class Running(Protocol):
    """A call that a worker does by and by."""

    def done(self) -> bool:
        """Whether there is a result, or will never be one."""
        ...

    def result(self) -> Any:
        """What came of it; None: it did not arrive, as from a worker that went away. Raises TrainingError: it failed."""
        ...

    def cancel(self) -> None:
        """Nobody waits for it."""
        ...


class Engine(Protocol):
    """A cluster's scheduler and its workers, each known by its address. All methods raise TrainingError: it is gone."""

    address: str

    def workers(self) -> Mapping[str, str]:
        """Address → machine of every worker there is right now."""
        ...

    def ask(self, function: Callable[..., Any], *values: Any, workers: Iterable[str]) -> Mapping[str, Any]:
        """Call it on these workers at once, whatever they do besides; the answer of each, or what it raised."""
        ...

    def submit(self, function: Callable[..., Any], *values: Any, worker: str) -> Running:
        """Have a worker call it when its turn comes."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def offers_of(paths: Sequence[Path]) -> tuple[Offer, ...]:
    """The exports with size and hash. Raises ExportError: one cannot be read."""
    try:
        return tuple(
            Offer(number, path.absolute(), path.stat().st_size, hash_of(path)) for number, path in enumerate(paths)
        )
    except OSError as error:
        raise ExportError(f"reading {error.filename}: {error.strerror}; check the path") from error


class Exports:
    """Which workers have all exports. held: worker → (its folder of the run, where each export is)."""

    def __init__(self, engine: Engine, run: str, offers: tuple[Offer, ...]) -> None:
        self.held: dict[str, tuple[Path, tuple[Path, ...]]] = {}
        self.refused: dict[str, str] = {}  # worker → why it cannot take them
        self._engine, self._run, self._offers = engine, run, offers
        self._lacking: dict[str, tuple[Path | None, ...]] = {}
        self._sending: _Sending | None = None

    def look(self, workers: Iterable[str]) -> None:
        """Find out what workers have that were not looked at before."""
        new = [one for one in workers if one not in self.held and one not in self._lacking and one not in self.refused]
        if new:
            self._look(new)

    def forget(self, gone: Iterable[str]) -> None:
        """These workers are not there any more."""
        for worker in gone:
            self.held.pop(worker, None)
            self._lacking.pop(worker, None)

    def send(self, machines: Mapping[str, str]) -> bool:
        """Send one piece more to where something lacks; False: there is nothing to send. machines: of the workers."""
        if self._sending is None:
            self._sending = self._next(machines)
            if self._sending is None:
                return False
        sending = self._sending
        to = [worker for worker in sending.to if worker in self._lacking]
        at, piece, packed = sending.piece()
        answers = self._engine.ask(take, self._run, sending.offer, at, piece, packed, workers=to) if to else {}
        for worker, answer in answers.items():
            if answer and isinstance(answer, str):
                self.refused[worker] = answer
                del self._lacking[worker]
                logger.warning("a worker of the cluster cannot take the export worker=%s cause=%s", worker, answer)
        if sending.over or not to:
            sending.close()
            self._sending = None
            self._look(list(self._lacking))
        return True

    @property
    def sent(self) -> float:
        """How much of the export that is being sent is over there, 0 to 1."""
        return self._sending.share if self._sending else 0.0

    def close(self) -> None:
        """Let go of the file that is being sent."""
        if self._sending is not None:
            self._sending.close()

    def _look(self, workers: list[str]) -> None:
        for worker, answer in self._engine.ask(look, self._run, self._offers, workers=workers).items():
            self._lacking.pop(worker, None)
            if isinstance(answer, Exception):  # it went away, or is just starting: it is looked at again
                continue
            folder, paths = answer
            if None in paths:
                self._lacking[worker] = paths
            else:
                self.held[worker] = (folder, paths)

    def _next(self, machines: Mapping[str, str]) -> _Sending | None:
        """One export to one worker of each machine that lacks it."""
        first = {machines.get(worker, worker): worker for worker in reversed(self._lacking)}
        for offer in self._offers:
            to = [worker for worker in first.values() if self._lacking[worker][offer.number] is None]
            if to:
                logger.info("sending an export export=%s bytes=%d workers=%d", offer.path.name, offer.size, len(to))
                return _Sending(offer, to)
        return None


class _Sending:
    """An export on its way."""

    def __init__(self, offer: Offer, to: list[str]) -> None:
        self.offer, self.to = offer, to
        self._file = offer.path.open("rb")
        self._packed = self._file.read(2) != GZIP  # what is compressed already gets no smaller
        self._file.seek(0)

    def piece(self) -> tuple[int, bytes, bool]:
        """Where the next piece begins, the piece, and whether it is compressed. Raises ExportError: there is no more."""
        at, piece = self._file.tell(), self._file.read(PIECE_BYTES)
        if not piece and self.offer.size:
            raise ExportError(f"reading {self.offer.path}: it became shorter; train on a file that nobody writes to")
        return at, zlib.compress(piece, 1) if self._packed else piece, self._packed

    @property
    def over(self) -> bool:
        """Whether all was sent."""
        return self._file.tell() >= self.offer.size

    @property
    def share(self) -> float:
        """How much was sent, 0 to 1."""
        return self._file.tell() / max(1, self.offer.size)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
