"""Dask: the cluster's scheduler and workers as `trainer/cluster/team.py` wants them. The only file that knows Dask."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, Future
from distributed.security import Security

from shared.errors import TrainingError

logger = logging.getLogger(__name__)
CONNECT_S = 10
CLOSE_S = 3
FETCH_S = 60  # a worker that ends after it has finished takes its result with it
NOISY = ("distributed.client", "distributed.batched", "distributed.core", "distributed.comm")  # we say what they say


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority that signed everybody's certificates, and this machine's own certificate and key."""

    authority: Path
    certificate: Path
    key: Path


class Dask:
    """A connection to a scheduler."""

    def __init__(self, address: str, certificates: Certificates | None) -> None:
        """Raises TrainingError: no scheduler answers there."""
        self.address = address
        for name in NOISY:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with _in_our_words(address, "does not answer"):
            place = urlsplit(address)
            socket.create_connection((place.hostname, place.port), CONNECT_S).close()  # Dask would ask for ten seconds
            self._client = Client(
                address, timeout=CONNECT_S, set_as_default=False, name="pipit-trainer", security=_security(certificates)
            )

    def workers(self) -> Mapping[str, str]:
        """Address → machine. Not from `scheduler_info`, whose answer Dask overwrites every two seconds with one without workers."""
        with self.connected():
            found = self._client.sync(self._client.scheduler.identity, n_workers=-1)["workers"]
            return {address: str(worker["host"]) for address, worker in found.items()}

    def ask(self, function: Callable[..., Any], *values: Any, workers: Iterable[str]) -> Mapping[str, Any]:
        """What each worker answers, or what it raised."""
        with self.connected():
            found: dict[str, Any] = self._client.run(function, *values, workers=list(workers), on_error="return")
            return found

    def submit(self, function: Callable[..., Any], *values: Any, worker: str) -> _Running:
        """Have this worker do it, and no other: only it may have what is needed."""
        with self.connected():
            return _Running(self, self._client.submit(function, *values, workers=[worker], pure=False), worker)

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close(timeout=CLOSE_S)

    @contextmanager
    def connected(self) -> Iterator[None]:
        """For everything that is asked of the scheduler. Dask would connect anew, but what ran for us is lost by then."""
        with _in_our_words(self.address, "went away"):
            self._still_connected()
            yield
            self._still_connected()

    def _still_connected(self) -> None:
        if self._client.status != "running":
            raise ConnectionError("the connection was lost")


class _Running:
    def __init__(self, dask: Dask, future: Future, worker: str) -> None:
        self._dask, self._future, self._worker = dask, future, worker

    def done(self) -> bool:
        """Whether there is a result, or will never be one."""
        return bool(self._future.done())

    def result(self) -> Any:
        """What came of it; None: it did not arrive. Raises TrainingError: it failed."""
        with self._dask.connected():
            try:
                return self._future.result(timeout=FETCH_S)
            except TimeoutError:
                return None
            except Exception as error:
                failed = f"{self._worker}: {type(error).__name__}: {error}"
                raise TrainingError(f"train: a worker of the cluster failed; {failed}; its log says more") from error

    def cancel(self) -> None:
        """Nobody waits for it."""
        with self._dask.connected():
            self._future.cancel()


def _security(certificates: Certificates | None) -> Security | None:
    if certificates is None:
        return None
    return Security(
        require_encryption=True,
        tls_ca_file=str(certificates.authority),
        tls_client_cert=str(certificates.certificate),
        tls_client_key=str(certificates.key),
    )


@contextmanager
def _in_our_words(address: str, verb: str) -> Iterator[None]:
    """Everything that a lost connection may raise, in our words."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        words = str(error) or type(error).__name__
        raise TrainingError(
            f"train: the Dask scheduler at {address} {verb} ({words}); look whether `dask scheduler` runs there, "
            "or train without --cluster"
        ) from error
