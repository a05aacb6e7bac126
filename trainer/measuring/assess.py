"""A version of this machine measured against an export: with its labels, or with faults laid into it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shared.errors import ExportError
from shared.model import Model
from trainer.evaluate import evaluate, evaluate_injected
from trainer.fitting.guard import guard
from trainer.gate import METRICS, Gate, check_gate
from trainer.labels import Episode
from trainer.measuring.evaluation import Evaluation
from trainer.measuring.holdout import Material
from trainer.model_config import TrainConfig
from trainer.watched import Cancelled, Progress, part
from trainer.windows.learn import Learner
from trainer.windows.reading import processes_for
from trainer.windows.source import Source
from trainer.windows.table import tabulate

TABLE_SHARE = 0.3  # of the work without labels is making windows
READ_SHARE = 0.95  # of the work with labels is judging what is read


@dataclass(frozen=True)
class Assessment:
    """What a version reached, and whether that is what its gate asks for."""

    model_id: str
    exports: tuple[str, ...]
    evaluation: Evaluation
    gate: Gate

    def as_json(self) -> dict[str, Any]:
        """Everything, with the names of hosts: for whoever has the log."""
        return {
            "model_id": self.model_id,
            "exports": list(self.exports),
            "gate": self.gate.as_json(),
            **self.evaluation.as_json(),
        }

    def summary(self) -> dict[str, Any]:
        """What the registry keeps: figures only, nothing of the site."""
        return {
            "method": self.evaluation.method, "exports": list(self.exports), "metrics": dict(self.evaluation.metrics),
            "gate": self.gate.as_json(),
        }  # fmt: skip


def assess(
    model: Model,
    exports: Sequence[Path],
    labels: Sequence[Episode] = (),
    *,
    thresholds: Mapping[str, float] | None = None,
    budget: float | None = None,
    seed: int = 42,
    faults_each: int = 3,
    start: float | None = None,
    end: float | None = None,
    progress: Callable[[str, float], None] = lambda step, share: None,
    check: Callable[[], None] = lambda: None,
) -> Assessment:
    """Measure a model on exports that it has not learnt from.

    thresholds: of the gate; None: those that the model was made with. budget: another alert line than the bundle's.

    Raises:
        ExportError: an export cannot be read, or holds nothing that the model judges.
    """
    source = Source(exports, start, end, check)

    def told(share: float) -> None:
        progress("evaluate", share)

    told(0.0)
    if labels:
        found = source.ordered(
            lambda rows: evaluate(model, rows, labels, budget=budget, seed=seed, check=check),
            part(told, 0.0, READ_SHARE),
        )
    else:
        found = _injected(model, source, budget, seed, faults_each, check, told)
    if not found.windows:
        raise ExportError(
            f"evaluate: nothing to measure in {', '.join(path.name for path in exports)}: no window of "
            f"{', '.join(model.spec.programs[:3])} that {model.agent}_{model.version} judges"
        )
    told(1.0)
    events = found.events
    asked = asked_of(model.metadata) if thresholds is None else thresholds
    gate = check_gate(asked, found.metrics, false=events.false_incidents, host_weeks=events.host_weeks)
    return Assessment(f"{model.agent}_{model.version}", tuple(path.name for path in exports), found, gate)


def _injected(
    model: Model, source: Source, budget: float | None, seed: int, each: int, check: Cancelled, progress: Progress
) -> Evaluation:
    spec, config = model.spec, TrainConfig()
    tables = source.ordered(lambda rows: tabulate(rows, spec, model.reference.known), part(progress, 0.0, TABLE_SHARE))
    clean = guard(tables.roles, spec, config)
    roles = {role: table for role, table in clean.roles.items() if role in model.forests}
    progress(TABLE_SHARE)
    material = Material(spec, config, roles, tables, Learner(spec, ""), source)
    if not roles:
        return replace(evaluate(model, (), ()), notes=("the export holds no window of the model's roles",))
    return evaluate_injected(
        model, source, material.clean_between(*material.span), material.span, avoid=material.unclean(), budget=budget,
        each=each, seed=seed, processes=processes_for(source), check=check, progress=part(progress, TABLE_SHARE, 1.0),
    )  # fmt: skip


def asked_of(metadata: Mapping[str, Any]) -> dict[str, float]:
    """The gate's thresholds as a bundle's metadata tells them; what this release does not know is left out."""
    thresholds = metadata.get("thresholds")
    asked = thresholds.get("expected") if isinstance(thresholds, Mapping) else None
    if not isinstance(asked, Mapping):
        return {}
    return {
        str(name): float(bound)
        for name, bound in asked.items()
        if name in METRICS and isinstance(bound, (int, float)) and not isinstance(bound, bool)
    }
