"""The exports folder: what lies there, taking one in, looking one up by its name, taking one away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from shared import layout
from shared.errors import ExportError, PipitError, StoreError
from shared.frame import open_export

ENDINGS = (".csv", ".json", ".jsonl", ".ndjson")
CHECKS = "checks"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}")
_CHUNK = 1 << 20
_OF_A_SERVICE = re.compile(r"\.{1,2}[0-9a-f]{32}\.part\.")


class UploadTooLargeError(PipitError):
    """More than `max_upload` was sent."""


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One export on this machine."""

    name: str
    path: Path
    size_bytes: int
    changed: float


def is_export_name(name: str) -> bool:
    """Letters, digits, dots, dashes and underscores, with the ending of an export: nothing else may name one."""
    return _NAME.fullmatch(name) is not None and name.removesuffix(".gz").endswith(ENDINGS)


def safe_name(name: str) -> str:
    """A name from somebody's machine as one that may be kept: `C:\\logs\\Büro 1.csv` gives `B-ro-1.csv`.

    Raises:
        ExportError: its ending is not that of an export.
    """
    base = re.split(r"[\\/]", name)[-1]
    made = re.sub(r"[^A-Za-z0-9._-]+", "-", base).strip("-._")[-120:].lstrip("-._")
    if not is_export_name(made):
        raise ExportError(f"export {base[:80]!r}: its name must end in {', '.join(ENDINGS)}, perhaps with .gz")
    return made


def list_exports(folder: Path) -> list[ExportFile]:
    """The exports that lie here, newest first; links and other names are passed over."""
    found = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if is_export_name(entry.name) and entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    found.append(ExportFile(entry.name, Path(entry.path), stat.st_size, stat.st_mtime))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found, key=lambda one: (-one.changed, one.name))


def find_export(folder: Path, reference: str) -> ExportFile:
    """The export called so: its name, perhaps with the folder's own before it (`exports/week.csv.gz`).

    Raises:
        ExportError: there is none.
    """
    name = PurePosixPath(reference).name
    if reference in (name, f"{folder.name}/{name}", str(folder / name)) and is_export_name(name):
        for one in list_exports(folder):
            if one.name == name:
                return one
    raise ExportError(f"export {reference[:120]!r} does not lie in the exports folder")


def take_in(folder: Path, name: str, read: Callable[[int], bytes], limit_bytes: int) -> ExportFile:
    """Write an upload beside its place, look whether it is an export at all, and put it there.

    Raises:
        ExportError: the name is taken or none, or the content is no export. UploadTooLargeError: more than the limit.
        StoreError: it cannot be written.
    """
    name = safe_name(name)
    beside = folder / f".{uuid.uuid4().hex}.part.{name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(beside, read, limit_bytes)
        _look(beside, name)
        put_in_place(folder, beside, name)
    except OSError as cause:
        full = "; the disk is full" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else ""
        raise StoreError(f"export {name}: cannot be written to {folder}: {cause.strerror}{full}") from cause
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return find_export(folder, name)


def put_in_place(folder: Path, beside: Path, name: str) -> None:
    """Give a whole file of the folder its name.

    Raises:
        ExportError: the name is taken. OSError: it cannot be done.
    """
    try:
        os.link(beside, folder / name)  # unlike a rename this takes nobody's place
    except FileExistsError:
        raise taken(name) from None
    layout.sync_folder(folder)


class TakenError(ExportError):
    """An export of this name lies already."""


def taken(name: str) -> TakenError:
    """What is said where an export of a name lies already."""
    return TakenError(f"export {name}: there is one of this name already; choose another or delete it")


def tidy(folder: Path, before: float) -> None:
    """Take away what was never finished and not touched since: an upload or a fetch whose process was killed."""
    for path in folder.glob(".*.part*"):
        with contextlib.suppress(OSError):
            if path.lstat().st_mtime < before:
                path.unlink()


def sweep(folder: Path) -> None:
    """Take away what a service left that was killed: uploads that nobody writes any more, and fetches of no running job."""
    for path in folder.glob(".*.part*"):
        if _OF_A_SERVICE.match(path.name):
            with contextlib.suppress(OSError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # whoever still writes holds it
                path.unlink()


def delete(folder: Path, name: str, state_dir: Path) -> None:
    """Take an export and what was found out about it away.

    Raises:
        ExportError: there is none of that name.
    """
    one = find_export(folder, name)
    one.path.unlink(missing_ok=True)
    for known in (state_dir / CHECKS).glob(f"{_stem(name)}.*.json"):
        known.unlink(missing_ok=True)


def save_check(state_dir: Path, one: ExportFile, agent: str, report: dict[str, Any]) -> None:
    """Keep a validation as long as the file stays what it is."""
    path = _check_file(state_dir, one, agent)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.write_atomic(path, json.dumps({"size": one.size_bytes, "changed": one.changed, "report": report}).encode())


def read_check(state_dir: Path, one: ExportFile, agent: str) -> dict[str, Any] | None:
    """The validation of the file as it is now; None where nobody has looked yet."""
    try:
        kept = json.loads(_check_file(state_dir, one, agent).read_bytes())
        fresh = (kept["size"], kept["changed"]) == (one.size_bytes, one.changed)
        return dict(kept["report"]) if fresh else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_file(state_dir: Path, one: ExportFile, agent: str) -> Path:
    return state_dir / CHECKS / f"{_stem(one.name)}.{agent}.json"


def _stem(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:24]


def _write(path: Path, read: Callable[[int], bytes], limit_bytes: int) -> None:
    total = 0
    with path.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        while data := read(_CHUNK):
            total += len(data)
            if total > limit_bytes:
                raise UploadTooLargeError(f"upload: more than {limit_bytes:,} bytes, the limit of TRAINING_MAX_UPLOAD")
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _look(path: Path, name: str) -> None:
    """Its first row must be readable, or at least a row: what is wrong further on, `validate` says."""
    try:
        next(open_export(path).rows(lambda _bad: None), None)
    except ExportError as error:
        raise ExportError(str(error).replace(str(path), name).replace(path.name, name)) from error
