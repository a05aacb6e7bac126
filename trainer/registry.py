"""The models on this machine: publish a new one, list, look at, sign anew, prune."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import bundle, layout
from shared.bundle import EVERYBODY, Manifest
from shared.errors import BundleError, StoreError
from trainer.keys import SigningKey, next_serial


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One version on this machine. `fault` says why it cannot be used, if it cannot."""

    agent: str
    version: str
    active: bool
    serial: int
    size_bytes: int
    metadata: Mapping[str, Any]
    fault: str = ""

    @property
    def model_id(self) -> str:
        """`<agent>_<version>`."""
        return layout.model_id(self.agent, self.version)

    def as_json(self) -> dict[str, Any]:
        """For `--json` and the API."""
        return {
            "model_id": self.model_id,
            "agent": self.agent,
            "version": self.version,
            "active": self.active,
            "serial": self.serial,
            "size_bytes": self.size_bytes,
            "fault": self.fault,
            "metadata": dict(self.metadata),
        }


def publish(
    models: Path,
    files: Mapping[str, bytes],
    *,
    agent: str,
    version: str,
    key: SigningKey,
    state_dir: Path,
    now: Callable[[], float],
    audience: Sequence[str] = (EVERYBODY,),
) -> Manifest:
    """Write and sign a new version into the models folder and make it the active one there.

    Raises:
        BundleError: the files are not a bundle's, or the version exists. ConfigError: the key does not sign.
        StoreError: the folder cannot be written; nothing half-written stays.
    """
    serial = next_serial(state_dir, now)
    folder = layout.bundle_folder(models, agent, version)
    try:
        manifest = bundle.write_bundle(
            folder, files, agent=agent, version=version, serial=serial, audience=audience, sign=key.sign
        )
        layout.activate(models, agent, version)
    except OSError as cause:
        raise StoreError(
            f"publish {layout.model_id(agent, version)}: {models} cannot be written ({cause.strerror}); make room or "
            "check its owner, then train again"
        ) from cause
    from trainer import catalogue  # it reads what this module lists

    catalogue.refresh_or_warn(models, state_dir, now())
    return manifest


def sign_anew(
    models: Path, agent: str, version: str, *, key: SigningKey, state_dir: Path, now: Callable[[], float]
) -> Manifest:
    """The same files under a fresh serial, as `<version>-rN`: how a downgrade that is wanted gets past the floor.

    Raises:
        BundleError: the version is not here or not whole.
    """
    raw = bundle.open_bundle(layout.bundle_folder(models, agent, version))
    old = bundle.verify(raw, None)
    name = layout.resigned(version, set(layout.versions_in(models, agent)))
    files = {file: raw[file] for file in bundle.FILES}
    return bundle.write_bundle(
        layout.bundle_folder(models, agent, name),
        files,
        agent=agent,
        version=name,
        serial=next_serial(state_dir, now),
        audience=old.audience,
        sign=key.sign,
    )


def list_models(models: Path, agent: str | None = None) -> list[ModelEntry]:
    """All versions here, by agent, newest first."""
    return [
        show(models, name, version)
        for name in layout.agents_in(models)
        if agent in (None, name)
        for version in reversed(layout.versions_in(models, name))
    ]


def show(models: Path, agent: str, version: str) -> ModelEntry:
    """What is known of one version; a damaged one says so instead of failing."""
    folder = layout.bundle_folder(models, agent, version)
    active = layout.active_version(models, agent) == version
    try:
        with bundle.folder_of(folder) as handle:
            manifest = bundle.parse_manifest(bundle.read_head(handle).get(bundle.MANIFEST, b""))
            metadata = json.loads(bundle.read_file(handle, "metadata.json", bundle.LIMITS["metadata.json"]))
    except (BundleError, ValueError) as error:
        return ModelEntry(agent, version, active, 0, 0, {}, str(error))
    if not isinstance(metadata, dict):
        return ModelEntry(agent, version, active, manifest.serial, manifest.size, {}, "metadata.json is no object")
    return ModelEntry(agent, version, active, manifest.serial, manifest.size, metadata)


def prunable(
    models: Path, keep: int, *, agent: str | None = None, before: float | None = None, held: Collection[str] = ()
) -> list[str]:
    """Ids of old versions that `prune` would remove."""
    return [layout.model_id(*one) for one in old_versions(models, keep, agent=agent, before=before, held=held)]


def prune(
    models: Path, keep: int, *, agent: str | None = None, before: float | None = None, held: Collection[str] = ()
) -> list[str]:
    """Remove old versions; gives their ids."""
    gone = old_versions(models, keep, agent=agent, before=before, held=held)
    for name, version in gone:
        remove(models, name, version)
    return [layout.model_id(name, version) for name, version in gone]


def old_versions(
    models: Path, keep: int, *, agent: str | None = None, before: float | None = None, held: Collection[str] = ()
) -> list[tuple[str, str]]:
    """The old versions as (agent, version). The newest `keep` of each agent, the active one and `held` ids stay.

    With `before`, only versions made earlier than that moment go (retention days).
    """
    found = []
    for name in layout.agents_in(models):
        versions = layout.versions_in(models, name) if agent in (None, name) else []
        for version in versions[: max(0, len(versions) - keep)]:
            young = before is not None and layout.version_order(version)[0] >= layout.version_at(before)
            if not (young or layout.model_id(name, version) in held or version == layout.active_version(models, name)):
                found.append((name, version))
    return found


def remove(models: Path, agent: str, version: str) -> None:
    """Remove a version: aside in one step, then for good."""
    aside = models / f".trash-{uuid.uuid4().hex}"
    layout.bundle_folder(models, agent, version).rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
