"""How good is a model? Measured on known episodes, or on known faults laid into normal time; never on its own answers.

    labels      rows ▸ verdicts ▸ compare with the episodes
    no labels   plan faults in clean windows ▸ rows ▸ verdicts of the clean log, verdicts of each fault ▸ compare

Two levels: episodes (found? how soon? by which name? how often false?) and windows (the field's standard metrics).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from shared.model import Model
from shared.values import Row
from trainer.helper import done_together
from trainer.inject import Clean, load_faults, plan
from trainer.labels import Episode
from trainer.measuring.evaluation import Evaluation
from trainer.measuring.events_found import WEEK_S, weeks_of
from trainer.measuring.figures import measure
from trainer.measuring.judged import NONE, Against, Judged
from trainer.measuring.seen import Watcher
from trainer.measuring.stretch import Stretch, joined, judge_stretch
from trainer.measuring.trivial import Floats
from trainer.watched import Cancelled, Progress, Watched, no_check, no_progress
from trainer.windows.source import Source

EACH = 3  # injected faults of every kind


def evaluate(
    model: Model,
    rows: Iterable[Row],
    episodes: Sequence[Episode],
    *,
    budget: float | None = None,
    seed: int = 42,
    progress: Progress = no_progress,
    check: Cancelled = no_check,
) -> Evaluation:
    """A model against the known episodes of a log that it has not learnt from. rows: in time order."""
    watcher = Watcher(_at(model, budget))
    against = Against(episodes)
    against.take(watcher, Watched(progress, check).rows(rows))
    return measure(watcher.model, against.judged(watcher.model), weeks_of(against.seen), seed=seed)


def evaluate_injected(
    model: Model,
    source: Source,
    clean: Clean,
    span: tuple[int, int],
    *,
    avoid: Collection[tuple[str, int]] = (),
    episodes: Sequence[Episode] = (),
    budget: float | None = None,
    each: int = EACH,
    seed: int = 42,
    reference: Mapping[str, Floats] | None = None,
    parts: Mapping[str, tuple[int, int]] | None = None,
    processes: int = 1,
    progress: Progress = no_progress,
    check: Cancelled = no_check,
) -> Evaluation:
    """A model against known faults laid into clean windows between two window numbers.

    clean: windows that faults may be laid into; avoid: those that they must keep away from. episodes: labelled ones, whose
    alarms are right. reference: see `baselines`. parts: named spans of window numbers whose rates of false incidents are
    told apart. Each half of the span is judged by itself.
    """
    model, width = _at(model, budget), model.spec.window_s
    (first, last), middle = span, sum(span) // 2
    planned = plan(load_faults(model.agent), clean, model.spec, span, each=each, seed=seed, avoid=avoid)
    works = [
        partial(judge_stretch, model, Stretch(
            source, start * width, end * width, episodes,
            tuple(one for one in planned if start * width <= one.start < end * width),
        ))
        for start, end in ((first, middle), (middle, last))
    ]  # fmt: skip
    judged = joined(done_together(works, processes, "judges held-out days", check, progress))
    hosts = len({one.host for one in judged.seen})
    weeks = hosts * (last - first) * width / WEEK_S
    found = measure(model, judged, weeks, seed=seed, reference=reference)
    apart = {name: _part(judged, hosts, start * width, end * width) for name, (start, end) in (parts or {}).items()}
    rates = {f"{name}_false_incidents_per_host_week": rate for name, (_, rate) in apart.items() if rate is not None}
    counts = {f"{name}_windows": windows for name, (windows, _) in apart.items()}
    return replace(found, metrics={**found.metrics, **rates}, more=counts)


def _part(judged: Judged, hosts: int, start: float, end: float) -> tuple[int, float | None]:
    """Ordinary windows of a span, and its false incidents per host-week."""
    windows = sum(
        start <= one.start < end for one, group in zip(judged.seen, judged.groups, strict=True) if group == NONE
    )
    weeks = hosts * (end - start) / WEEK_S
    false = judged.false(lambda one: one.flagged and start <= one.start < end)
    return windows, round(len(false) / weeks, 4) if windows and weeks else None


def _at(model: Model, budget: float | None) -> Model:
    """The model with the threshold of another budget."""
    if budget is None:
        return model
    return replace(model, reference=replace(model.reference, threshold=model.threshold(budget)))
