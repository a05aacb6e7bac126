"""Versions on this machine, opened: a bundle's model, and what differs between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shared import bundle, layout
from shared.errors import BundleError
from shared.model import Model, load_model
from trainer.registry import ModelEntry


def bundled_model(models: Path, agent: str, version: str) -> Model:
    """The model of a version here, its files checked against the manifest.

    Raises:
        BundleError: it is not whole.
    """
    raw = bundle.open_bundle(layout.bundle_folder(models, agent, version))
    bundle.verify(raw, None)
    return load_model(raw)


def active_model(models: Path, agent: str) -> Model | None:
    """The model that is active on this machine; None where there is none that can be read."""
    version = layout.active_version(models, agent)
    if version is None:
        return None
    try:
        return bundled_model(models, agent, version)
    except (BundleError, OSError):
        return None


def shown_difference(old: ModelEntry, new: ModelEntry) -> dict[str, Any]:
    """{"old", "new", "figures": {name: [old, new]}, "features": {"gone", "new"}}."""
    first, second = _figures(old), _figures(new)
    used = [set(map(str, entry.metadata.get("features_used") or ())) for entry in (old, new)]
    return {
        "old": old.model_id,
        "new": new.model_id,
        "figures": {name: [first.get(name), second.get(name)] for name in {**first, **second}},
        "features": {"gone": sorted(used[0] - used[1]), "new": sorted(used[1] - used[0])},
    }


def _figures(entry: ModelEntry) -> dict[str, Any]:
    """What two versions are compared by, flat."""
    meta = entry.metadata
    info = _map(_map(meta.get("training_info")).get("data_info"))
    found: dict[str, Any] = {
        "version": entry.version, "fault": entry.fault or None, "first": info.get("first"), "last": info.get("last"),
        "hosts": sum(_map(info.get("hosts")).values()) or None, "windows": _map(meta.get("windows")).get("total"),
        "window_s": _map(meta.get("windows")).get("length_s"), "rows": meta.get("training_log_count"),
        "features": len(meta.get("features_used") or ()), "threshold": _map(meta.get("thresholds")).get("score"),
        "alert_budget": _map(meta.get("thresholds")).get("alert_budget"),
        "contamination": _map(meta.get("thresholds")).get("contamination"),
        "gate_passed": _map(meta.get("gate")).get("passed"), "measured_with": _map(meta.get("evaluation")).get("method"),
    }  # fmt: skip
    found |= {f"model.{name}": value for name, value in _map(meta.get("hyperparameters")).items()}
    return found | dict(_map(_map(meta.get("evaluation")).get("metrics")))


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
