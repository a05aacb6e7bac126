"""What is serving now: the one place where the daemon's parts find the model of an agent."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from shared.model import Model


@dataclass(frozen=True, slots=True)
class Serving:
    """A model in memory and where it came from."""

    agent: str
    version: str
    serial: int
    manifest_sha256: str
    model: Model
    since: float


class Slot(Protocol):
    """What the judges use of a ModelSlot."""

    @property
    def changes(self) -> int:
        """Grows with every swap."""

    def all(self) -> tuple[Serving, ...]:
        """Every serving model, by agent's name."""


class ModelSlot:
    """Holds the serving model of each agent; a swap is one assignment, so a reader has the old one or the new one.

    A cycle takes what it needs once, at its beginning, and keeps it to its end.
    """

    def __init__(self) -> None:
        self._serving: dict[str, Serving] = {}
        self._lock = threading.Lock()
        self.changes = 0  # grows with every swap

    def get(self, agent: str) -> Serving | None:
        """The serving model of an agent, or None while it has none."""
        return self._serving.get(agent)

    def all(self) -> tuple[Serving, ...]:
        """Every serving model, by agent's name."""
        return tuple(serving for _, serving in sorted(self._serving.items()))

    def put(self, serving: Serving) -> None:
        """Serve this from now on; the former object lives until its last reader lets go of it."""
        with self._lock:
            self._serving = {**self._serving, serving.agent: serving}
            self.changes += 1

    def drop(self, agent: str) -> None:
        """Serve nothing for this agent."""
        with self._lock:
            self._serving = {name: serving for name, serving in self._serving.items() if name != agent}
            self.changes += 1
