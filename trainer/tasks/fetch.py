"""Fetching as a job: rows of the configured database become an export, and are looked into at once."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from shared.errors import ConfigError, ExportError, StoreError
from shared.values import iso
from trainer import exports
from trainer.config import Settings
from trainer.given import find_agent
from trainer.tasks.doing import examined
from trainer.tasks.job import Teller
from trainer.tasks.orders import FetchOrder

logger = logging.getLogger("trainer.tasks.job")
STEPS = ("fetch", "validate")
LEFT_OVER_S = 86_400.0
NO_DATABASE = "fetch: no database is named; set TRAINING_DATABASE_URL to one with a read-only login"


def fetch(order: FetchOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Write the rows to a new export of the exports folder.

    Raises:
        ConfigError: no database is configured, or the times make no span. SourceError: it cannot be read.
        ExportError: the name is taken, nothing was there, or more than may be.
    """
    from trainer.export import export  # the driver comes with it

    if settings.database_url is None:
        raise ConfigError(NO_DATABASE)
    spec = find_agent(settings, order.agent)
    folder, name = settings.exports_dir, exports.safe_name(order.export)
    tell.plan(STEPS)
    tell.step("fetch", 0.0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as cause:
        raise StoreError(f"fetch: {folder}: {cause.strerror}; check its owner and free space") from cause
    exports.tidy(folder, time.time() - LEFT_OVER_S)
    if any(one.name == name for one in exports.list_exports(folder)):
        raise exports.taken(name)
    beside = folder / f".{uuid.uuid4().hex}.part.{name}"
    try:
        report = export(
            settings.database_url, beside, order.start, order.end, order.programs, table=order.table,
            progress=lambda words, share: tell.step("fetch", share, words), limit_bytes=settings.max_upload * 1_000_000,
        )  # fmt: skip
        if not report.rows:
            raise ExportError(f"fetch: no rows from {iso(report.start)} to {iso(report.end)}; nothing was kept")
        exports.put_in_place(folder, beside, name)
    except OSError as cause:
        raise StoreError(f"fetch: {name} cannot be written to {folder}: {cause.strerror}") from cause
    finally:
        beside.unlink(missing_ok=True)
    tell.step("fetch", 1.0, f"{report.rows:,} rows, {report.size_bytes / 1e6:.1f} MB")
    logger.info(
        "fetched rows=%d bytes=%d start=%s end=%s", report.rows, report.size_bytes, iso(report.start), iso(report.end)
    )
    found = examined(exports.find_export(folder, name), spec, settings, tell)
    return {"export": name, "rows": report.rows, "size_bytes": report.size_bytes, "fit": found["fit"]}
