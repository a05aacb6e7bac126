"""The daemon's watch over its models: counts every cycle, measures drift every hour, forgets what is old."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from inference.said import switches
from inference.watching import drifting, performance
from inference.watching.drifting import DriftReport, DriftSettings
from inference.watching.performance import Performance

if TYPE_CHECKING:
    from inference.config import Settings
    from inference.cycle import CycleReport
    from inference.metrics import Metrics
    from inference.models import Serving

logger = logging.getLogger(__name__)

DAY_S = 86_400.0


def drift_settings(settings: Settings) -> DriftSettings:
    """The thresholds of the service's settings."""
    return DriftSettings(
        settings.drift_watch, settings.drift_threshold, settings.drift_windows, settings.drift_days * DAY_S
    )


class Monitor:
    """What the daemon keeps in memory of it. One thread; a failure here is logged and harms no cycle."""

    def __init__(self, db: sqlite3.Connection, store: Path, settings: Settings, metrics: Metrics) -> None:
        self.db, self._store, self._settings, self._metrics = db, store, settings, metrics
        self._performance = Performance(db)
        self._measured: dict[tuple[str, str], float] = {}
        self.found: list[DriftReport] = []  # measurements since `take`

    def note(self, report: CycleReport, versions: Mapping[str, str], memory_mb: float, now: float) -> None:
        """Count one cycle; write from time to time."""
        try:
            self._performance.note(report, versions, memory_mb, now)
            if self._performance.is_due(now):
                self._performance.flush(now)
        except sqlite3.Error as error:
            logger.warning("performance not written error=%s", error)

    def measure(self, serving: Sequence[Serving], now: float) -> None:
        """Measure the drift of at most one model for which it is time."""
        for each in serving:
            key = (each.agent, each.version)
            if 0 <= now - self._measured.get(key, -1e18) < self._settings.drift_every_s:
                continue
            self._measured[key] = now
            self._measure(each, now)
            return

    def _measure(self, each: Serving, now: float) -> None:
        try:
            found = drifting.measure_drift(
                self.db, self._store, each.agent, each.version, drift_settings(self._settings), now
            )
            drifting.save(self.db, found)
        except (OSError, ValueError, KeyError, TypeError, sqlite3.Error) as error:
            logger.warning("drift not measured agent=%s version=%s error=%s", each.agent, each.version, error)
            return
        self.found.append(found)
        log = logger.warning if found.word == drifting.DRIFTED else logger.info
        log(
            "drift measured agent=%s version=%s word=%s windows=%d features=%s scores=%s",
            each.agent, each.version, found.word, found.windows, found.worst, found.score,
        )  # fmt: skip
        self._show(found)

    def _show(self, found: DriftReport) -> None:
        """The figures as metrics; a feature of several roles shows the larger."""
        if found.word == drifting.UNKNOWN:
            return
        features: dict[str, float] = {}
        for one in found.features:
            if one.psi is not None and one.word != drifting.UNKNOWN:
                features[one.name] = max(one.psi, features.get(one.name, 0.0))
        self._metrics.drift(found.agent, features, found.score or 0.0)
        if found.known is not None:
            self._metrics.known(found.agent, found.known)

    def take(self) -> list[DriftReport]:
        """The measurements since the last call."""
        found, self.found = self.found, []
        return found

    def forget(self, now: float) -> int:
        """Delete statistics that are older than the settings say; gives how many rows."""
        before = now - self._settings.keep_performance_days * DAY_S
        gone = performance.forget(self.db, before) + drifting.forget(self.db, before)
        return gone + switches.forget(self.db, now - self._settings.keep_days * DAY_S)

    def close(self, now: float) -> None:
        """Write what waits."""
        try:
            self._performance.flush(now)
        except sqlite3.Error as error:
            logger.warning("performance not written error=%s", error)
