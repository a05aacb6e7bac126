"""Reports → Prometheus: the daemon keeps the numbers and writes them to a file each cycle, the web process serves it.

The text format is written here by hand: prometheus_client brings an HTTP server and TLS along, 4 MB that the daemon would
carry for a dozen lines. Labels are agents, versions and feature names only: a host, MAC or SSID in a label would hand
strangers' names to the metrics store, one series each.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from inference.cycle import CycleReport
from shared.errors import StoreError

Labels = tuple[tuple[str, str], ...]
LATENCY_BUCKETS_S = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
CYCLE_BUCKETS_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass
class Series:
    """A counter or a gauge: one number per set of labels."""

    name: str
    kind: str  # "counter" or "gauge"
    help: str
    values: dict[Labels, float] = field(default_factory=dict)

    def add(self, amount: float, **labels: str) -> None:
        """Count."""
        key = tuple(labels.items())
        self.values[key] = self.values.get(key, 0.0) + amount

    def set(self, value: float, **labels: str) -> None:
        """Show the present value."""
        self.values[tuple(labels.items())] = value

    def lines(self) -> list[str]:
        """In the text format."""
        return [f"{self.name}{_braced(labels)} {_number(value)}" for labels, value in self.values.items()]


@dataclass
class Histogram:
    """How often a duration fell below each bound, per set of labels."""

    name: str
    help: str
    bounds: tuple[float, ...]
    kind: str = "histogram"
    counts: dict[Labels, list[int]] = field(default_factory=dict)
    sums: dict[Labels, float] = field(default_factory=dict)

    def add(self, value: float, times: int = 1, **labels: str) -> None:
        """Note a value, `times` times; 0 times only begins the series."""
        key = tuple(labels.items())
        counts = self.counts.setdefault(key, [0] * (len(self.bounds) + 1))
        counts[bisect_left(self.bounds, value)] += times
        self.sums[key] = self.sums.get(key, 0.0) + value * times

    def lines(self) -> list[str]:
        """In the text format: cumulative buckets, sum and count."""
        found = []
        for labels, counts in self.counts.items():
            total = 0
            for bound, count in zip((*map(_number, self.bounds), "+Inf"), counts, strict=True):
                total += count
                found.append(f"{self.name}_bucket{_braced((*labels, ('le', bound)))} {total}")
            found.append(f"{self.name}_sum{_braced(labels)} {_number(self.sums[labels])}")
            found.append(f"{self.name}_count{_braced(labels)} {total}")
        return found


class Metrics:
    """The daemon's numbers."""

    def __init__(self) -> None:
        self._all: list[Series | Histogram] = []
        self._predictions = self._counter("model_predictions_total", "Windows judged")
        self._anomalies = self._gauge("model_anomalies_detected", "Anomalous windows since the daemon started")
        self._latency = self._histogram("model_prediction_latency_seconds", "CPU time of a window", LATENCY_BUCKETS_S)
        self._feature_drift = self._gauge("model_feature_drift", "Distance of a feature from training (PSI)")
        self._prediction_drift = self._gauge("model_prediction_drift", "Distance of the scores from training (PSI)")
        self._quality = self._gauge("model_data_quality", "Share of the rows read that could be used, 0 to 1", 1.0)
        self._known = self._gauge("pipit_known_lines_ratio", "Share of an agent's lines that a pattern knows")
        self._rows = self._counter("pipit_rows_read_total", "Log rows passed, wanted or not", 0.0)
        self._bad = self._counter("pipit_rows_bad_total", "Log rows set aside: no usable time", 0.0)
        self._late = self._counter("pipit_late_rows_total", "Rows of windows that were already judged", 0.0)
        self._lag = self._gauge("pipit_lag_seconds", "How far reading lies behind the database's clock", 0.0)
        self._seconds = self._histogram("pipit_cycle_seconds", "Duration of a cycle", CYCLE_BUCKETS_S)
        self._cpu = self._counter("pipit_cycle_cpu_seconds_total", "CPU time of all cycles", 0.0)
        self._gaps = self._gauge("pipit_gap_ranges", "Ranges of ids not seen yet", 0.0)
        self._expired = self._gauge("pipit_gap_ranges_expired", "Ranges of ids given up since reading began", 0.0)
        self._source_errors = self._counter("pipit_source_errors_total", "Failed readings of the log source", 0.0)
        self._cycle_errors = self._counter("pipit_cycle_errors_total", "Unexpected errors of the daemon's loop", 0.0)
        self._incidents = self._gauge("pipit_open_incidents", "Incidents that are still open", 0.0)
        self._memory = self._gauge("pipit_resident_memory_bytes", "Resident memory of the daemon")
        self._model = self._gauge("pipit_model_info", "1 for the model that serves")
        self._signed = self._gauge("pipit_model_signed_timestamp_seconds", "When the serving model was signed")
        self._bundles = self._gauge("pipit_bundles", "Bundles that this machine knows, by what became of them")
        self._started = self._gauge("pipit_started_timestamp_seconds", "When the daemon started")
        self._written = self._gauge("pipit_written_timestamp_seconds", "When the daemon last wrote these figures")
        self._usable = self._passed = 0

    def cycle(self, report: CycleReport) -> None:
        """Count one cycle."""
        self._passed += report.seen
        self._usable += report.seen - report.bad
        self._quality.set(self._usable / self._passed if self._passed else 1.0)
        self._rows.add(report.seen)
        self._bad.add(report.bad)
        self._late.add(report.late)
        self._lag.set(report.lag_s)
        self._seconds.add(report.seconds)
        self._cpu.add(report.cpu_seconds)
        self._gaps.set(report.gaps)
        self._expired.set(report.gaps_expired)
        self._incidents.set(report.open_incidents)
        for agent, judged in report.agents.items():
            self._predictions.add(judged.windows, agent=agent)
            self._anomalies.add(judged.anomalies, agent=agent)
            if judged.windows:
                self._latency.add(judged.cpu_seconds / judged.windows, judged.windows, agent=agent)

    def serving(self, models: Mapping[str, tuple[str, float]]) -> None:
        """Which version serves each agent, and when it was signed (its serial, s)."""
        self._model.values.clear()
        self._signed.values.clear()
        for agent, (version, signed) in models.items():
            self._model.set(1, agent=agent, version=version)
            self._signed.set(signed, agent=agent)
            self._predictions.add(0, agent=agent)
            self._anomalies.add(0, agent=agent)
            self._latency.add(0.0, 0, agent=agent)

    def drift(self, agent: str, features: Mapping[str, float], prediction: float) -> None:
        """Distances from training, as the monitor finds them."""
        for feature, distance in features.items():
            self._feature_drift.set(distance, agent=agent, feature=feature)
        self._prediction_drift.set(prediction, agent=agent)

    def known(self, agent: str, share: float) -> None:
        """The share of an agent's lines that a pattern knows."""
        self._known.set(share, agent=agent)

    def bundles(self, counts: Mapping[tuple[str, str], int]) -> None:
        """How many bundles of an agent are in a state (refused, good, …)."""
        self._bundles.values.clear()
        for (agent, state), count in counts.items():
            self._bundles.set(count, agent=agent, state=state)

    def alive(self, started: float, now: float) -> None:
        """The daemon's loop turns: a figure that stands still tells of one that does not."""
        self._started.set(started)
        self._written.set(now)

    def memory(self, size_bytes: float) -> None:
        """The daemon's resident memory."""
        self._memory.set(size_bytes)

    def source_failed(self) -> None:
        """Count a failed reading."""
        self._source_errors.add(1)

    def cycle_failed(self) -> None:
        """Count an unexpected error."""
        self._cycle_errors.add(1)

    def text(self) -> str:
        """Everything in Prometheus' text format."""
        found = []
        for each in self._all:
            found += [f"# HELP {each.name} {each.help}", f"# TYPE {each.name} {each.kind}", *each.lines()]
        return "\n".join(found) + "\n"

    def write(self, path: Path) -> None:
        """Write the text beside `path` and rename it into place.

        Raises:
            StoreError: the folder cannot be written.
        """
        beside = path.with_name(path.name + ".new")
        try:
            beside.write_text(self.text(), encoding="utf-8")
            os.replace(beside, path)
        except OSError as error:
            raise StoreError(f"write metrics: {path}: {error}") from error

    def _counter(self, name: str, text: str, first: float | None = None) -> Series:
        return self._series(name, "counter", text, first)

    def _gauge(self, name: str, text: str, first: float | None = None) -> Series:
        return self._series(name, "gauge", text, first)

    def _series(self, name: str, kind: str, text: str, first: float | None) -> Series:
        series = Series(name, kind, text, {} if first is None else {(): first})
        self._all.append(series)
        return series

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...]) -> Histogram:
        histogram = Histogram(name, text, bounds)
        self._all.append(histogram)
        return histogram


def _braced(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))
