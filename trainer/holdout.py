"""The split by time: a model of the first days, its threshold from them alone, and what it says of the last days.

The bundle's own model is then fitted on everything: the newest days are the best description of normal there is. What is
measured here is the recipe, not that last fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.agent import AgentSpec
from trainer.calibrate import OutOfFold, peaks
from trainer.model_config import TrainConfig
from trainer.modelling import WEEK_S, calibrate_and_fit
from trainer.table import RoleTable

LEAST_TRAINING = 50  # windows of a role


def hold_out(roles: Mapping[str, RoleTable], spec: AgentSpec, config: TrainConfig, salt: str) -> dict[str, Any]:
    """{"metrics": {…}, "validation_windows", "test_windows", …}: false alarms of a model on later, clean days.

    Empty where there is too little for a split. Rates are incidents per host-week that the model alone would raise.
    """
    first = min(int(table.index.min()) for table in roles.values())
    last = max(int(table.index.max()) for table in roles.values())
    length = last - first + 1
    test_from = last + 1 - round(config.training.test_size * length)
    valid_from = test_from - round(config.training.validation_size * length)
    early = {role: table.pick(table.index < valid_from) for role, table in roles.items()}
    early = {role: table for role, table in early.items() if len(table) >= LEAST_TRAINING}
    if not early or valid_from <= first:
        return {}
    fitted = calibrate_and_fit(early, spec, config, salt)
    spans = {"validation": (valid_from, test_from), "test": (test_from, last + 1)}
    result: dict[str, Any] = {"method": "time-ordered split; labels: none, later days taken as clean", "metrics": {}}
    for name, (start, end) in spans.items():
        windows, hosts, incidents = 0, set[str](), 0
        for role, one in fitted.roles.items():
            later = roles[role].pick((roles[role].index >= start) & (roles[role].index < end))
            if not len(later):
                continue
            scores = one.forest.score(one.spread_units(later, salt))
            highest = peaks(OutOfFold(later.hosts, later.index, scores), spec.long_windows + 1)
            incidents += int((highest > fitted.threshold).sum())
            windows += len(later)
            hosts |= set(map(str, np.unique(later.hosts)))
        result[f"{name}_windows"] = windows
        if windows:
            weeks = len(hosts) * (end - start) * spec.window_s / WEEK_S
            result["metrics"][f"{name}_false_incidents_per_host_week"] = round(incidents / weeks, 4)
    return result
