"""Correctly signed models that mean harm: nothing of theirs runs, the daemon lives, the old model serves."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference import probe, reconcile
from shared import bundle
from tests.daemon_process import Trained, trained
from tests.fakes import V1, V2, Pi, Workshop, pi_with_v1
from trainer.keys import next_serial
from trainer.remote import LocalRemote
from trainer.ship import load_signed, ship

__all__ = ["trained"]

pytestmark = pytest.mark.faults

Files = dict[str, bytes]
Arrays = dict[str, Any]


@dataclass
class Touch:
    """What runs when it is unpickled: it leaves a file behind."""

    path: str

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (self.path, "w")


def with_arrays(files: Files, change: Callable[[Arrays], None]) -> Files:
    arrays = dict(np.load(io.BytesIO(files["scorer.npz"])))
    change(arrays)
    out = io.BytesIO()
    np.savez(out, **arrays)
    return {**files, "scorer.npz": out.getvalue()}


def first(arrays: Arrays, name: str) -> str:
    return next(key for key in sorted(arrays) if key.endswith("." + name))


def put(name: str, value: Any) -> Callable[[Arrays], None]:
    """Every place of an array filled with one value."""

    def change(arrays: Arrays) -> None:
        key = first(arrays, name)
        arrays[key] = np.full_like(arrays[key], value)

    return change


def evil_object(files: Files, trap: Path) -> Files:
    return with_arrays(files, lambda a: a.update({first(a, "median"): np.array([Touch(str(trap))], dtype=object)}))


def evil_joblib(files: Files, trap: Path) -> Files:
    return {**files, "model.joblib": pickle.dumps(Touch(str(trap)))}


def raw_pickle(files: Files, trap: Path) -> Files:
    return {**files, "scorer.npz": pickle.dumps(Touch(str(trap)))}


def zip_bomb(files: Files, trap: Path) -> Files:
    """20 kB that say they are 16 GB of zeros."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in np.load(io.BytesIO(files["scorer.npz"])).files:
            header = io.BytesIO()
            shape = {"descr": "<f8", "fortran_order": False, "shape": (1 << 31,)}
            np.lib.format.write_array_header_1_0(header, shape)  # type: ignore[arg-type]
            archive.writestr(f"{name}.npy", header.getvalue() + bytes(1 << 20))
    return {**files, "scorer.npz": out.getvalue()}


def yaml_tag(files: Files, trap: Path) -> Files:
    text = f"!!python/object/apply:builtins.open ['{trap}', 'w']\n"
    return {**files, "agent.yaml": text.encode()}


def yaml_bomb(files: Files, trap: Path) -> Files:
    """Nine levels of ten references each: a thousand million words."""
    lines = ["a0: &a0 [" + ", ".join(["lol"] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 9)]
    return {**files, "agent.yaml": "\n".join(lines).encode()}


def evil_pattern(files: Files, trap: Path) -> Files:
    """A pattern that takes a backtracking engine for ever."""
    text = files["agent.yaml"].decode()
    start = text.index("patterns:")
    return {**files, "agent.yaml": (text[:start] + "patterns: ['(((a+)+)+)+b']" + text[start + 9 :]).encode()}


def deep_json(files: Files, trap: Path) -> Files:
    return {**files, "reference.json": b"[" * 200_000 + b"]" * 200_000}


KINDS: dict[str, Callable[[Files, Path], Files]] = {
    "object array": evil_object,
    "pickle for a scorer": raw_pickle,
    "zip bomb": zip_bomb,
    "child out of range": lambda f, t: with_arrays(f, put("left", 1 << 30)),
    "negative child": lambda f, t: with_arrays(f, put("left", -(1 << 30))),
    "feature out of range": lambda f, t: with_arrays(f, put("feature", 1 << 20)),
    "root out of range": lambda f, t: with_arrays(f, put("root", 1 << 30)),
    "cyclic tree": lambda f, t: with_arrays(f, put("left", 0)),
    "NaN thresholds": lambda f, t: with_arrays(f, put("threshold", np.nan)),
    "NaN scores": lambda f, t: with_arrays(f, put("path", np.nan)),
    "infinite scores": lambda f, t: with_arrays(f, put("normalizer", 0.0)),
    "NaN scale": lambda f, t: with_arrays(f, put("scale", np.nan)),
    "missing array": lambda f, t: with_arrays(f, lambda a: a.pop(first(a, "left"))),
    "empty trees": lambda f, t: with_arrays(f, lambda a: a.update({first(a, "root"): np.array([], np.int32)})),
    "another dtype": lambda f, t: with_arrays(f, lambda a: a.update({k: v.astype("U9") for k, v in a.items()})),
    "not an archive": lambda f, t: {**f, "scorer.npz": b"PK\x03\x04" + bytes(100)},
    "yaml tag": yaml_tag,
    "yaml bomb": yaml_bomb,
    "exploding pattern": evil_pattern,
    "deep json": deep_json,
    "golden of another shape": lambda f, t: {**f, "golden.json": b'{"rows": 7}'},
    "no golden rows": lambda f, t: {**f, "golden.json": b"[]"},
    "golden that is no number": lambda f, t: {
        **f,
        "golden.json": f["golden.json"].replace(b'"score":', b'"score":1e999,"x":'),
    },
}


@pytest.fixture(scope="module")
def real_files(trained: Trained) -> Mapping[str, bytes]:
    folder = next(path for path in sorted(trained.models.glob("wifi/2*")))
    raw = bundle.open_bundle(folder)
    return {name: raw[name] for name in bundle.FILES}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def publish(workshop: Workshop, version: str, files: Files) -> None:
    bundle.write_bundle(
        workshop.models / "wifi" / version,
        files,
        agent="wifi",
        version=version,
        serial=next_serial(workshop.state_dir, workshop.clock),
        audience=("*",),
        sign=workshop.key.sign,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_signed_but_hostile_model_never_serves(
    tmp_path: Path, workshop: Workshop, real_files: Mapping[str, bytes], kind: str
) -> None:
    pi = pi_with_v1(tmp_path / "pi", workshop)  # a made-up one: what serves need not be real to be left alone
    pi.limit(cpu_s=5, memory_mb=2048, wall_s=20.0)
    pi.probe_command, pi.load = probe.COMMAND, reconcile.load_real_model
    trap = tmp_path / "trap"
    publish(workshop, V2, KINDS[kind](dict(real_files), trap))
    ship(load_signed(workshop.models, "wifi", V2, workshop.key), LocalRemote(pi.inbox))
    outcome = pi.one()
    assert outcome.state in ("refused", "trying"), kind
    assert outcome.code in ("golden", "load", "memory", "probe_timeout", "probe_crashed"), outcome.reason
    assert not trap.exists(), "code of the bundle ran"
    assert pi.serving() == V1


def test_a_pickle_that_means_harm_lies_there_unopened(
    tmp_path: Path, workshop: Workshop, real_files: Mapping[str, bytes]
) -> None:
    """The file that is for the trainer may hold anything: the Pi hashes and copies it, and that is all."""
    pi = Pi(tmp_path / "pi", workshop.allowed)
    pi.probe_command, pi.load = probe.COMMAND, reconcile.load_real_model
    trap = tmp_path / "trap"
    publish(workshop, V1, evil_joblib(dict(real_files), trap))
    ship(load_signed(workshop.models, "wifi", V1, workshop.key), LocalRemote(pi.inbox))
    assert pi.one().state == "loaded"
    pi.restart()
    assert pi.serving() == V1
    assert not trap.exists()
    assert json.loads(real_files["metadata.json"])
