"""What every page of the trainer reads from: the models folder, the targets and the record of transfers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from flask import current_app

from shared import bundle, layout
from shared.errors import BundleError
from trainer import history, registry, targets
from trainer.history import Transfer
from trainer.registry import ModelEntry
from trainer.targets import Target

SERVES = frozenset({"loaded", "good"})  # states of a transfer after which the target runs the version


@dataclass(frozen=True)
class Room:
    """Where things lie."""

    models_dir: Path
    state_dir: Path
    now: Callable[[], float]

    def models(self) -> list[ModelEntry]:
        """All versions here, by agent, newest first."""
        return registry.list_models(self.models_dir)

    def model(self, reference: str, agent: str | None = None) -> ModelEntry | None:
        """The version called so (bare where that is unique, or `<agent>_<version>`); None where there is none."""
        found = [
            entry
            for entry in self.models()
            if reference in (entry.version, entry.model_id) and agent in (None, entry.agent)
        ]
        return found[0] if len(found) == 1 else None

    def report(self, entry: ModelEntry) -> bytes | None:
        """The training report of a version; None where it cannot be read."""
        try:
            with bundle.folder_of(layout.bundle_folder(self.models_dir, entry.agent, entry.version)) as handle:
                return bundle.read_file(handle, "report.html", bundle.LIMITS["report.html"])
        except BundleError:
            return None

    def targets(self) -> Mapping[str, Target]:
        """All known Pis by name."""
        return targets.load_targets(self.state_dir)

    def latest(self) -> Mapping[tuple[str, str], Transfer]:
        """What happened last, by target and agent."""
        return history.latest(self.state_dir)

    def transfers(self, agent: str | None = None, limit: int = 100) -> list[Transfer]:
        """Transfers, newest first."""
        return history.transfers(self.state_dir, agent=agent, limit=limit)

    def serving(self) -> dict[tuple[str, str], str]:
        """(target, agent) → the version that it was last heard to run: the newest transfer that was not turned away."""
        found: dict[tuple[str, str], str] = {}
        for transfer in self.transfers(limit=10_000):
            if transfer.state in SERVES:
                found.setdefault((transfer.target, transfer.agent), transfer.version)
        return found


def this_room() -> Room:
    """The room of the current request's application."""
    return cast(Room, current_app.extensions["pipit_room"])
