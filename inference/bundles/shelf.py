"""Private copies of bundles in a folder that only the daemon writes: kept whole, swept, dropped."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from shared import layout
from shared.manifest import Manifest


class Shelf:
    """The files of the store. OSError passes through."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, agent: str, version: str) -> Path:
        """Where the private copy of a version lies."""
        return layout.bundle_folder(self.folder, agent, version)

    def keep(self, manifest: Manifest, raw: Mapping[str, bytes]) -> Path:
        """Write a verified bundle beside its place, make it durable and rename it there."""
        place = self.path(manifest.agent, manifest.version)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside, aside = (self.folder / f".tmp-{uuid.uuid4().hex}" for _ in range(2))
        try:
            beside.mkdir(mode=0o700)
            for name, data in raw.items():
                layout.write_new(beside / name, data, mode=0o600)
            layout.sync_folder(beside)
            if place.exists():
                os.rename(place, aside)
            os.rename(beside, place)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        layout.sync_folder(place.parent)
        layout.sync_folder(self.folder)
        return place

    def sweep(self) -> None:
        """Remove what a kill left behind; at start only."""
        if self.folder.is_dir():
            for left in self.folder.glob(".tmp-*"):
                shutil.rmtree(left, ignore_errors=True)

    def drop(self, agent: str, version: str) -> None:
        """Remove a copy: aside in one step, then for good, so that a kill leaves no half one in its place."""
        aside = self.folder / f".tmp-{uuid.uuid4().hex}"
        os.rename(self.path(agent, version), aside)
        shutil.rmtree(aside, ignore_errors=True)
