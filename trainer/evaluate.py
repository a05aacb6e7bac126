"""How good is a model? Measured on known episodes, or on known faults laid into normal time; never on its own answers.

    labels      rows ▸ verdicts ▸ compare with the episodes
    no labels   plan faults in clean windows ▸ rows ▸ verdicts of the clean log, verdicts of each fault ▸ compare

Two levels: episodes (found? how soon? by which name? how often false?) and windows (the field's standard metrics).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.model import Model
from shared.values import Row, Verdict
from trainer.calibrate import BUDGETS
from trainer.events_found import (
    GRACE_S,
    WEEK_S,
    EventScore,
    Outcome,
    event_score,
    false_incidents,
    outcome_of,
    touches,
)
from trainer.importance import Importance, importances
from trainer.inject import SILENCE, Cast, Clean, Collector, Planned, lay, load_faults, plan
from trainer.labels import Episode
from trainer.pseudonyms import Pseudonyms
from trainer.seen import Seen, Watcher
from trainer.trivial import Baseline, Floats, baselines
from trainer.window_scores import Confusion, Sample, window_metrics

Bools = npt.NDArray[np.bool_]
Progress = Callable[[float], None]  # share done
Cancelled = Callable[[], None]  # raises to stop

LABELS, INJECTED = "labels", "injected faults"
MOST_ALARMS = 10
EACH = 3  # injected faults of every kind
NONE, IGNORED = -1, -2  # groups of windows: no fault; too near to one to say
CHECK_EVERY = 20_000  # rows between two looks at progress and cancellation


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


def no_check() -> None:
    """Nobody cancels."""


def no_progress(_share: float) -> None:
    """Nobody watches."""


# --- with labels -------------------------------------------------------------------------------------------------


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


@dataclass
class Judged:
    """Windows of one log with their truth.

    groups: number of the outcome whose target each window is of, NONE, or IGNORED: what an episode leaves behind, and
    windows of other hosts that it touched, where an alarm is right and its absence no miss. touching: number of the outcome
    that touched the window in any way, or NONE. episodes: known ones whose alarms are no false ones.
    """

    method: str
    seen: list[Seen]
    groups: list[int]
    touching: list[int]
    outcomes: list[Outcome]
    episodes: Sequence[Episode] = ()

    def false(self, flagged: Callable[[Seen], bool]) -> list[list[Seen]]:
        """False incidents if windows were flagged so; windows that faults were laid into do not count."""
        injected = self.method == INJECTED
        noisy = [
            one
            for one, group in zip(self.seen, self.groups, strict=True)
            if not (injected and group >= 0) and flagged(one)
        ]
        return false_incidents(noisy, self.episodes)


class Against:
    """Compares verdicts with known episodes, log after log."""

    def __init__(self, episodes: Sequence[Episode]) -> None:
        self.episodes = episodes
        self.seen: list[Seen] = []
        self.groups: list[int] = []
        self.touching: list[int] = []
        self._touched: dict[int, list[Verdict]] = {}
        self._by_host: dict[str, list[int]] = {}
        for number, episode in enumerate(episodes):
            for host in episode.hosts:
                self._by_host.setdefault(host, []).append(number)

    def take(self, watcher: Watcher, rows: Iterable[Row], start: float = -math.inf, end: float = math.inf) -> None:
        """Judge a log's rows; windows that begin before `start` or at `end` (s) and later only fill the view."""
        for verdict in watcher.stream(rows):
            if start <= verdict.window_start < end:
                one = watcher.seen(verdict)
                self.seen.append(one)
                group, touching = self._place(one, verdict)
                self.groups.append(group)
                self.touching.append(touching)

    def _place(self, one: Seen, verdict: Verdict) -> tuple[int, int]:
        group = touching = NONE
        for number in self._by_host.get(one.host, ()):
            episode = self.episodes[number]
            # a window may begin up to its own length after the end: the last lines are judged there
            if one.start <= episode.end + (one.end - one.start) and one.end >= episode.start:
                self._keep(number, verdict)
            shown = touches(episode, one.host, one.start, one.end) and episode.visible is not False
            touching = number if shown else touching
            if shown and one.host == episode.host:
                group = number
            elif one.start <= episode.end + GRACE_S and one.end >= episode.start and group == NONE:
                group = IGNORED
        return group, touching

    def _keep(self, number: int, verdict: Verdict) -> None:
        """Anomalies of an episode; of one without any, the strangest window."""
        known = self._touched.setdefault(number, [])
        if verdict.is_anomaly or not known:
            known.append(verdict)
        elif len(known) == 1 and not known[0].is_anomaly and (verdict.score or 0.0) > (known[0].score or 0.0):
            known[0] = verdict

    def judged(self, model: Model) -> Judged:
        """All that was taken in."""
        outcomes = [
            outcome_of(
                episode.type, _title(model, episode.type), episode.host, "", episode.start, episode.end,
                self._touched.get(number, ()), (episode.type,), episode.visible,
            )
            for number, episode in enumerate(self.episodes)
        ]  # fmt: skip
        return Judged(LABELS, self.seen, self.groups, self.touching, outcomes, self.episodes)


def _title(model: Model, kind: str) -> str:
    rules = {rule.names: rule.title for rule in reversed(model.spec.rules)}
    silence = model.spec.silence
    if silence is not None:
        rules.setdefault(silence.type, "Host falls silent")
    return rules.get(kind, kind.replace("_", " ").capitalize())


# --- without labels ----------------------------------------------------------------------------------------------


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
    watcher, watched, against = Watcher(model), Watched(progress, check), Against(episodes)
    planned = plan(load_faults(model.agent), clean, model.spec, span, each=each, seed=seed, avoid=avoid)
    collector, cast = Collector(planned, model.spec), Cast(model.spec)

    def looked_at() -> Iterable[Row]:
        for row in watched.rows(rows):
            collector.see(row)
            cast.see(row)
            yield row

    width = model.spec.window_s
    against.take(watcher, looked_at(), span[0] * width, span[1] * width)
    ordinary = [NONE if group == NONE else IGNORED for group in against.groups]
    judged = Judged(INJECTED, against.seen, ordinary, [NONE] * len(ordinary), [], episodes)
    hosts = len({one.host for one in judged.seen})
    for one, own in zip(planned, collector.rows, strict=True):
        check()
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


# --- both --------------------------------------------------------------------------------------------------------


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


def _at(model: Model, budget: float | None) -> Model:
    """The model with the threshold of another budget."""
    if budget is None:
        return model
    return replace(model, reference=replace(model.reference, threshold=model.threshold(budget)))


class Watched:
    """Counts rows, hosts and time while they stream by, tells progress and asks whether to go on."""

    def __init__(self, progress: Progress, check: Cancelled, expected: int = 0) -> None:
        self.count, self.first, self.last = 0, 0.0, 0.0
        self.hosts: set[str] = set()
        self._progress, self._check, self._expected = progress, check, expected

    def rows(self, rows: Iterable[Row]) -> Iterable[Row]:
        for row in rows:
            if self.count == 0:
                self.first = self.last = row[1]
            self.count += 1
            self.last = max(self.last, row[1])
            self.hosts.add(row[2])
            if self.count % CHECK_EVERY == 0:
                self._check()
                self._progress(min(0.99, self.count / self._expected) if self._expected else 0.0)
            yield row


def span_weeks(watched: Watched) -> float:
    """Host-weeks of a log: every host counts for the whole time."""
    return len(watched.hosts) * (watched.last - watched.first) / WEEK_S
