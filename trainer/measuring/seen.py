"""What a model said of windows, kept small: the stuff that every measure is made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from shared.classify import long_suffix
from shared.judge import Judge, replay
from shared.model import Model
from shared.values import Row, Verdict
from trainer.inject import Planned

SILENT = "silence"


@dataclass(frozen=True, slots=True)
class Seen:
    """A judged window. Higher scores are stranger; `raw`: (2·J,) scored features of its role, now and over the half hour.

    `ruled`: a rule or a silence raised it, whatever the score.
    """

    host: str
    start: float
    end: float
    role: str
    score: float
    flagged: bool
    ruled: bool
    silent: bool
    type: str | None
    raw: npt.NDArray[np.float32]


class Watcher:
    """Turns a model's verdicts into `Seen`."""

    def __init__(self, model: Model) -> None:
        self.model = model
        suffix = long_suffix(model.spec)
        self._names = {
            role: (*scale.names, *(name + suffix for name in scale.names)) for role, scale in model.scales.items()
        }

    def seen(self, verdict: Verdict) -> Seen:
        """The small form of a verdict."""
        silent = verdict.found_by == SILENT
        names = () if silent else self._names[verdict.role]
        raw = np.array([verdict.features.get(name) for name in names], dtype=np.float32)
        return Seen(
            verdict.host, verdict.window_start, verdict.window_end, verdict.role, verdict.score or 0.0,
            verdict.is_anomaly, silent or "rule" in verdict.found_by, silent, verdict.type, raw,
        )  # fmt: skip

    def stream(self, rows: Iterable[Row]) -> Iterator[Verdict]:
        """Verdicts of a log's rows, as replay gives them."""
        return replay(rows, Judge(self.model))

    def fault(self, planned: Planned, rows: Sequence[Row]) -> list[Verdict]:
        """Verdicts of the windows that a fault touches, and of the one after it."""
        judge, width = Judge(self.model), self.model.spec.window_s
        until = (planned.end // width + 2) * width
        for row in rows:
            if row[1] < until:
                judge.add(row)
        return [verdict for verdict in judge.close(until) if verdict.window_end > planned.start]
