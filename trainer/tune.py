"""Search for settings: successive halving over random candidates, tried on time blocks with known faults in them.

    learn ▸ windows ▸ faults      once for each window length
    round                         a few new candidates and the best so far ▸ one block, few trees ▸ a third goes on to
                                  two blocks ▸ a third of these to all
    until                         the candidates are used up, or `patience` rounds brought nothing
    confirm                       best and given settings once more, on faults that the search has not seen

Every trial is written down at once: a search that was stopped goes on where it was. The same exports, configuration and
seed give the same search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.agent import AgentSpec
from shared.errors import TrainingError
from trainer.labels import Episode
from trainer.model_config import TrainConfig, for_agent
from trainer.search.benches import Benches
from trainer.search.ledger import Ledger, fingerprint
from trainer.search.rounds import GAIN, Search, confirm
from trainer.search.space import Choice, space_of
from trainer.search.trials import Progress, Tried, TuneSettings, plain
from trainer.windows.reading import Team
from trainer.windows.source import Source

STEPS = ("windows", "search", "confirm")


@dataclass(frozen=True)
class TuneReport:
    """What the search found. best: dotted keys that differ from the configuration given; empty: it was best."""

    best: Choice
    tried: tuple[Tried, ...]
    confirmed: Mapping[str, Mapping[str, float]]
    rounds: int
    trials: int
    resumed: int
    seconds: float
    stopped: str
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For `--json` and the API."""
        return {
            "best": plain(self.best), "confirmed": {name: dict(one) for name, one in self.confirmed.items()},
            "rounds": self.rounds, "trials": self.trials, "resumed": self.resumed, "seconds": round(self.seconds, 2),
            "stopped": self.stopped, "notes": list(self.notes),
            "tried": [{**asdict(one), "choice": plain(one.choice)} for one in self.tried],
        }  # fmt: skip


def tune(
    exports: Sequence[Path],
    spec: AgentSpec,
    config: TrainConfig,
    settings: TuneSettings | None = None,
    *,
    start: float | None = None,
    end: float | None = None,
    labels: Sequence[Episode] = (),
    state: Path | None = None,
    team: Team | None = None,
    progress: Progress = lambda step, share: None,
    check: Callable[[], None] = lambda: None,
    clock: Callable[[], float] = time.monotonic,
) -> TuneReport:
    """Search for settings that find more known faults at fewer false incidents.

    state: file that trials are kept in, so that the search can be taken up again. team: reads with this machine.
    check: called between trials; what it raises ends the search.

    Raises:
        ExportError, TrainingError, ConfigError: as `train`.
    """
    began, config, settings = clock(), for_agent(config, spec), settings or TuneSettings()
    benches = Benches(
        Source(exports, start, end, check),
        spec,
        config,
        tuple(labels),
        settings.faults_each,
        check,
        lambda share: progress("windows", share),
        team,
    )
    space = space_of(config, spec, settings.seed)
    ledger = Ledger(state, fingerprint(benches, settings, space))
    progress("windows", 0.0)
    if not benches.of(config.features.window_s).faults:
        raise TrainingError(
            "tune: too little to search with: no known fault fits into so short a time; several days are needed"
        )
    search = Search(benches, config, ledger, settings, space, progress, check, lambda: clock() - began)
    best, stopped = search.run()
    progress("confirm", 0.0)
    confirmed, notes = confirm(benches, config, best.choice, check, lambda share: progress("confirm", share))
    gained = confirmed["best"]["quality"] > confirmed["given"]["quality"] + GAIN if best.choice else False
    if best.choice and not gained:
        notes = (*notes, "on faults it had not seen the best candidate was no better: the given settings stay")
    progress("confirm", 1.0)
    return TuneReport(
        best.choice if gained else {}, tuple(search.tried), confirmed, search.rounds, search.next_number,
        ledger.resumed, clock() - began, stopped, notes,
    )  # fmt: skip


def config_yaml(config: TrainConfig, report: TuneReport) -> str:
    """A model configuration for `train --config`: what was given, with the best choice over it."""
    merged: dict[str, Any] = {}
    for key, value in {**config.source, **plain(report.best)}.items():
        place = merged
        *sections, name = key.split(".")
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = value
    if "model.contamination" not in report.best and config.model.contamination is None and "model" in merged:
        merged["model"].pop("contamination", None)
    figures = report.confirmed["best" if report.best else "given"]
    head = (
        f"# Found by pipit-trainer tune: {report.trials} candidates in {report.rounds} rounds.\n"
        f"# The model alone, on injected faults it had not seen: found {figures['recall']:.0%}, average precision "
        f"{figures['average_precision']:.3f}, {figures['false_rate']:.2g} false incidents a week and host.\n"
    )
    if not report.best:
        head += "# Nothing was better than the settings given.\n"
    return head + yaml.safe_dump(merged or {"model": {"type": config.model.type}}, sort_keys=True)
