"""What an evaluation found: one frozen value, and how it is written down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trainer.fitting.pseudonyms import Pseudonyms
from trainer.measuring.events_found import EventScore, Outcome
from trainer.measuring.importance import Importance
from trainer.measuring.trivial import Baseline
from trainer.measuring.window_scores import Confusion


@dataclass(frozen=True)
class Evaluation:
    """All that was measured. `metrics` are the figures that a gate may ask for."""

    method: str
    outcomes: tuple[Outcome, ...]
    events: EventScore
    windows: int
    ordinary_windows: int
    confusion: Confusion | None
    metrics: Mapping[str, float]
    threshold: float
    sweep: tuple[Mapping[str, float], ...] = ()
    budgets: tuple[Mapping[str, float], ...] = ()
    percentiles: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    histogram: Mapping[str, Sequence[float]] = field(default_factory=dict)
    baselines: tuple[Baseline, ...] = ()
    importance: tuple[Importance, ...] = ()
    blocks: tuple[Mapping[str, float], ...] = ()
    seeds: Mapping[str, Any] = field(default_factory=dict)
    alarms: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self, names: Pseudonyms | None = None) -> dict[str, Any]:
        """For `--json`, metadata and the API; with `names` no host, device or network is told."""
        return {
            "method": self.method,
            "metrics": dict(self.metrics),
            "events": self.events.as_json(),
            "windows": {
                "total": self.windows,
                "ordinary": self.ordinary_windows,
                "confusion_matrix": self.confusion.as_json() if self.confusion else None,
                "score_percentiles": {kind: dict(found) for kind, found in self.percentiles.items()},
            },
            "threshold": self.threshold,
            "threshold_sweep": [dict(row) for row in self.sweep],
            "budget_curve": [dict(row) for row in self.budgets],
            "score_histogram": {key: list(values) for key, values in self.histogram.items()},
            "baselines": [one.as_json() for one in self.baselines],
            "feature_importance": [one.as_json() for one in self.importance],
            "cross_validation": [dict(block) for block in self.blocks],
            "stability": dict(self.seeds),
            "episodes": [outcome_json(one, names) for one in self.outcomes],
            "false_alarms": [dict(one) for one in self.alarms],
            "notes": list(self.notes),
            **self.more,
        }


def outcome_json(one: Outcome, names: Pseudonyms | None = None) -> dict[str, Any]:
    """One episode; pseudonymised where `names` are given."""
    lines = one.lines if names is None else names.messages(one.lines)
    return {
        "type": one.type, "title": one.title, "role": one.role,
        "host": one.host if names is None else names.host(one.host),
        "start": one.start, "end": one.end, "visible": one.visible, "found": one.found,
        "delay_s": None if one.delay_s is None else round(one.delay_s, 1), "said": list(one.said), "named": one.named,
        "found_by": one.found_by, "score": one.score, "rarity": one.rarity,
        "moved": [
            {"feature": m.feature, "value": m.value, "normal_low": m.normal_low, "normal_high": m.normal_high}
            for m in one.moved
        ],
        "lines": list(lines),
    }  # fmt: skip
