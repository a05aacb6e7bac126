"""The judges of the serving models: one per agent, all fed from one reading of the log.

A judge gets its rows in order of (time, id), and only when the moment they belong to is closed: the verdicts then do
not depend on the order in which rows became visible, on restarts or on swaps, and equal those of `replay`. Until then
the rows wait in a bounded buffer; what a crash loses of it is below the saved cursor and is read again from the source.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from inference.judging.bench import FOREVER, Bench, MakeJudge, warm
from inference.judging.reopen import EARLY_S, Reopen
from inference.models import Serving, Slot
from inference.source import Cursor, LogSource
from shared.values import Row, Verdict

logger = logging.getLogger(__name__)

RETRY_S = 300.0  # a judge that failed is tried again, without losing rows: they are read again from where it stood
PIECE_S = 3600.0
DAY_S = 86_400.0
AHEAD_S = 3600.0  # windows judged further ahead of the source's clock than this: it was wrong, and is right again


class Judges:
    """All benches; `refresh` makes them follow the model slot."""

    def __init__(self, slot: Slot, make: MakeJudge, grace_s: float | None = None, late_s: float = 900.0) -> None:
        self._slot, self._make, self._grace_s, self._late_s = slot, make, grace_s, late_s
        self._benches: dict[str, Bench] = {}
        self._failed: dict[str, tuple[Serving, float]] = {}
        self._changes = -1
        self._orphans: list[Reopen] = []  # noted by judges that failed since
        self._counts = (0, 0)
        self.errors: dict[str, str] = {}  # agent → what its judge died of

    def refresh(self, source: LogSource, cursor: Cursor, memory_of: Callable[[str], dict[str, Any] | None]) -> None:
        """Seat a judge for every serving model that has none yet.

        A new judge takes over the memory of the one before it (of the state file after a restart) and is shown what the
        source still has of the open windows and the half hour before them.
        """
        self._forgive()
        if self._changes == self._slot.changes:
            return
        changes = self._slot.changes
        serving = {
            each.agent: each for each in self._slot.all() if self._failed.get(each.agent, (None,))[0] is not each
        }
        seated = {agent: bench for agent, bench in self._benches.items() if bench.serving is serving.get(agent)}
        for agent, each in serving.items():
            if agent not in seated:
                former = self._benches.get(agent)
                memory = former.judge.memory() if former else memory_of(agent)
                seated[agent] = self._seat(each, memory, source, cursor)
        self._benches, self._changes = seated, changes

    def _seat(self, serving: Serving, memory: dict[str, Any] | None, source: LogSource, cursor: Cursor) -> Bench:
        bench = Bench(serving, self._make(serving), [], self._grace(serving))
        if memory is None and cursor.last == cursor.first:
            return bench  # nothing was read yet: everything comes by itself
        now = source.head().now
        if memory is None:  # an agent's first model: what was before it is nobody's
            memory = {"closed_until": self._complete(serving, now)}
        bench.judge.restore(memory)
        began = time.monotonic()
        count = warm(bench, source.span(bench.judge.warm_since(), now + EARLY_S, bench.programs), cursor)
        logger.info(
            "judge warmed agent=%s version=%s rows=%d seconds=%.2f",
            serving.agent, serving.version, count, time.monotonic() - began,
        )  # fmt: skip
        return bench

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that any agent wants."""
        return tuple(sorted({program for bench in self._benches.values() for program in bench.programs}))

    def turn_back(self, now: float, source: LogSource, cursor: Cursor) -> None:
        """Where windows were judged far ahead of the source's clock, it was wrong: begin again at `now`."""
        for agent, bench in list(self._benches.items()):
            if bench.judge.closed_until > now + AHEAD_S:
                logger.warning(
                    "the source's clock went back agent=%s seconds=%.0f", agent, bench.judge.closed_until - now
                )
                memory = {**bench.judge.memory(), "closed_until": self._complete(bench.serving, now)}
                self._orphans += bench.notes.take()
                self._benches[agent] = self._seat(bench.serving, memory, source, cursor)

    def begin_again(self, source: LogSource, cursor: Cursor) -> None:
        """The table is another one: what waits and what is open is read again with it."""
        for agent, bench in list(self._benches.items()):
            self._orphans += bench.notes.take()
            self._benches[agent] = self._seat(bench.serving, bench.judge.memory(), source, cursor)

    def set_budgets(self, budget_of: Callable[[Serving], float | None]) -> None:
        """Judge for these incidents a week and host from the next window on."""
        for bench in self._benches.values():
            bench.judge.set_budget(budget_of(bench.serving))

    def add(self, rows: list[Row], now: float = FOREVER) -> None:
        """Hand each agent the rows of its programs; `now` is the source's clock."""
        for agent, bench in list(self._benches.items()):
            wanted = frozenset(bench.programs)
            with self._apart(agent):
                bench.add((row for row in rows if row[3] in wanted), now)

    def until_drained(self, now: float) -> dict[str, float]:
        """Up to when each agent's windows are complete once everything up to the source's `now` has been read."""
        return {agent: now - bench.grace_s for agent, bench in self._benches.items()}

    def until_behind(self, rows: list[Row], now: float) -> dict[str, float]:
        """The same in the middle of a backlog, from the rows of one batch.

        Ids ascend and times nearly do: rows still to come are at most `late_s` older than the middle row of this
        batch. The middle, because one host's broken clock must not decide for all.
        """
        if not rows:
            return {}
        times = sorted(row[1] for row in rows)
        until = min(times[len(times) // 2], now) - self._late_s
        return dict.fromkeys(self._benches, until)

    def pieces(self, until: Mapping[str, float]) -> Iterator[Mapping[str, float]]:
        """`until` in hours, so that a backlog's verdicts are never in memory all at once."""
        points: set[float] = set()
        for agent, end in until.items():
            bench = self._benches[agent]
            times = [row[1] for row in bench.waiting]
            begin = bench.judge.closed_until if bench.judge.closed_until > -FOREVER else min(times, default=end)
            last = min(end, max([begin, *times]) + DAY_S)  # a day after its last row a host is gone, and silent no more
            points.update(begin + PIECE_S * n for n in range(1, int((last - begin) / PIECE_S) + 1))
        for point in sorted(points):
            yield {agent: min(point, end) for agent, end in until.items()}
        yield until

    def close(self, until: Mapping[str, float]) -> Iterator[tuple[str, list[Verdict], float]]:
        """Judge every agent's complete windows; gives (agent, verdicts, CPU seconds)."""
        for agent, bench in list(self._benches.items()):
            verdicts: list[Verdict] = []
            began = time.thread_time()
            if agent in until:
                with self._apart(agent):
                    verdicts = bench.close(until[agent])
                yield agent, verdicts, time.thread_time() - began

    def memories(self) -> dict[str, dict[str, Any]]:
        """What must survive a restart, by agent."""
        return {agent: bench.judge.memory() for agent, bench in self._benches.items()}

    def closed(self) -> dict[str, float]:
        """Up to when each agent has judged."""
        return {agent: bench.judge.closed_until for agent, bench in self._benches.items()}

    def take_reopened(self) -> list[Reopen]:
        """Windows that rows came for out of time, since the last call."""
        noted, self._orphans = self._orphans, []
        for bench in self._benches.values():
            noted += bench.notes.take()
        return noted

    def take_counts(self) -> tuple[int, int]:
        """Rows (of windows already judged, of the far future) since the last call."""
        (late, early), self._counts = self._counts, (0, 0)
        for bench in self._benches.values():
            counts = bench.notes.take_counts()
            late, early = late + counts[0], early + counts[1]
        return late, early

    def take_passed_over(self) -> int:
        """Rows of hosts that were not let in since the last call."""
        return sum(bench.judge.take_passed_over() for bench in self._benches.values())

    def serving(self) -> dict[str, Serving]:
        """The models that judge, by agent."""
        return {agent: bench.serving for agent, bench in self._benches.items()}

    @contextmanager
    def _apart(self, agent: str) -> Iterator[None]:
        """A judge that raises is unseated; the other agents go on. Its saved memory stays where it was."""
        try:
            yield
        except Exception as error:
            logger.exception("judge failed and pauses agent=%s", agent)
            bench = self._benches.pop(agent)
            self._orphans += bench.notes.take()
            self._counts = bench.notes.take_counts()
            self._failed[agent] = (bench.serving, time.monotonic() + RETRY_S)
            self.errors[agent] = f"{type(error).__name__}: {error}"

    def _forgive(self) -> None:
        """Let judges that failed long ago be seated again."""
        for agent, (_, until) in list(self._failed.items()):
            if time.monotonic() >= until:
                del self._failed[agent]
                self._changes = -1

    def take_errors(self) -> dict[str, str]:
        """The judges that failed since the last call."""
        errors, self.errors = self.errors, {}
        return errors

    def _grace(self, serving: Serving) -> float:
        return self._grace_s if self._grace_s is not None else float(serving.model.spec.grace_s)

    def _complete(self, serving: Serving, now: float) -> float:
        """Up to when windows are complete at `now`."""
        span_s = serving.model.spec.window_s
        return (now - self._grace(serving)) // span_s * span_s
