"""What every page of the trainer reads from: models, exports, jobs, targets and the record of transfers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from flask import current_app

from shared import bundle, layout
from shared.agent import BUILTIN, AgentSpec, load_agents
from shared.errors import BundleError
from trainer import catalogue, exports, registry, targets
from trainer.config import Settings
from trainer.exports import ExportFile
from trainer.jobs import Job, JobStore
from trainer.registry import ModelEntry
from trainer.shipping import history
from trainer.shipping.history import Transfer
from trainer.targets import Target
from trainer.tasks.orders import Order

SERVES = frozenset({"loaded", "good"})  # states of a transfer after which the target runs the version


@dataclass(frozen=True)
class Room:
    """Where things lie. `wake` tells the worker of this process, if there is one, that there is something to do."""

    settings: Settings
    now: Callable[[], float]
    wake: Callable[[], None] = field(default=lambda: None)

    @property
    def models_dir(self) -> Path:
        """The folder of the finished models."""
        return self.settings.models_dir

    @property
    def state_dir(self) -> Path:
        """The folder of what must survive."""
        return self.settings.state_dir

    @property
    def jobs(self) -> JobStore:
        """The queue."""
        return JobStore(self.state_dir)

    def submit(self, order: Order, by: str) -> Job:
        """Add a job.

        Raises:
            QueueFullError: too many wait.
        """
        job = self.jobs.submit(order, by, self.now())
        self.wake()
        return job

    def agents(self) -> Mapping[str, AgentSpec]:
        """The kinds of log that are known here."""
        own = self.settings.agents_dir
        folders = (BUILTIN,) if own is None else (BUILTIN, own)
        return _agents(
            folders, tuple(sorted((file.name, file.stat().st_mtime_ns) for f in folders for file in f.glob("*.y*ml")))
        )

    def exports(self) -> list[ExportFile]:
        """The exports on this machine, newest first."""
        return exports.list_exports(self.settings.exports_dir)

    def models(self) -> list[ModelEntry]:
        """All versions here, by agent, newest first."""
        return registry.list_models(self.models_dir)

    def model(self, reference: str, agent: str | None = None) -> ModelEntry | None:
        """The version called so (bare where that is unique, or `<agent>_<version>`); None where there is none."""
        found = [
            (name, version)
            for name in layout.agents_in(self.models_dir)
            for version in layout.versions_in(self.models_dir, name)
            if reference in (version, layout.model_id(name, version)) and agent in (None, name)
        ]
        return registry.show(self.models_dir, *found[0]) if len(found) == 1 else None

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

    def beside(self) -> Mapping[tuple[str, str], Transfer]:
        """(target, agent) → the version that is judged there beside the one that serves, as far as was heard."""
        serving = self.serving()
        return {
            key: one
            for key, one in history.challengers(self.state_dir).items()
            if one.state == layout.CHALLENGER and one.version != serving.get(key)
        }

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

    def held(self) -> set[str]:
        """The ids of versions that may not go: active here, or serving, perhaps, on a Pi."""
        return catalogue.held(self.models_dir, self.state_dir)

    def kept(self) -> Mapping[str, Mapping[str, Any]]:
        """Model id → what happened to it after it was signed: notes, evaluations, gate, deployments."""
        return {
            str(one.get("model_id")): one for one in catalogue.read(self.models_dir)["models"] if isinstance(one, dict)
        }

    def gate(self, entry: ModelEntry) -> Mapping[str, Any]:
        """The gate that counts for a version; empty where there is none."""
        return catalogue.gate_of(entry.metadata, catalogue.kept_of(self.models_dir, entry.agent, entry.version))


@lru_cache(maxsize=2)
def _agents(folders: tuple[Path, ...], _files: tuple[tuple[str, int], ...]) -> Mapping[str, AgentSpec]:
    """Agent files as they are now: reading them takes longer than a page may."""
    return load_agents(list(folders))


def this_room() -> Room:
    """The room of the current request's application."""
    return cast(Room, current_app.extensions["pipit_room"])
