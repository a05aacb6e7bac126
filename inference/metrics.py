"""Reports → Prometheus: the daemon keeps the numbers and writes them to a file each cycle, the web process serves it.

Labels are agents, versions and feature names only: a host, MAC or SSID in a label would hand strangers' names to the
metrics store, one series each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from inference.cycle import CycleReport
from shared.errors import StoreError

LATENCY_BUCKETS_S = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3)


class Metrics:
    """The daemon's numbers, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        agent = ["agent"]
        self._predictions = Counter("model_predictions", "Windows judged", agent, registry=registry)
        self._anomalies = Gauge(
            "model_anomalies_detected", "Anomalous windows since the daemon started", agent, registry=registry
        )
        self._latency = Histogram(
            "model_prediction_latency_seconds", "CPU time of judging one window", agent, buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )  # fmt: skip
        self._feature_drift = Gauge(
            "model_feature_drift", "Distance of a feature from training", ["agent", "feature"], registry=registry
        )
        self._prediction_drift = Gauge(
            "model_prediction_drift", "Distance of the scores from training", agent, registry=registry
        )
        self._quality = Gauge("model_data_quality", "Share of rows read that could be used, 0 to 1", registry=registry)
        self._rows = Counter("pipit_rows_read", "Log rows passed, wanted or not", registry=registry)
        self._bad = Counter("pipit_rows_bad", "Log rows set aside: no usable time", registry=registry)
        self._late = Counter("pipit_late_rows", "Rows of windows that were already judged", registry=registry)
        self._lag = Gauge("pipit_lag_seconds", "How far reading lies behind the database's clock", registry=registry)
        self._seconds = Histogram("pipit_cycle_seconds", "Duration of a cycle", registry=registry)
        self._cpu = Counter("pipit_cycle_cpu_seconds", "CPU time of all cycles", registry=registry)
        self._gaps = Gauge("pipit_gap_ranges", "Ranges of ids not seen yet", registry=registry)
        self._expired = Gauge(
            "pipit_gap_ranges_expired", "Ranges of ids given up since the cursor began", registry=registry
        )
        self._source_errors = Counter("pipit_source_errors", "Failed readings of the log source", registry=registry)
        self._cycle_errors = Counter("pipit_cycle_errors", "Unexpected errors of the daemon's loop", registry=registry)
        self._incidents = Gauge("pipit_open_incidents", "Incidents that are still open", registry=registry)
        self._model = Gauge("pipit_model_info", "1 for the model that serves", ["agent", "version"], registry=registry)
        self._trained = Gauge(
            "pipit_model_trained_timestamp_seconds", "When the serving model was signed", agent, registry=registry
        )
        self._usable = self._passed = 0

    def cycle(self, report: CycleReport) -> None:
        """Count one cycle."""
        self._passed += report.seen
        self._usable += report.seen - report.bad
        self._quality.set(self._usable / self._passed if self._passed else 1.0)
        self._rows.inc(report.seen)
        self._bad.inc(report.bad)
        self._late.inc(report.late)
        self._lag.set(report.lag_s)
        self._seconds.observe(report.seconds)
        self._cpu.inc(report.cpu_seconds)
        self._gaps.set(report.gaps)
        self._expired.set(report.gaps_expired)
        self._incidents.set(report.open_incidents)
        for agent, judged in report.agents.items():
            self._predictions.labels(agent).inc(judged.windows)
            self._anomalies.labels(agent).inc(judged.anomalies)
            for _ in range(min(judged.windows, 1000)):
                self._latency.labels(agent).observe(judged.cpu_seconds / judged.windows)

    def serving(self, models: Mapping[str, tuple[str, float | None]]) -> None:
        """Which version serves each agent, and when it was signed (its serial), where that is known."""
        self._model.clear()
        for agent, (version, signed) in models.items():
            self._model.labels(agent, version).set(1)
            self._predictions.labels(agent)
            self._anomalies.labels(agent)
            self._latency.labels(agent)
            self._prediction_drift.labels(agent)
            if signed is not None:
                self._trained.labels(agent).set(signed)

    def drift(self, agent: str, features: Mapping[str, float], prediction: float) -> None:
        """Distances from training (PSI), as the monitor finds them."""
        for feature, distance in features.items():
            self._feature_drift.labels(agent, feature).set(distance)
        self._prediction_drift.labels(agent).set(prediction)

    def source_failed(self) -> None:
        """Count a failed reading."""
        self._source_errors.inc()

    def cycle_failed(self) -> None:
        """Count an unexpected error."""
        self._cycle_errors.inc()

    def write(self, path: Path) -> None:
        """Write the text form beside `path` and rename it into place.

        Raises:
            StoreError: the folder cannot be written.
        """
        beside = path.with_name(path.name + ".new")
        try:
            beside.write_bytes(generate_latest(self.registry))
            os.replace(beside, path)
        except OSError as error:
            raise StoreError(f"write metrics: {path}: {error}") from error
