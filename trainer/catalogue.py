"""`model_registry.json` of the models folder: every version with what became of it, for people and programs to read.

A bundle never changes after it was signed. What happens to it later stands here: notes, evaluations, where it was shipped
to and whether the gate was forced. Notes and evaluations live in this file alone; all else is written anew each time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared import layout
from shared.errors import PipitError, StoreError
from shared.values import iso
from trainer import registry
from trainer.gate import decided
from trainer.registry import ModelEntry
from trainer.shipping import history
from trainer.shipping.history import Transfer

logger = logging.getLogger(__name__)

FILE = "model_registry.json"
LOCK = ".model_registry.lock"
SCHEMA = 1
KEPT_EVALUATIONS = 10  # of each version, the newest
MOST_NOTE = 2_000  # characters
SERVES = frozenset({"loaded", "good"})
OPEN = frozenset({"sent", "unknown"})  # it may serve, and nobody has heard


def read(models: Path) -> dict[str, Any]:
    """The file's content; an empty registry where there is none.

    Raises:
        StoreError: it is there and cannot be read.
    """
    try:
        found = json.loads((models / FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"schema": SCHEMA, "models": []}
    except (OSError, ValueError) as cause:
        raise StoreError(
            f"registry: {models / FILE} cannot be read ({cause}); move it away to begin a new one"
        ) from cause
    if not isinstance(found, dict) or not isinstance(found.get("models"), list):
        raise StoreError(f"registry: {models / FILE} holds no models; move it away to begin a new one")
    return found


def kept_of(models: Path, agent: str, version: str) -> dict[str, list[Any]]:
    """Notes and evaluations of one version, oldest first."""
    return _kept(read(models)).get(layout.model_id(agent, version), {"notes": [], "evaluations": []})


def refresh(models: Path, state_dir: Path, now: float) -> None:
    """Write the file anew. May be repeated.

    Raises:
        StoreError: the models folder cannot be written.
    """
    with _locked(models):
        _write(models, state_dir, now, _kept(read(models)))


def refresh_or_warn(models: Path, state_dir: Path, now: float) -> None:
    """As `refresh`, for callers whose own work is done: a registry that cannot be written must not undo it."""
    try:
        refresh(models, state_dir, now)
    except PipitError as error:
        logger.warning("%s", error)


def add_note(models: Path, state_dir: Path, agent: str, version: str, text: str, now: float, by: str = "") -> None:
    """Say something about a version. Raises StoreError where the folder cannot be written."""
    _add(models, state_dir, agent, version, "notes", {"at": iso(int(now)), "by": by, "text": text[:MOST_NOTE]}, now)


def add_evaluation(
    models: Path, state_dir: Path, agent: str, version: str, summary: Mapping[str, Any], now: float
) -> None:
    """Remember what a version reached. summary: {"method", "export", "metrics", "gate", …}, no identities of the site."""
    _add(models, state_dir, agent, version, "evaluations", {"at": iso(int(now)), **summary}, now)


def gate_of(metadata: Mapping[str, Any], kept: Mapping[str, Sequence[Any]]) -> Mapping[str, Any]:
    """The gate that counts: of the newest evaluation that measured what it asks for, else the one it was made with."""
    for evaluation in reversed(kept.get("evaluations", ())):
        gate = evaluation.get("gate") if isinstance(evaluation, Mapping) else None
        if isinstance(gate, Mapping) and decided(gate):
            return gate
    made = metadata.get("gate")
    return made if isinstance(made, Mapping) else {}


def held(models: Path, state_dir: Path) -> set[str]:
    """Ids of versions that must stay: active here; serving, perhaps serving, judged beside, or the former at a target."""
    ids = {layout.model_id(a, v) for a in layout.agents_in(models) if (v := layout.active_version(models, a))}
    served: dict[tuple[str, str], set[str]] = {}
    for transfer in history.transfers(state_dir, limit=100_000):  # newest first
        there = served.setdefault((transfer.target, transfer.agent), set())
        if len(there) == 2:  # what serves and what it would go back to
            continue
        if transfer.state in SERVES or transfer.state in OPEN:
            ids.add(layout.model_id(transfer.agent, transfer.version))
        if transfer.state in SERVES:
            there.add(transfer.version)
    beside = history.challengers(state_dir).values()
    return ids | {layout.model_id(one.agent, one.version) for one in beside if one.state == layout.CHALLENGER}


def deployments(transfers: Sequence[Transfer]) -> list[dict[str, Any]]:
    """What was shipped where, oldest first."""
    return [
        {
            "target": one.target, "at": iso(int(one.at)), "what": one.what, "state": one.state, "code": one.code,
            "reason": one.reason, "forced": "forced" in one.reason,
        }
        for one in sorted(transfers, key=lambda one: one.at)
    ]  # fmt: skip


def described(entry: ModelEntry, kept: Mapping[str, Sequence[Any]], sent: Sequence[Transfer]) -> dict[str, Any]:
    """One version as the file, `models list --json` and the API tell it."""
    meta, gate, deployed = entry.metadata, gate_of(entry.metadata, kept), deployments(sent)
    evaluation = meta.get("evaluation")
    return {
        "model_id": entry.model_id, "agent": entry.agent, "version": entry.version, "active": entry.active,
        "serial": entry.serial, "size_bytes": entry.size_bytes, "status": "damaged" if entry.fault else "available",
        "fault": entry.fault, "created_at": meta.get("training_date"), "path": f"{entry.agent}/{entry.version}",
        "model_type": (meta.get("model_info") or {}).get("model_type"),
        "training_samples": (meta.get("windows") or {}).get("total"),
        "metrics": dict(evaluation.get("metrics", {})) if isinstance(evaluation, Mapping) else {},
        "gate": {"passed": gate.get("passed", True), "reason": gate.get("reason", "")},
        "deployments": deployed, "forced": any(one["forced"] for one in deployed),
        "notes": list(kept.get("notes", ())), "evaluations": list(kept.get("evaluations", ())),
    }  # fmt: skip


def _add(
    models: Path, state_dir: Path, agent: str, version: str, what: str, entry: Mapping[str, Any], now: float
) -> None:
    with _locked(models):
        kept = _kept(read(models))
        own = kept.setdefault(layout.model_id(agent, version), {"notes": [], "evaluations": []})
        own[what] = [*own[what], dict(entry)]
        own["evaluations"] = own["evaluations"][-KEPT_EVALUATIONS:]
        _write(models, state_dir, now, kept)


def _kept(found: Mapping[str, Any]) -> dict[str, dict[str, list[Any]]]:
    return {
        str(one["model_id"]): {"notes": list(one.get("notes") or ()), "evaluations": list(one.get("evaluations") or ())}
        for one in found["models"]
        if isinstance(one, dict) and "model_id" in one
    }


def _write(models: Path, state_dir: Path, now: float, kept: Mapping[str, Mapping[str, list[Any]]]) -> None:
    sent: dict[str, list[Transfer]] = {}
    for transfer in history.transfers(state_dir, limit=100_000):
        sent.setdefault(layout.model_id(transfer.agent, transfer.version), []).append(transfer)
    entries = [
        described(entry, kept.get(entry.model_id, {}), sent.get(entry.model_id, ()))
        for entry in registry.list_models(models)
    ]
    content = {
        "schema": SCHEMA,
        "updated_at": iso(int(now)),
        "active": {agent: layout.active_version(models, agent) for agent in layout.agents_in(models)},
        "models": entries,
    }
    try:
        layout.write_atomic(models / FILE, (json.dumps(content, indent=1) + "\n").encode())
    except OSError as cause:
        raise StoreError(
            f"registry: {models / FILE} cannot be written ({cause}); make room or change its owner"
        ) from cause


@contextlib.contextmanager
def _locked(models: Path) -> Iterator[None]:
    """One writer at a time."""
    try:
        models.mkdir(parents=True, exist_ok=True)
        handle = os.open(models / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as cause:
        raise StoreError(f"registry: {models} cannot be written ({cause}); make room or change its owner") from cause
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
