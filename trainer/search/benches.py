"""The windows that candidates are tried on, by window length; made when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from shared.agent import AgentSpec
from shared.errors import TrainingError
from trainer.fitting.guard import guard
from trainer.labels import Episode, Faults
from trainer.measuring.bench import Bench, build_bench
from trainer.measuring.holdout import Material
from trainer.model_config import TrainConfig
from trainer.search.trials import BLOCKS
from trainer.watched import Progress as Told
from trainer.watched import part
from trainer.windows.length import with_window
from trainer.windows.reading import Team, read
from trainer.windows.source import Source

SALT = "tune"  # nothing of a search leaves this machine: host names need no secret, and results repeat
MADE = 0.6  # of the work is making windows, the rest is laying faults


class Benches:
    """The windows to try candidates on, by window length; made when they are asked for."""

    def __init__(
        self, source: Source, spec: AgentSpec, config: TrainConfig, labels: tuple[Episode, ...], each: int,
        check: Callable[[], None], told: Told = lambda share: None, team: Team | None = None,
    ) -> None:  # fmt: skip
        self.source, self.spec, self.config, self.labels = source, spec, config, labels
        self._each, self._check, self._told, self._team = each, check, told, team
        self._made: dict[float, Material] = {}
        self._benches: dict[tuple[float, int], Bench] = {}

    def of(self, window_s: float | None, seed: int = 0) -> Bench:
        """The bench of a window length. Raises TrainingError where there is too little to learn from."""
        length = window_s or self.spec.window_s
        if (length, seed) not in self._benches:
            material = self._material(length)
            model = replace(material.config.model, random_state=material.config.model.random_state + seed)
            material = replace(material, config=replace(material.config, model=model))
            self._told, before = (lambda share: None), self._told  # windows of other lengths are made while it searches
            before(MADE)
            self._benches[length, seed] = build_bench(material, blocks=BLOCKS, each=self._each, check=self._check)
        return self._benches[length, seed]

    def _material(self, length: float) -> Material:
        if length not in self._made:
            spec, faults = with_window(self.spec, length), Faults(self.labels) if self.labels else None
            learner, tables = read(
                self.source, spec, SALT, self.config.features.exclude, faults, part(self._told, 0.0, MADE), self._team
            )
            clean = guard(tables.roles, spec, self.config, self.labels)
            tables = tables.without_values()
            most = max((len(table) for table in clean.roles.values()), default=0)
            if most < 10 * BLOCKS:
                raise TrainingError(
                    f"tune: too little to learn from: {most} windows of {spec.window_s:g} s with rows of "
                    f"{', '.join(spec.programs[:3])}; several days are needed to search over time blocks"
                )
            self._made[length] = Material(spec, self.config, clean.roles, tables, learner, self.source, self.labels)
        return self._made[length]
