"""The trials that were made, kept in a file, so that a search that was stopped goes on where it was."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared import layout
from shared.errors import TrainingError
from trainer.measuring.bench import Trial
from trainer.search.benches import Benches
from trainer.search.trials import TuneSettings, plain

logger = logging.getLogger(__name__)
STATE_SCHEMA = 1


@dataclass
class Ledger:
    """Trials that were made, kept in a file where one is given; a file of another search is begun anew."""

    path: Path | None
    fingerprint: str
    resumed: int = 0
    _known: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path is None or not self.path.exists():
            return
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            if found["schema"] == STATE_SCHEMA and found["fingerprint"] == self.fingerprint:
                self._known = {str(key): [float(x) for x in value] for key, value in found["trials"].items()}
                self.resumed = len(self._known)
            else:
                logger.warning(
                    "the search's state is of other exports or settings and is begun anew path=%s", self.path
                )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            logger.warning("the search's state cannot be read and is begun anew path=%s: %s", self.path, error)

    def get(self, key: str) -> Trial | None:
        """The trial made before, if it was."""
        found = self._known.get(key)
        return Trial(found[0], found[1], found[2], int(found[3]), int(found[4])) if found else None

    def put(self, key: str, trial: Trial) -> None:
        """Keep a trial. Raises TrainingError where the file cannot be written."""
        self._known[key] = [trial.recall, trial.average_precision, trial.false_rate, trial.windows, trial.faults]
        if self.path is None:
            return
        content = {"schema": STATE_SCHEMA, "fingerprint": self.fingerprint, "trials": self._known}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            layout.write_atomic(self.path, json.dumps(content).encode())
        except OSError as error:
            raise TrainingError(
                f"tune: {self.path} cannot be written ({error.strerror}); make room, or name another --state"
            ) from error


def fingerprint(benches: Benches, settings: TuneSettings, space: Mapping[str, tuple[Any, ...]]) -> str:
    """What trials depend on: exports, agent, configuration, labels, space."""
    parts = [
        [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in benches.source.paths if path.exists()],
        [benches.source.start, benches.source.end], hashlib.sha256(benches.spec.raw).hexdigest(), benches.config.digest(),
        [[e.type, e.start, e.end, e.host] for e in benches.labels], settings.faults_each, settings.seed, plain(space),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
