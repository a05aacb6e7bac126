"""The probe's child with a made-up model: its scorer.npz says how it behaves. Run as a program."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from inference import probe
from shared.errors import BundleError


def trial(files: Mapping[str, bytes]) -> float:
    """Good, or bad in the way that the model's first word says."""
    word = files["scorer.npz"].partition(b" ")[0].decode()
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "hang":
        signal.pause()
    if word == "spin":
        while True:
            pass
    if word == "swallow":
        return float(len(bytearray(16 << 30)))
    if word == "golden":
        raise BundleError("golden", "golden: row 14 scores 0.512 here, 0.543 at the trainer")
    if word == "broken":
        raise ValueError("not an archive")
    return 0.0


if __name__ == "__main__":
    sys.exit(probe.main(trial=trial))
