"""A judge whose verdicts give away every row it saw: which, in which order, and which came before in the half hour.

Its `description` changes when a row is missing, comes twice or comes out of order, so equal verdicts mean equal reading.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from inference.models import ModelSlot, Serving
from shared.values import Row, Verdict

SPAN_S = 300
LONG_WINDOWS = 6
GRACE_S = 30
PROGRAMS = ("hostapd", "wpa_supplicant")


class FakeJudge:
    """shared.judge.Judge's contract over hashes of row ids. Windows with more than `busy` rows are anomalies."""

    def __init__(
        self, agent: str = "wifi", version: str = "20250101_000000", busy: int = 10, fails: bool = False
    ) -> None:
        self.agent, self.version, self.busy, self.fails = agent, version, busy, fails
        self.closed_until = -math.inf
        self.budget: float | None = None
        self.heard_late: list[float] = []
        self._open: dict[tuple[int, str], list[int]] = {}
        self._past: dict[str, list[tuple[int, list[int]]]] = {}

    def restore(self, memory: Mapping[str, Any]) -> None:
        closed = memory["closed_until"]
        self.closed_until = -math.inf if closed is None else closed

    def warm_since(self) -> float:
        return self.closed_until - LONG_WINDOWS * SPAN_S

    def warm(self, row: Row) -> None:
        self._open.setdefault((int(row[1] // SPAN_S), row[2]), []).append(row[0])

    def resume(self) -> None:
        for index, host in sorted(self._open):
            if (index + 1) * SPAN_S <= self.closed_until:
                self._take(index, host)

    def add(self, row: Row) -> None:
        if self.fails:
            raise RuntimeError("this judge always fails")
        index = int(row[1] // SPAN_S)
        assert (index + 1) * SPAN_S > self.closed_until, "a judge is shown no late row"
        self._open.setdefault((index, row[2]), []).append(row[0])

    def hear_late(self, row: Row) -> None:
        self.heard_late.append(row[1])

    def take_passed_over(self) -> int:
        return 0

    def set_budget(self, budget: float | None) -> None:
        self.budget = budget

    def close(self, until: float) -> list[Verdict]:
        due = sorted(place for place in self._open if (place[0] + 1) * SPAN_S <= until)
        verdicts = [self._verdict(index, host) for index, host in due]
        if until > self.closed_until:
            self.closed_until = until // SPAN_S * SPAN_S
        return verdicts

    def memory(self) -> dict[str, Any]:
        return {"closed_until": None if self.closed_until == -math.inf else self.closed_until}

    def _take(self, index: int, host: str) -> list[tuple[int, list[int]]]:
        ids = self._open.pop((index, host))
        past = [each for each in self._past.get(host, []) if each[0] > index - LONG_WINDOWS] + [(index, ids)]
        self._past[host] = past
        return past

    def _verdict(self, index: int, host: str) -> Verdict:
        past = self._take(index, host)
        ids = past[-1][1]
        seen = hashlib.sha256(repr(past).encode()).hexdigest()
        is_anomaly = len(ids) > self.busy
        return Verdict(
            agent=self.agent, host=host, window_start=index * SPAN_S, window_end=(index + 1) * SPAN_S, role="any",
            rows=len(ids), score=float(len(ids)), rarity=1.0, is_anomaly=is_anomaly,
            type="busy" if is_anomaly else None, severity="warning" if is_anomaly else None,
            confidence=0.5 if is_anomaly else None, description=seen, features={"rows": float(len(ids))}, explanation=(),
            model_version=self.version, found_by="model" if is_anomaly else "",
        )  # fmt: skip


def fake_serving(
    agent: str = "wifi", version: str = "20250101_000000", programs: tuple[str, ...] = PROGRAMS
) -> Serving:
    """A serving model that carries no more than the fake judge's surroundings look at."""
    spec = SimpleNamespace(
        name=agent, programs=programs, window_s=SPAN_S, long_windows=LONG_WINDOWS, grace_s=GRACE_S, description="fake"
    )
    model: Any = SimpleNamespace(spec=spec, version=version)
    return Serving(agent, version, 1, "0" * 64, model, 0.0)


def fake_slot(*serving: Serving) -> ModelSlot:
    """A slot that serves these."""
    slot = ModelSlot()
    for each in serving or (fake_serving(),):
        slot.put(each)
    return slot


def fake_replay(rows: list[Row], judge: FakeJudge) -> list[Verdict]:
    """What the verdicts of these rows are: all in order of time, closed at once."""
    for row in sorted(rows, key=lambda row: (row[1], row[0])):
        if row[3] in PROGRAMS:
            judge.add(row)
    newest = max(row[1] for row in rows)
    return judge.close((newest // SPAN_S + 1) * SPAN_S)
