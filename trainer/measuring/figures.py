"""From judged windows to figures: of episodes and of windows, at this threshold and at others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shared.model import Model
from trainer.fitting.calibrate import BUDGETS
from trainer.measuring.evaluation import Evaluation
from trainer.measuring.events_found import EventScore, event_score
from trainer.measuring.importance import importances
from trainer.measuring.judged import IGNORED, Judged
from trainer.measuring.seen import Seen
from trainer.measuring.trivial import Floats, baselines
from trainer.measuring.window_scores import Sample, window_metrics

MOST_ALARMS = 10


def measure(
    model: Model, judged: Judged, host_weeks: float, *, seed: int, reference: Mapping[str, Floats] | None = None
) -> Evaluation:
    """Everything from judged windows to figures."""
    pairs = [
        (one, group)
        for one, group in zip(judged.seen, judged.groups, strict=True)
        if group != IGNORED and not one.silent
    ]
    seen, groups = [one for one, _ in pairs], [group for _, group in pairs]
    truth = np.array([group >= 0 for group in groups], dtype=bool)
    sample = Sample(
        truth,
        np.array([one.score for one in seen], dtype=np.float64),
        np.array([one.ruled for one in seen], dtype=bool),
    )
    flagged = np.array([one.flagged for one in seen], dtype=bool)
    false = judged.false(lambda one: one.flagged)
    events = event_score(judged.outcomes, len(false), host_weeks)
    both = sample.both
    return Evaluation(
        method=judged.method,
        outcomes=tuple(judged.outcomes),
        events=events,
        windows=len(seen),
        ordinary_windows=int((~truth).sum()),
        confusion=sample.confusion(flagged) if both else None,
        metrics={**window_metrics(sample, flagged), **event_metrics(events)},
        threshold=model.reference.threshold,
        sweep=tuple(sample.sweep(model.reference.threshold)) if both else (),
        budgets=tuple(_budget_curve(model, judged, host_weeks)),
        percentiles=sample.percentiles() if both else {},
        histogram=_histogram(sample) if both else {},
        baselines=tuple(baselines(seen, truth, groups, reference)) if both else (),
        importance=tuple(importances(model, seen, truth, seed)) if both else (),
        alarms=tuple(_alarms(false)),
    )


def _alarms(false: Sequence[Sequence[Seen]]) -> list[dict[str, Any]]:
    """What false incidents were called, by the model or by a rule, and how many hosts had them; most frequent first."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for incident in false:
        by = "rule" if any(one.ruled for one in incident) else "model"
        kinds.setdefault((str(incident[0].type), by), []).append(incident[0].host)
    ranked = sorted(kinds.items(), key=lambda item: (-len(item[1]), item[0]))
    return [
        {"type": kind, "by": by, "incidents": len(hosts), "hosts": len(set(hosts))}
        for (kind, by), hosts in ranked[:MOST_ALARMS]
    ]


def event_metrics(events: EventScore) -> dict[str, float]:
    """The event level as figures that a gate may ask for."""
    found = {
        "episodes": float(events.visible + events.silences),
        "episodes_found": float(events.found + events.silences_found),
        "false_incidents": float(events.false_incidents),
        "host_weeks": round(events.host_weeks, 3),
    }
    if events.recall is not None:
        found["episode_recall"] = round(events.recall, 4)
    if events.nameable:
        found["named_right"] = round(events.named / events.nameable, 4)
    if events.median_delay_s is not None:
        found["median_delay_s"] = round(events.median_delay_s, 1)
    if events.false_rate is not None:
        found["false_incidents_per_host_week"] = round(events.false_rate, 4)
    return found


def _budget_curve(model: Model, judged: Judged, host_weeks: float) -> Iterable[dict[str, float]]:
    """What other alert budgets would have found, and how often they would have been wrong; rules on top."""
    total = sum(one.visible is not False for one in judged.outcomes)
    if not total or host_weeks <= 0:
        return
    always = {i for i, one in enumerate(judged.outcomes) if one.found and one.found_by == "silence"}
    for budget in BUDGETS:
        line = model.threshold(budget)
        found = set(always)
        for one, group in zip(judged.seen, judged.touching, strict=True):
            if group >= 0 and (one.ruled or one.score > line):
                found.add(group)
        noisy = judged.false(lambda one, line=line: one.ruled or one.score > line)  # type: ignore[misc]
        yield {
            "budget": budget, "threshold": round(line, 6), "found": len(found), "episodes": total,
            "false_incidents_per_host_week": round(len(noisy) / host_weeks, 4),
        }  # fmt: skip


def _histogram(sample: Sample) -> dict[str, Sequence[float]]:
    edges = np.histogram_bin_edges(sample.scores, bins=40)
    return {
        "edges": [round(float(edge), 6) for edge in edges],
        "normal": [int(n) for n in np.histogram(sample.scores[~sample.truth], edges)[0]],
        "fault": [int(n) for n in np.histogram(sample.scores[sample.truth], edges)[0]],
    }
