"""Old versions as compressed files, `archive/<model_id>.tar.gz` in the models folder: small to keep, checked on the way back."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Collection
from pathlib import Path

from shared import bundle, layout
from shared.errors import BundleError, ConfigError
from trainer import registry

_MOST = sum(bundle.LIMITS.values()) + (1 << 20)  # bytes that any bundle may have
_NAMES = {*bundle.FILES, bundle.MANIFEST, bundle.SIGNATURE}


def archived(models: Path) -> list[str]:
    """The ids of the versions that lie in the archive."""
    return sorted(path.name.removesuffix(".tar.gz") for path in (models / layout.ARCHIVE).glob("*.tar.gz"))


def pack(models: Path, agent: str, version: str) -> Path:
    """Move a version into the archive: written, made durable and read back before the folder goes.

    Raises:
        BundleError: the version is not whole; it stays where it is.
    """
    raw = bundle.open_bundle(layout.bundle_folder(models, agent, version))
    bundle.verify(raw, None)
    path = models / layout.ARCHIVE / f"{layout.model_id(agent, version)}.tar.gz"
    path.parent.mkdir(exist_ok=True)
    layout.write_atomic(path, _packed(raw))
    if _unpacked(path) != raw:
        raise BundleError("io", f"archive: {path} does not read back as it was written; check the disk")
    registry.remove(models, agent, version)
    return path


def pack_old(
    models: Path, keep: int, *, agent: str | None = None, before: float | None = None, held: Collection[str] = ()
) -> list[str]:
    """Archive what `registry.prune` would remove; gives the ids."""
    gone = registry.old_versions(models, keep, agent=agent, before=before, held=held)
    for name, version in gone:
        pack(models, name, version)
    return [layout.model_id(name, version) for name, version in gone]


def unpack(models: Path, model_id: str) -> tuple[str, str]:
    """Bring a version back from the archive, checked against its manifest; gives its agent and version.

    Raises:
        ConfigError: it is not in the archive, or lies in the models folder already. BundleError: it is damaged.
    """
    path = models / layout.ARCHIVE / f"{model_id}.tar.gz"
    if model_id not in archived(models):
        known = ", ".join(archived(models)) or "nothing"
        raise ConfigError(f"archive: there is no {model_id} in {path.parent} (there is: {known})")
    raw = _unpacked(path)
    manifest = bundle.verify(raw, None)
    if manifest.model_id != model_id:
        raise BundleError("version", f"archive: {path.name} holds {manifest.model_id}")
    folder = layout.bundle_folder(models, manifest.agent, manifest.version)
    if folder.exists():
        raise ConfigError(f"archive: {folder} exists already")
    beside = folder.with_name(f".{folder.name}.{os.getpid()}")
    beside.mkdir(parents=True)
    for name, data in raw.items():
        layout.write_new(beside / name, data)
    layout.sync_folder(beside)
    beside.rename(folder)
    layout.sync_folder(folder.parent)
    path.unlink()
    return manifest.agent, manifest.version


def _packed(raw: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed, tarfile.open(fileobj=packed, mode="w") as tar:
        for name, data in sorted(raw.items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _unpacked(path: Path) -> dict[str, bytes]:
    """The files of an archive; only a bundle's own names, plain files, and never more than a bundle may hold."""
    raw: dict[str, bytes] = {}
    try:
        with gzip.open(path) as packed:
            data = packed.read(_MOST + 1)
        if len(data) > _MOST:
            raise BundleError("too_large", f"archive: {path.name} holds more than a bundle may")
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for entry in tar:
                file = tar.extractfile(entry) if entry.isreg() and entry.name in _NAMES else None
                if file is None:
                    raise BundleError(
                        "extra_file", f"archive: {ascii(entry.name)[:80]} in {path.name} is no bundle's file"
                    )
                raw[entry.name] = file.read()
    except (OSError, EOFError, tarfile.TarError) as cause:
        raise BundleError("io", f"archive: {path} cannot be read ({cause})") from cause
    return raw
