"""Two models side by side: the figures that a person chooses by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trainer.gate import METRICS, WORDS
from trainer.registry import ModelEntry

SHOWN = (
    "episode_recall", "false_incidents_per_host_week", "named_right", "median_delay_s", "precision", "recall",
    "f1_score", "roc_auc", "average_precision", "accuracy",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure of both; `better`: first, second, or empty."""

    name: str
    first: Any
    second: Any
    better: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the API."""
        return asdict(self)


def compared(first: ModelEntry, second: ModelEntry) -> list[Pair]:
    """What was measured, then what they learnt from and how they were made."""
    return [
        pair
        for pair in (*_measured(first, second), *_made(first, second))
        if pair.first is not None or pair.second is not None
    ]


def metrics_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What evaluation measured; empty where nothing was."""
    return _map(_map(metadata.get("evaluation")).get("metrics"))


def gate_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the quality gate said; empty where there was none."""
    return _map(metadata.get("gate"))


def _measured(first: ModelEntry, second: ModelEntry) -> Iterable[Pair]:
    one, two = metrics_of(first.metadata), metrics_of(second.metadata)
    for name in SHOWN:
        a, b = _number(one.get(name)), _number(two.get(name))
        better = ""
        if a is not None and b is not None and a != b:
            better = "first" if (a > b) == METRICS[name] else "second"
        yield Pair(WORDS[name], a, b, better)


def _made(first: ModelEntry, second: ModelEntry) -> Iterable[Pair]:
    readers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
        "Gate": lambda meta: {True: "passed", False: "missed"}.get(gate_of(meta).get("passed", "")),
        "Log rows learnt from": lambda meta: meta.get("training_log_count"),
        "Windows learnt from": lambda meta: _map(meta.get("windows")).get("total"),
        "First day": lambda meta: str(_data(meta).get("first") or "")[:10] or None,
        "Last day": lambda meta: str(_data(meta).get("last") or "")[:10] or None,
        "Features": lambda meta: len(meta.get("features_used") or ()) or None,
        "Alert line, 1 in": lambda meta: _number(_map(meta.get("thresholds")).get("rarity")),
        "Alert budget, a week and host": lambda meta: _number(_map(meta.get("thresholds")).get("alert_budget")),
    }
    for name, read in readers.items():
        yield Pair(name, read(first.metadata), read(second.metadata))
    one, two = _map(first.metadata.get("hyperparameters")), _map(second.metadata.get("hyperparameters"))
    for name in sorted({*one, *two}):
        if one.get(name) != two.get(name):
            yield Pair(name, _plain(one.get(name)), _plain(two.get(name)))


def _data(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(_map(metadata.get("training_info")).get("data_info"))


def _plain(value: Any) -> Any:
    return value if isinstance(value, int | float | str) else None if value is None else str(value)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
