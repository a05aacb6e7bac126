"""What people said of incidents, laid beside the receipts for the trainer to learn from."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from inference.bundles.receipts import replace_files
from inference.bundles.reconciling import Context
from inference.said import marks
from shared import layout
from shared.bundle import canonical

logger = logging.getLogger(__name__)
MOST = 2_000  # the newest
LIMIT = 4_000_000  # bytes


def hand_out_marks(ctx: Context) -> None:
    """Replace the file where the marks that count are others than it says; without any there is none to begin with."""
    folder = ctx.settings.receipts
    try:
        said = marks.labels(marks.all_marks(ctx.store.db, ctx.now(), limit=MOST))
        data = canonical({"pi": ctx.settings.machine, "labels": said})
        while len(data) > LIMIT:  # a trainer reads no more; the oldest stay here
            said = said[(len(said) + 1) // 2 :]
            data = canonical({"pi": ctx.settings.machine, "labels": said})
        before = _what_lies_there(folder)
        if data != before and (said or before is not None):
            replace_files(folder, (layout.MARKS,), data)
    except (OSError, sqlite3.Error) as error:
        logger.warning("marks not handed out folder=%s error=%s", folder, error)


def _what_lies_there(folder: Path) -> bytes | None:
    try:
        with open(os.open(folder / layout.MARKS, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            return file.read(LIMIT + 1)
    except OSError:
        return None
