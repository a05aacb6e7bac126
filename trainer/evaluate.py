"""How good is a model? Measured on known episodes, or on known faults laid into normal time; never on its own answers.

    labels      rows ▸ verdicts ▸ compare with the episodes
    no labels   plan faults in clean windows ▸ rows ▸ verdicts of the clean log, verdicts of each fault ▸ compare

Two levels: episodes (found? how soon? by which name? how often false?) and windows (the field's standard metrics).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from shared.model import Model
from shared.values import Row
from trainer.evaluation import INJECTED, Evaluation
from trainer.events_found import WEEK_S, outcome_of
from trainer.figures import measure
from trainer.inject import SILENCE, Cast, Clean, Collector, Planned, lay, load_faults, plan
from trainer.judged import IGNORED, NONE, Against, Judged
from trainer.labels import Episode
from trainer.seen import Watcher
from trainer.trivial import Floats
from trainer.watched import Cancelled, Progress, Watched, no_check, no_progress, part, span_weeks

EACH = 3  # injected faults of every kind
ROWS_SHARE = 0.6  # of the work is judging the log itself


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
    watched, against = Watched(progress, check), Against(episodes)
    against.take(watcher, watched.rows(rows))
    return measure(watcher.model, against.judged(watcher.model), span_weeks(watched), seed=seed)


def evaluate_injected(
    model: Model,
    rows: Iterable[Row],
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
    progress: Progress = no_progress,
    check: Cancelled = no_check,
) -> Evaluation:
    """A model against known faults laid into clean windows between two window numbers.

    rows: of that span, in time order, and of the half hour before it. clean: windows that faults may be laid into; avoid:
    those that they must keep away from. episodes: labelled ones, whose alarms are right. reference: see `baselines`.
    parts: named spans of window numbers whose rate of false incidents is told apart.
    """
    model = _at(model, budget)
    watcher, against, width = Watcher(model), Against(episodes), model.spec.window_s
    watched = Watched(part(progress, 0.0, ROWS_SHARE), check, (span[0] * width, span[1] * width))
    planned = plan(load_faults(model.agent), clean, model.spec, span, each=each, seed=seed, avoid=avoid)
    collector, cast = Collector(planned, model.spec), Cast(model.spec)

    def looked_at() -> Iterable[Row]:
        for row in watched.rows(rows):
            collector.see(row)
            cast.see(row)
            yield row

    against.take(watcher, looked_at(), span[0] * width, span[1] * width)
    ordinary = [NONE if group == NONE else IGNORED for group in against.groups]
    judged = Judged(INJECTED, against.seen, ordinary, [NONE] * len(ordinary), [], episodes)
    hosts = len({one.host for one in judged.seen})
    for number, (one, own) in enumerate(zip(planned, collector.rows, strict=True)):
        check()
        part(progress, ROWS_SHARE, 1.0)(number / len(planned))
        _one_fault(watcher, one, own, cast, judged)
    weeks = hosts * (span[1] - span[0]) * width / WEEK_S
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


def _one_fault(watcher: Watcher, planned: Planned, own: Sequence[Row], cast: Cast, judged: Judged) -> None:
    rows = lay(planned, own, cast)
    if rows is None:
        return
    verdicts = watcher.fault(planned, rows)
    spec, number = planned.spec, len(judged.outcomes)
    roles = [verdict.role for verdict in verdicts]
    judged.outcomes.append(
        outcome_of(
            spec.name, spec.title, planned.host, roles[0] if roles else spec.role, planned.start, planned.end,
            verdicts, spec.types or None, "silence" if spec.kind == SILENCE else True,
        )
    )  # fmt: skip
    if spec.kind == SILENCE:
        return
    for verdict in verdicts:
        if verdict.window_start < planned.end:
            judged.seen.append(watcher.seen(verdict))
            judged.groups.append(number)
            judged.touching.append(number)


def _at(model: Model, budget: float | None) -> Model:
    """The model with the threshold of another budget."""
    if budget is None:
        return model
    return replace(model, reference=replace(model.reference, threshold=model.threshold(budget)))
