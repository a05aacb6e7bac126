"""The rounds of a search: successive halving over random candidates; then the best once more, on faults not seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.errors import TrainingError
from trainer.measuring.bench import try_out
from trainer.model_config import TrainConfig
from trainer.search.benches import Benches
from trainer.search.ledger import Ledger
from trainer.search.space import Choice, applied, draw
from trainer.search.trials import BLOCKS, Progress, Tried, TuneSettings, allowed_rate, means, plain
from trainer.watched import Progress as Told

RUNGS = ((1, 50), (2, 100), (BLOCKS, 10_000))  # (blocks, at most so many trees)
KEPT = 3  # one of so many goes on to the next rung
PER_ROUND = 9
GAIN = 0.005  # in quality; less is noise
CONFIRM_SEED = 1_000


class Search:
    """The rounds. `tried`: every candidate as far as it came."""

    def __init__(
        self, benches: Benches, config: TrainConfig, ledger: Ledger, settings: TuneSettings,
        space: Mapping[str, tuple[Any, ...]], progress: Progress, check: Callable[[], None], spent: Callable[[], float],
    ) -> None:  # fmt: skip
        self.benches, self.config, self.ledger, self.settings = benches, config, ledger, settings
        self.space, self.progress, self.check, self.spent = space, progress, check, spent
        self.allowed = allowed_rate(config)
        self.rounds = self.next_number = 0
        self.tried: list[Tried] = []

    def run(self) -> tuple[Tried, str]:
        """The best candidate, and why the search ended."""
        best: Tried | None = None
        calm = 0
        while self.next_number < self.settings.trials:
            if best is not None and self.settings.time_s is not None and self.spent() > self.settings.time_s:
                return best, "the time is used up"
            numbers = range(self.next_number, min(self.next_number + PER_ROUND, self.settings.trials))
            self.next_number = numbers.stop
            winner = self._round(best, [(n, draw(self.space, self.settings.seed, n)) for n in numbers])
            self.rounds += 1
            if best is None or winner.quality > best.quality + GAIN:
                best, calm = winner, 0
            else:
                calm += 1
            if calm >= self.settings.patience:
                return best, f"{calm} rounds brought nothing better"
        if best is None:
            raise TrainingError("tune: at least one trial is needed")
        return best, "all candidates were tried"

    def _round(self, best: Tried | None, candidates: Sequence[tuple[int, Choice]]) -> Tried:
        alive = list({json.dumps(plain(choice), sort_keys=True): (n, choice) for n, choice in candidates}.values())
        ranked: list[Tried] = []
        for rung in range(len(RUNGS)):
            if rung == len(RUNGS) - 1 and best is not None and all(n != best.number for n, _ in alive):
                alive.append((best.number, best.choice))
            ranked = []
            for place, (number, choice) in enumerate(alive):
                ranked.append(self._try(number, choice, rung))
                share = (
                    self.next_number
                    - len(candidates)
                    + len(candidates) * (rung + (place + 1) / len(alive)) / len(RUNGS)
                )
                self.progress("search", min(1.0, share / self.settings.trials))
            ranked.sort(key=lambda one: (-one.quality, one.number))
            self.tried = [one for one in self.tried if all(one.number != new.number for new in ranked)] + ranked
            alive = [(one.number, one.choice) for one in ranked[: max(1, -(-len(ranked) // KEPT))]]
        return ranked[0]

    def _try(self, number: int, choice: Choice, rung: int) -> Tried:
        blocks, trees = RUNGS[rung]
        config = applied(self.config, choice)
        config = replace(config, model=replace(config.model, n_estimators=min(trees, config.model.n_estimators)))
        trials = []
        for block in range(BLOCKS - blocks, BLOCKS):  # the newest blocks first: they are most like what is to come
            key = f"{json.dumps(plain(choice), sort_keys=True)} {block} {config.model.n_estimators}"
            trial = self.ledger.get(key)
            if trial is None:
                self.check()
                trial = try_out(self.benches.of(config.features.window_s), config, block)
                self.ledger.put(key, trial)
            trials.append(trial)
        return Tried(number, choice, rung, **means(trials, self.allowed))


def confirm(
    benches: Benches, config: TrainConfig, choice: Choice, check: Callable[[], None], told: Told
) -> tuple[dict[str, dict[str, float]], tuple[str, ...]]:
    """Given and best settings on faults of another seed."""
    found: dict[str, dict[str, float]] = {}
    allowed = allowed_rate(config)
    for number, (name, one) in enumerate((("given", {}), ("best", choice))):
        if name == "best" and not choice:
            found["best"] = found["given"]
            break
        tried = applied(config, one)
        trials = []
        for block in range(BLOCKS):
            check()
            told((number + block / BLOCKS) / 2)
            trials.append(try_out(benches.of(tried.features.window_s, CONFIRM_SEED), tried, block))
        found[name] = means(trials, allowed)
    return found, ("measured with the model alone: rules come on top",)
