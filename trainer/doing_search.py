"""Evaluation and search as jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shared.errors import TrainingError
from trainer.config import Settings
from trainer.job import Teller
from trainer.orders import EvaluateOrder, TuneOrder


def evaluate(order: EvaluateOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Score a version against an export."""
    raise TrainingError(f"evaluate: {order.version}: this release cannot do that as a job yet")


def tune(order: TuneOrder, settings: Settings, tell: Teller) -> Mapping[str, Any]:
    """Search for settings, then train with the best."""
    raise TrainingError(f"tune: {', '.join(order.exports)}: this release cannot do that as a job yet")
