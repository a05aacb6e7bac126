"""What a training run found out: the plain values that metadata and report are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class SourceFile:
    """One export that was learnt from; `name` without its folder, times in seconds since the epoch."""

    name: str
    sha256: str
    size_bytes: int
    rows: int
    bad_rows: int = 0


@dataclass(frozen=True)
class NormalRange:
    """What a feature of one role is on normal days: 1, 50 and 99 % quantile, and the most that was seen."""

    feature: str
    title: str
    role: str
    low: float
    middle: float
    high: float
    most: float
    unit: str = ""
    share_present: float = 1.0  # of windows in which the feature has a value


@dataclass(frozen=True)
class ScoreCounts:
    """Out-of-fold scores in bins of equal width: `edges` has one more entry than `counts`. Higher is stranger."""

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    quantiles: Mapping[str, float] = field(default_factory=dict)  # "50", "99.9" → score


@dataclass(frozen=True)
class BudgetRow:
    """One line of the alert-budget table: allow this many incidents a week and host, and the threshold is this."""

    budget: float
    threshold: float
    rarity: float | None  # windows of training per window over the threshold; None: rarer than all of them
    incidents: float | None = None  # a week and host, as it turned out on time blocks the model had not seen


@dataclass(frozen=True)
class LeftOut:
    """Windows that the guard kept from being learnt, by role and feature."""

    role: str
    feature: str
    windows: int
    reason: str = ""


@dataclass(frozen=True)
class TrainFacts:
    """All that metadata and report say of one training run. No host, device or network is named in it."""

    agent: str
    version: str
    trained_at: float
    duration_s: float
    peak_memory_bytes: int
    sources: tuple[SourceFile, ...]
    rows: int
    first: float  # time of the first and the last row
    last: float
    hosts: Mapping[str, int]  # role → hosts
    windows: Mapping[str, int]  # role → windows
    features_used: tuple[str, ...]
    hyperparameters: Mapping[str, Any]
    threshold: float
    rarity: float | None = None  # of the threshold: N of "1 in N"
    agent_title: str = ""
    agent_version: int = 1
    model_type: str = "IsolationForest"
    window_s: float = 300
    own_rows: int | None = None  # of the agent's programs; None: not counted apart
    unknown_rows: int = 0  # rows that no pattern knows
    unknown_shapes: tuple[tuple[str, int], ...] = ()  # their most frequent shapes, pseudonymised
    features_excluded: tuple[str, ...] = ()
    alert_budget: float | None = None
    contamination: float | None = None
    normal: tuple[NormalRange, ...] = ()
    scores: ScoreCounts | None = None
    budget: tuple[BudgetRow, ...] = ()
    guard: tuple[LeftOut, ...] = ()
    validation_windows: int = 0
    test_windows: int = 0
    evaluation: Mapping[str, Any] = field(default_factory=dict)  # Evaluation.as_json; empty: not evaluated
    expected: Mapping[str, float] = field(default_factory=dict)  # metric → bound that the configuration asks for
    gate: Mapping[str, Any] = field(default_factory=dict)  # {"passed", "reason", "checks"}; empty: nothing was checked
    comparison: Mapping[str, Any] = field(default_factory=dict)  # against the model active here; empty: there was none
    advice: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)  # the model configuration that was given
    config_hash: str = ""
    monitoring: Mapping[str, Any] = field(default_factory=dict)  # the configuration's wishes for the Pi
    library_versions: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def days(self) -> float:
        """Length of the time learnt from."""
        return max(self.last - self.first, 0.0) / 86400

    @property
    def length(self) -> str:
        """The same in words."""
        return f"{self.days:.1f} days" if self.days >= 1 else f"{24 * self.days:.1f} hours"

    @property
    def unknown_share(self) -> float:
        """Share of the agent's rows that no pattern knows."""
        rows = self.rows if self.own_rows is None else self.own_rows
        return self.unknown_rows / rows if rows else 0.0

    def in_short(self) -> dict[str, Any]:
        """What a record of jobs keeps of it."""
        return {
            "model_id": f"{self.agent}_{self.version}", "agent": self.agent, "version": self.version, "rows": self.rows,
            "windows": sum(self.windows.values()), "hosts": sum(self.hosts.values()),
            "gate_passed": self.gate.get("passed"), "warnings": list(self.warnings),
        }  # fmt: skip
