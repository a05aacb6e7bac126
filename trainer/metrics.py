"""Reports → Prometheus: what the trainer has made and shipped, read from its records at each scrape.

Training runs in a process of its own and may have ended long ago, so nothing is counted in memory: the numbers are
those of the models folder and of the transfer history. Labels are agents and target names; never a host of a log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Gauge, generate_latest


@dataclass(frozen=True, slots=True)
class ModelFigures:
    """One finished version, as its metadata tells."""

    agent: str
    version: str
    trained_at: float
    duration_s: float
    rows: int
    windows: int
    peak_memory_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class JobFigures:
    """All jobs of one kind in one state, and how long they ran together."""

    kind: str
    state: str
    count: int
    seconds: float


# name of the metric → field of ModelFigures, and what it says
NEWEST = (
    ("trained_timestamp_seconds", "trained_at", "When the newest version was trained."),
    ("duration_seconds", "duration_s", "How long training the newest version took."),
    ("rows", "rows", "Log rows that the newest version learnt from."),
    ("windows", "windows", "Windows that the newest version learnt from."),
    ("peak_memory_bytes", "peak_memory_bytes", "Most memory that training the newest version took."),
    ("size_bytes", "size_bytes", "Size of the newest version's bundle."),
)


def render_metrics(
    models: Iterable[ModelFigures], shipments: Mapping[tuple[str, str], int], jobs: Iterable[JobFigures] = ()
) -> bytes:
    """The text that /metrics answers. `shipments` counts transfers by (target, result)."""
    registry = CollectorRegistry()
    newest: dict[str, ModelFigures] = {}
    counts: dict[str, int] = {}
    for model in models:
        counts[model.agent] = counts.get(model.agent, 0) + 1
        if model.agent not in newest or model.trained_at > newest[model.agent].trained_at:
            newest[model.agent] = model
    _set(registry, "pipit_trainer_models", "Finished versions in the models folder.", counts)
    for name, field, words in NEWEST:
        figures = {agent: getattr(model, field) for agent, model in newest.items()}
        _set(registry, f"pipit_trainer_newest_model_{name}", words, figures)
    shipped = Gauge(
        "pipit_trainer_shipments", "Transfers in the history.", labelnames=("target", "result"), registry=registry
    )
    for (target, result), number in sorted(shipments.items()):
        shipped.labels(target, result).set(number)
    _jobs(registry, jobs)
    return generate_latest(registry)


def _jobs(registry: CollectorRegistry, jobs: Iterable[JobFigures]) -> None:
    labels = ("kind", "state")
    count = Gauge("pipit_trainer_jobs", "Jobs in the record.", labelnames=labels, registry=registry)
    seconds = Gauge("pipit_trainer_job_seconds", "How long they ran together.", labelnames=labels, registry=registry)
    for one in jobs:
        count.labels(one.kind, one.state).set(one.count)
        seconds.labels(one.kind, one.state).set(one.seconds)


def _set(registry: CollectorRegistry, name: str, words: str, by_agent: Mapping[str, float]) -> None:
    gauge = Gauge(name, words, labelnames=("agent",), registry=registry)
    for agent, value in sorted(by_agent.items()):
        gauge.labels(agent).set(value)
