"""Receipts: what this machine says became of a bundle, beside the inbox, for the trainer to read back."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from inference.bundles.store import TransferRow
from shared import layout
from shared.bundle import canonical
from shared.values import iso


def write_receipt(folder: Path, row: TransferRow, machine: str) -> None:
    """Replace the agent's receipt (what serves) and this version's, atomically, without following any link.

    Raises:
        OSError: the folder is not there, not a folder, or cannot be written.
    """
    data = canonical(
        {
            "n": row.id,
            "agent": row.agent,
            "version": row.version,
            "serial": row.serial,
            "manifest_sha256": row.manifest_sha256,
            "state": row.state,
            "code": row.code,
            "reason": row.reason,
            "pi": machine,
            "at": iso(row.at),
            "previous": row.previous,
        }
    )
    names = layout.receipt_names(row.agent, row.version)
    replace_files(folder, names[1:] if row.state == layout.CHALLENGER else names, data)


def replace_files(folder: Path, names: Iterable[str], data: bytes) -> None:
    """Write the same bytes under each name of the receipts folder, atomically, without following any link.

    Raises:
        OSError: the folder is not there, not a folder, or cannot be written.
    """
    folder.mkdir(exist_ok=True, mode=0o755)
    with layout.open_folder(folder) as handle:
        for name in names:
            _replace(handle, name, data)
        os.fsync(handle)


def remove_receipt(folder: Path, name: str) -> None:
    """Take a receipt away, if it is there; a link in the folder's place is not followed."""
    with contextlib.suppress(OSError), layout.open_folder(folder) as handle:
        os.unlink(name, dir_fd=handle)


def _replace(folder: int, name: str, data: bytes) -> None:
    beside = f".{name}.{uuid.uuid4().hex}"
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
    try:
        with os.fdopen(file, "wb") as out:
            os.fchmod(file, 0o644)  # the trainer's login reads it, whatever umask the service runs under
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(beside, dir_fd=folder)
        raise
