"""What a bundle promises of itself, for the Pi to hold it to while it is on probation.

The bands are wide: they must hold on a slower machine and through a real attack in the first hour, and still catch a
model that does not fit the network or the machine it came to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from trainer.fitting.modelling import Fitted

LEAST_RATE, MOST_RATE = 0.25, 0.5  # anomalies a window
RATE_SLACK = 10.0
LEAST_MS = 100.0
SLOWER = 50.0  # times slower than here a Pi may be, under load
BASE_MB = 256.0  # the daemon with all its libraries, a backlog in its hands, and air
SIZE_SLACK = 20.0  # memory a byte of the arrays and the reference may cost


def promise(fitted: Fitted, files: Mapping[str, bytes], judge_ms: float) -> dict[str, float]:
    """The bands: anomalies a window, milliseconds of processor time a window, resident memory of the daemon in MB.

    `judge_ms` is what a golden case, a window with the half hour before it, took on this machine.
    """
    scores = np.concatenate([found.scores for found in fitted.out_of_fold.values()])
    rate = float((scores > fitted.threshold).mean())
    size_mb = sum(len(files[name]) for name in ("scorer.npz", "reference.json", "agent.yaml")) / 1e6
    return {
        "anomaly_rate_max": round(min(MOST_RATE, LEAST_RATE + RATE_SLACK * rate), 4),
        "latency_ms_max": round(max(LEAST_MS, SLOWER * judge_ms), 1),
        "memory_mb_max": round(BASE_MB + SIZE_SLACK * size_mb, 1),
    }


def with_promise(reference: bytes, bands: Mapping[str, float]) -> bytes:
    """reference.json with the promise in it."""
    return json.dumps({**json.loads(reference), "promise": dict(bands)}, separators=(",", ":")).encode()
