"""Windows judged again because rows came late: re-read from the source, under the model that scored them first.

    due windows ▸ one reading per hour and model ▸ verdicts ▸ revision + 1

The half hour after such a window looks back at its rows, so those windows are judged again too: afterwards all of them
say what they would have said had the rows come in time. Where rows were deleted meanwhile the old verdicts stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from inference.judging.bench import MakeJudge
from inference.judging.reopen import LATE_AT_MOST_S, Reopen
from inference.models import Serving
from inference.source import Cursor, LogSource
from inference.state import State
from shared.values import Verdict

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 200  # windows in one cycle; the others wait for the next
CLUSTER_S = 3600.0  # windows this close together are read together

# (agent, version) → that model, or None where this machine has it no more.
FindModel = Callable[[str, str], Serving | None]
Place = tuple[str, float]  # host, window start


@dataclass(frozen=True, slots=True)
class _Job:
    """Windows of one agent to be judged again together, by the version that scored them first."""

    serving: Serving
    places: frozenset[Place]
    first: float
    end: float


class Reviser:
    """Judges windows again when their time has come."""

    def __init__(self, state: State, find: FindModel, make: MakeJudge) -> None:
        self._state, self._find, self._make = state, find, make

    def revise(
        self, source: LogSource, cursor: Cursor, serving: Mapping[str, Serving], closed: Mapping[str, float],
        now: float, scored_at: float,
    ) -> list[Verdict]:  # fmt: skip
        """Judge the windows that are due; `serving` and `closed`: the models that judge and up to when each has.

        Raises:
            SourceError: the source failed; the windows wait. StoreError: nothing was changed.
        """
        due = self._state.due_again(now, MOST_AT_ONCE)
        ready = [each for each in due if each.agent in serving and each.window_start < closed[each.agent]]
        revised: list[Verdict] = []
        for cluster in _clusters(ready):
            verdicts: list[Verdict] = []
            heard: dict[tuple[str, str], dict[float, float]] = {}
            for job in self._jobs(cluster, serving[cluster[0].agent], closed[cluster[0].agent]):
                verdicts += self._judged(job, source, cursor, heard)
            revised += self._state.revise(
                verdicts, cluster, scored_at, {place: last.values() for place, last in heard.items()}
            )
        stale = [each for each in due if each.window_start < now - 2 * LATE_AT_MOST_S and each.agent not in serving]
        if stale:
            self._state.revise([], stale, scored_at)
        if revised:
            logger.info("windows judged again count=%d anomalies=%d", len(revised), sum(v.is_anomaly for v in revised))
        return revised

    def _jobs(self, cluster: list[Reopen], serving: Serving, closed: float) -> Iterator[_Job]:
        """The windows of a cluster and those that look back at them, by the version that scored them first."""
        spec = serving.model.spec
        span, agent = float(spec.window_s), serving.agent
        late = {(each.host, each.window_start) for each in cluster}
        looking = {(host, start + k * span) for host, start in late for k in range(spec.long_windows)}
        by_version: dict[str, set[Place]] = {}
        for host, start in looking:
            if start + span > closed:
                continue  # its judge has the rows of the half hour before from the source, or will have
            version = self._state.version_of(agent, host, start)
            if version is None and (host, start) in late and self._state.has_judged(agent, start):
                version = serving.version  # it had no rows before: this is its first verdict
            if version is not None:
                by_version.setdefault(version, set()).add((host, start))
        for version, places in by_version.items():
            found = serving if version == serving.version else self._find(agent, version)
            if found is None:
                logger.warning("late rows not judged: the model is gone agent=%s version=%s", agent, version)
                continue
            starts = [start for _, start in places]
            yield _Job(found, frozenset(places), min(starts), max(starts) + span)

    def _judged(
        self, job: _Job, source: LogSource, cursor: Cursor, heard: dict[tuple[str, str], dict[float, float]]
    ) -> list[Verdict]:
        """The verdicts of a job's windows from what the source has now; none of hosts that have lost rows since.

        Notes in `heard` when the job's hosts spoke last in each window.
        """
        spec, judge = job.serving.model.spec, self._make(job.serving)
        hosts = {host for host, _ in job.places}
        back = 2 * spec.long_windows * spec.window_s  # the trailing view, and the neighbours' findings in it
        for row in source.span(job.first - back, job.end, spec.programs):
            if cursor.has_read(row[0]):
                judge.add(row)
                if row[2] in hosts:
                    heard.setdefault((spec.name, row[2]), {})[row[1] // spec.window_s] = row[1]
        verdicts = judge.close(job.end)
        rows = {(verdict.host, verdict.window_start): verdict.rows for verdict in verdicts}
        found = {(verdict.host, verdict.window_start): verdict for verdict in verdicts if verdict.rows}
        kept = []
        for host, start in sorted(job.places & found.keys()):
            since = start - (spec.long_windows - 1) * spec.window_s
            stored = self._state.rows_of(job.serving.agent, host, since, start)
            if all(rows.get((host, at), 0) >= count for at, count in stored.items()):
                kept.append(found[host, start])
        return kept


def _clusters(due: list[Reopen]) -> Iterator[list[Reopen]]:
    """Windows of one agent that lie close together, in order of time."""
    cluster: list[Reopen] = []
    for each in sorted(due, key=lambda each: (each.agent, each.window_start, each.host)):
        first = cluster[0] if cluster else each
        if each.agent != first.agent or each.window_start - first.window_start > CLUSTER_S:
            yield cluster
            cluster = []
        cluster.append(each)
    if cluster:
        yield cluster
