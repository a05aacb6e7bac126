"""A second version judged beside the active one: the same rows, the same judge, verdicts in their own table, no alerts.

A challenger can harm nobody: its failures unseat it alone, it has no part in cursor, memory or incidents, and after a
restart it begins where the active version's judge stands.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from inference.judging.bench import FOREVER, MakeJudge
from inference.judging.judges import Judges
from inference.models import ModelSlot, Serving
from inference.said import switches
from inference.source import Cursor, LogSource
from shared.values import Row, Verdict

logger = logging.getLogger(__name__)

KEPT = 2000  # verdicts that wait in memory; a backlog has more
MemoryOf = Callable[[str], dict[str, Any] | None]


class Awake:
    """The serving models without those of paused agents: what the judges see of the slot."""

    def __init__(self, slot: ModelSlot) -> None:
        self._slot = slot
        self._paused: frozenset[str] = frozenset()
        self._pauses = 0

    def pause(self, agents: frozenset[str]) -> bool:
        """Leave these out from now on; whether that is a change."""
        changed = agents != self._paused
        self._paused = agents
        self._pauses += changed
        return changed

    @property
    def paused(self) -> frozenset[str]:
        """The agents that are left out."""
        return self._paused

    @property
    def changes(self) -> int:
        """Grows with every swap and every pause."""
        return self._slot.changes + self._pauses

    def all(self) -> tuple[Serving, ...]:
        """Every serving model that is not paused, by agent's name."""
        return tuple(serving for serving in self._slot.all() if serving.agent not in self._paused)


class ChallengedJudges(Judges):
    """The judges of the serving models, with the challengers' beside them."""

    def __init__(
        self, slot: Awake, beside: ModelSlot, make: MakeJudge, grace_s: float | None = None, late_s: float = 900.0,
        sink: Callable[[list[Verdict]], None] = lambda verdicts: None,
    ) -> None:  # fmt: skip
        super().__init__(slot, make, grace_s, late_s)
        self._beside = Judges(beside, make, grace_s, late_s)
        self._sink = sink

    def refresh(self, source: LogSource, cursor: Cursor, memory_of: MemoryOf) -> None:
        """Seat judges for both slots; a challenger starts where its agent's active judge stands."""
        super().refresh(source, cursor, memory_of)

        def like_the_active(agent: str) -> dict[str, Any] | None:
            bench = self._benches.get(agent)
            return bench.judge.memory() if bench else memory_of(agent)

        self._beside.refresh(source, cursor, like_the_active)

    @property
    def programs(self) -> tuple[str, ...]:
        """Programs that any agent wants, in either version."""
        return tuple(sorted({*super().programs, *self._beside.programs}))

    def turn_back(self, now: float, source: LogSource, cursor: Cursor) -> None:
        """Where the source's clock was wrong, both begin again."""
        super().turn_back(now, source, cursor)
        self._beside.turn_back(now, source, cursor)

    def begin_again(self, source: LogSource, cursor: Cursor) -> None:
        """Where the table is another one, both read it again."""
        super().begin_again(source, cursor)
        self._beside.begin_again(source, cursor)

    def set_budgets(self, budget_of: Callable[[Serving], float | None]) -> None:
        """The same alert budget for both, so that they can be compared."""
        super().set_budgets(budget_of)
        self._beside.set_budgets(budget_of)

    def add(self, rows: list[Row], now: float = FOREVER) -> None:
        """Hand the rows to both; windows that rows come too late for are judged again by the active version alone."""
        super().add(rows, now)
        self._beside.add(rows, now)
        self._beside.take_reopened()
        self._beside.take_counts()

    def close(self, until: Mapping[str, float]) -> Iterator[tuple[str, list[Verdict], float]]:
        """Judge with both; only the active versions' verdicts are given, the others go to the sink."""
        yield from super().close(until)
        for agent, verdicts, cpu_s in self._beside.close(until):
            if verdicts:
                logger.debug("challenger judged agent=%s windows=%d cpu_s=%.4f", agent, len(verdicts), cpu_s)
                self._sink(verdicts)

    def take_challenger_errors(self) -> dict[str, str]:
        """The challengers that failed since the last call."""
        return self._beside.take_errors()


class Challengers:
    """The slot of the challengers, their verdicts until they are written, and what the pages want of them."""

    def __init__(self, db: sqlite3.Connection, load: Callable[[str, str], Serving]) -> None:
        self.db, self._load = db, load
        self.slot = ModelSlot()
        self._waiting: list[Verdict] = []

    def follow(self, active: Mapping[str, str], now: float) -> None:
        """Load what is wanted as a challenger and drop what is not; `active` are the serving versions by agent."""
        wanted = {
            agent: each.challenger
            for agent, each in switches.switches(self.db).items()
            if each.challenger and agent in active and each.challenger != active[agent]
        }
        known = switches.challengers(self.db)
        for agent in known.keys() - wanted.keys():
            self.slot.drop(agent)
            switches.end_challenger(self.db, agent)
        for agent, version in wanted.items():
            serving = self.slot.get(agent)
            if serving is not None and serving.version == version:
                continue
            if agent in known and known[agent].version == version and known[agent].error and serving is None:
                continue  # it failed before; another wish may try again
            self._seat(agent, version, now)

    def _seat(self, agent: str, version: str, now: float) -> None:
        try:
            serving = self._load(agent, version)
        except Exception as error:  # whatever is wrong with a challenger, the active version goes on
            logger.warning("challenger not loaded agent=%s version=%s error=%s", agent, version, error)
            self.slot.drop(agent)
            switches.begin_challenger(self.db, agent, version, now, f"{type(error).__name__}: {error}")
            return
        self._waiting = [verdict for verdict in self._waiting if verdict.agent != agent]
        switches.begin_challenger(self.db, agent, version, now)
        self.slot.put(serving)
        logger.info("challenger is judged beside the active version agent=%s version=%s", agent, version)

    def take(self, verdicts: list[Verdict]) -> None:
        """Keep verdicts until the cycle is saved."""
        self._waiting += verdicts
        if len(self._waiting) > KEPT:
            self.flush({})

    def flush(self, errors: Mapping[str, str]) -> None:
        """Write what waits, and why a challenger failed; sqlite3.Error passes through."""
        for agent, error in errors.items():
            self.slot.drop(agent)
            self.db.execute("UPDATE challengers SET error = ? WHERE agent = ?", (error, agent))
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self.db.executemany(
                "INSERT OR REPLACE INTO challenger_verdicts (agent, host, window_start, window_end, version, score, rarity,"
                " is_anomaly, type, severity, found_by) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                [
                    (
                        v.agent, v.host, v.window_start, v.window_end, v.model_version, v.score, v.rarity,
                        int(v.is_anomaly), v.type, v.severity, v.found_by,
                    )
                    for v in waiting
                ],
            )  # fmt: skip
            for agent in {v.agent for v in waiting}:
                count = sum(v.agent == agent for v in waiting)
                self.db.execute("UPDATE challengers SET windows = windows + ? WHERE agent = ?", (count, agent))
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    def forget(self) -> None:
        """After an error: what was not written has not happened."""
        self._waiting.clear()
