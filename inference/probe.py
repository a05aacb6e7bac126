"""Try a candidate out in a child process that may die, hang or swallow memory without harm to the daemon.

The child limits itself before it imports anything large, loads the private copy as the daemon would, and lets the model
reproduce its golden rows. It answers with one line of JSON.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared import bundle
from shared.errors import BundleError, PipitError

COMMAND = (sys.executable, "-P", "-m", "inference.probe")  # -P: nothing is imported from where somebody stands
_ANSWER_LIMIT = 64 * 1024

# Loads the files of a bundle and checks the golden rows: gives the largest difference of a score.
Trial = Callable[[Mapping[str, bytes]], float]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a candidate may use up."""

    cpu_s: int = 10
    memory_mb: int = 2048  # of address space, which is more than what is resident
    wall_s: float = 30.0


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What the child found: the largest difference from the golden scores, and what it took."""

    difference: float
    seconds: float
    memory_mb: float


def probe(folder: Path, limits: Limits, command: Sequence[str] = COMMAND) -> ProbeReport:
    """Try the bundle in `folder` out. May be repeated.

    Raises:
        BundleError: code golden, load, memory, probe_timeout or probe_crashed, or what the child says.
    """
    arguments = [*command, str(folder), "--cpu", str(limits.cpu_s), "--memory", str(limits.memory_mb)]
    child = subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        out, err = child.communicate(timeout=limits.wall_s)
    except subprocess.TimeoutExpired as cause:
        raise BundleError("probe_timeout", f"probe: no answer within {limits.wall_s:g} s") from cause
    finally:
        _end(child)
    return _answer(child.returncode, out[:_ANSWER_LIMIT], err[-2000:], limits)


def is_final(code: str) -> bool:
    """Would a second try only repeat this answer? A child that died or hung may have had bad luck."""
    return code not in ("probe_timeout", "probe_crashed", "memory", "io", "internal")


def main(arguments: Sequence[str] | None = None, trial: Trial | None = None) -> int:
    """The child. `trial` stands in for the real model in tests."""
    import argparse  # in the child only

    parser = argparse.ArgumentParser(prog="inference.probe")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cpu", type=int, default=Limits().cpu_s)
    parser.add_argument("--memory", type=int, default=Limits().memory_mb)
    options = parser.parse_args(arguments)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (options.cpu, options.cpu + 1))
    resource.setrlimit(resource.RLIMIT_AS, (options.memory << 20, options.memory << 20))
    print(json.dumps(_try(options.folder, trial or try_model)), flush=True)
    return 0


def try_model(files: Mapping[str, bytes]) -> float:
    """Load the model and let it reproduce its golden rows."""
    from shared.model import check_golden, load_model  # here: numpy must come after the limits

    return check_golden(load_model(files), files["golden.json"])


def _try(folder: Path, trial: Trial) -> dict[str, object]:
    try:
        raw = bundle.open_bundle(folder)
        bundle.verify(raw, None)
        del raw["model.joblib"]  # for the trainer; never opened here
        difference = trial(raw)
    except BundleError as error:
        return {"code": error.code, "reason": str(error)[:2000]}
    except MemoryError:
        return {"code": "memory", "reason": "probe: the model asks for more memory than it may have"}
    except (PipitError, Exception) as error:
        return {"code": "load", "reason": f"probe: the model does not load: {type(error).__name__}: {error}"[:2000]}
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds, memory_mb = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    return {"code": "", "difference": difference, "seconds": round(seconds, 3), "memory_mb": round(memory_mb, 1)}


def _answer(returncode: int, out: bytes, err: bytes, limits: Limits) -> ProbeReport:
    if returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise BundleError("probe_timeout", f"probe: it used more than {limits.cpu_s} s of processor time")
    try:
        said = json.loads(out)
        if not said["code"]:
            return ProbeReport(float(said["difference"]), float(said["seconds"]), float(said["memory_mb"]))
        code, reason = str(said["code"]), str(said["reason"])
    except (ValueError, KeyError, TypeError):
        last = err.decode("utf-8", "replace").strip().rsplit("\n", 1)[-1][:300]
        if "MemoryError" in last:
            raise BundleError("memory", "probe: it asks for more memory than it may have") from None
        raise BundleError("probe_crashed", f"probe: the child ended with {returncode} and no answer ({last})") from None
    raise BundleError(code if code in bundle.REASONS else "load", reason)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Leave nothing running: the child leads its own group."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdout, child.stderr):
        if stream:
            stream.close()


if __name__ == "__main__":
    sys.exit(main())
