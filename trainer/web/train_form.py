"""The settings of a training run as a form: its fields, what was typed into them, and what is wrong beside which. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.errors import ConfigError
from trainer.model_config import known_keys

BUDGET = "detection.alert_budget"
# Keys of the model configuration that the page offers, with the words on their labels.
OFFERED: Mapping[str, str] = {
    BUDGET: "Alert budget",
    "model.n_estimators": "Trees",
    "model.max_samples": "Windows for each tree",
    "model.max_features": "Part of the features for each tree",
    "model.contamination": "Contamination",
    "model.random_state": "Seed",
    "training.test_size": "Part kept for the test",
    "features.exclude": "Features to leave out",
}
LISTS = frozenset({"features.exclude"})
TIMES: Mapping[str, str] = {"start_date": "Learn from", "end_date": "Learn until"}


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it is drawn."""

    key: str
    id: str
    label: str
    hint: str
    value: str
    default: str
    error: str


@dataclass
class Typed:
    """What somebody typed, and what is wrong with it by field; "" holds what belongs to none."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    def overrides(self) -> dict[str, Any]:
        """The keys that were filled in."""
        found: dict[str, Any] = {}
        for key in OFFERED:
            text = self.values.get(key, "").strip()
            if text:
                found[key] = [part.strip() for part in text.split(",") if part.strip()] if key in LISTS else text
        return found

    def blame(self, error: ConfigError) -> None:
        """Put each fault beside the field that it speaks of."""
        for fault in error.faults or (str(error),):
            key = next((key for key in OFFERED if fault.startswith((f"--set {key}:", f"{key}:"))), "")
            said = fault.removeprefix("--set ").removeprefix(f"{key}: ") if key else fault
            if said not in self.errors.get(key, ""):
                self.errors[key] = f"{self.errors[key]}; {said}" if key in self.errors else said

    def fields(self) -> list[Field]:
        """All of them, in order."""
        known = known_keys()
        found = []
        for key, label in OFFERED.items():
            own = known[key]
            default = (
                ", ".join(own.default)
                if isinstance(own.default, tuple)
                else ""
                if own.default is None
                else str(own.default)
            )
            hint = f"{own.doc.rstrip('.')}{'; separated by commas' if key in LISTS else ''}"
            found.append(
                Field(
                    key, key.replace(".", "-"), label, hint, self.values.get(key, ""), default, self.errors.get(key, "")
                )
            )
        return found
