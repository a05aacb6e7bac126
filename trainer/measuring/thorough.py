"""Over several time blocks and seeds: is what was measured the recipe's doing, or luck?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from trainer.measuring.bench import Trial, build_bench, try_out
from trainer.measuring.holdout import Material

SEEDS = 4
BLOCKS = 3


def stability(material: Material, check: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """The model alone, without rules, on injected faults: by time block with one seed, by seed with one block.

    {"blocks": [figures…], "seeds": [figures…], "spread": {figure: standard deviation over seeds}}.
    """
    bench = build_bench(material, blocks=BLOCKS, each=material.config.evaluation.faults_each)
    first = material.config.model.random_state
    by_block, by_seed = [], []
    for block in range(BLOCKS):
        check()
        by_block.append({"block": block + 1, **_figures(try_out(bench, material.config, block))})
    for seed in range(first, first + SEEDS):
        check()
        config = replace(material.config, model=replace(material.config.model, random_state=seed))
        by_seed.append({"seed": seed, **_figures(try_out(bench, config, BLOCKS - 1))})
    spread = {
        name: round(float(np.std([one[name] for one in by_seed])), 4)
        for name in ("episode_recall", "average_precision", "false_incidents_per_host_week")
    }
    return {"blocks": by_block, "seeds": by_seed, "spread": spread}


def _figures(trial: Trial) -> dict[str, float]:
    return {
        "episode_recall": round(trial.recall, 4),
        "average_precision": round(trial.average_precision, 4),
        "false_incidents_per_host_week": round(trial.false_rate, 4),
    }
