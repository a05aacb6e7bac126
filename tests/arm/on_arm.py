"""What runs under the emulated arm64 Python: load a bundle, reproduce its golden rows, take it from an inbox, judge a log.

No child may be started from here: the emulator would hand it to the host's own Python. The probe's function is called instead.
Prints one JSON object. Usage: on_arm.py BUNDLE STATE_DIR INBOX ALLOWED_SIGNERS
"""

from __future__ import annotations

import functools
import json
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference import probe, reconcile
from inference.commands.once import run_once
from inference.config import load_settings
from shared import bundle


def in_process(folder: Path, limits: probe.Limits, command: Sequence[str] = ()) -> probe.ProbeReport:
    """The probe without its child."""
    files = bundle.open_bundle(folder)
    del files["model.joblib"]
    return probe.ProbeReport(probe.try_model(files), 0.0, 0.0)


def main(folder: str, state: str, inbox: str, signers: str) -> dict[str, Any]:
    """The facts of the run."""
    began = time.monotonic()
    files = bundle.open_bundle(Path(folder))
    difference = probe.try_model(files)
    reconcile.trial.probe = functools.partial(in_process)  # type: ignore[attr-defined]
    settings = load_settings(None, {}, {"state_dir": state, "inbox": inbox, "allowed_signers": signers, "start": "all"})
    report = run_once(settings)
    return {
        "machine": platform.machine(),
        "difference": difference,
        "report": report,
        "seconds": time.monotonic() - began,
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
