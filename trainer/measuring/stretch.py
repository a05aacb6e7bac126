"""A stretch of a log judged by one model, with known faults laid into it.

Stretches are judged by themselves, each with the rows before it that fill the views: so several processes may share a log,
and what they find does not depend on how many they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.model import Model
from shared.values import Row
from trainer.inject import SILENCE, Cast, Collector, Planned, context_s, lay
from trainer.labels import Episode
from trainer.measuring.events_found import outcome_of
from trainer.measuring.judged import IGNORED, INJECTED, NONE, Against, Judged
from trainer.measuring.seen import Watcher
from trainer.watched import Cancelled, Progress, Watched, no_check, no_progress, part
from trainer.windows.source import Source

WARM_S = 7200.0  # rows before a stretch that fill trailing views and tell who is there
ROWS_SHARE = 0.6  # of the work is judging the log itself


@dataclass(frozen=True)
class Stretch:
    """Windows that begin from `start` (s) on and before `end`. planned: faults that begin in it."""

    source: Source
    start: float
    end: float
    episodes: Sequence[Episode] = ()
    planned: Sequence[Planned] = ()


def judge_stretch(
    model: Model, stretch: Stretch, check: Cancelled = no_check, progress: Progress = no_progress
) -> Judged:
    """The log as it was, and then every fault laid into it. Alarms of labelled episodes are right."""
    width, planned = model.spec.window_s, stretch.planned
    watcher, against = Watcher(model), Against(stretch.episodes)
    watched = Watched(part(progress, 0.0, ROWS_SHARE), check, (stretch.start, stretch.end))
    collector, cast = Collector(planned, model.spec), Cast(model.spec)

    def looked_at(rows: Iterable[Row]) -> Iterable[Row]:
        for row in watched.rows(rows):
            collector.see(row)
            cast.see(row)
            yield row

    first = min([stretch.start - WARM_S, *(one.start - context_s(one, model.spec) for one in planned)])
    last = max([stretch.end, *(one.end + 2 * width for one in planned)])
    against.take(watcher, looked_at(stretch.source.between(first, last)), stretch.start, stretch.end)
    ordinary = [NONE if group == NONE else IGNORED for group in against.groups]
    judged = Judged(INJECTED, against.seen, ordinary, [NONE] * len(ordinary), [], stretch.episodes)
    for number, (one, own) in enumerate(zip(planned, collector.rows, strict=True)):
        check()
        part(progress, ROWS_SHARE, 1.0)(number / len(planned))
        _one_fault(watcher, one, own, cast, judged)
    return judged


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


def joined(parts: Sequence[Judged]) -> Judged:
    """Stretches of one log as one."""
    whole = Judged(parts[0].method, [], [], [], [], parts[0].episodes)
    for one in parts:
        before = len(whole.outcomes)
        whole.seen += one.seen
        whole.groups += [group + before if group >= 0 else group for group in one.groups]
        whole.touching += [group + before if group >= 0 else group for group in one.touching]
        whole.outcomes += one.outcomes
    return whole


def judge_episodes(
    model: Model, stretch: Stretch, check: Cancelled = no_check, _progress: Progress = no_progress
) -> Against:
    """The log beside its labels."""
    against, watched = Against(stretch.episodes), Watched(no_progress, check)
    rows = stretch.source.between(stretch.start - WARM_S, stretch.end)
    against.take(Watcher(model), watched.rows(rows), stretch.start, stretch.end)
    return against
