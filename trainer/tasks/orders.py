"""What a job is asked to do: one frozen value a kind, which travels as JSON from the page to the child that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from shared.errors import ConfigError


@dataclass(frozen=True)
class CheckOrder:
    """Look whether an export is fit to train on. Exports are named as they stand in the exports folder."""

    export: str
    agent: str = "wifi"


@dataclass(frozen=True)
class FetchOrder:
    """Write rows of the configured database to a new export. Without times: the last 30 days; no programs: all."""

    export: str
    agent: str = "wifi"
    start: float | None = None
    end: float | None = None
    programs: tuple[str, ...] = ()
    table: str = "log_entries"


@dataclass(frozen=True)
class TrainOrder:
    """Learn from exports. `overrides` are keys of the model configuration, `labels` known episodes as JSON.

    `marks`: what people said on the Pis counts as labels, too.
    """

    exports: tuple[str, ...]
    agent: str = "wifi"
    overrides: Mapping[str, Any] = field(default_factory=dict)
    start: float | None = None
    end: float | None = None
    labels: tuple[Mapping[str, Any], ...] = ()
    note: str = ""
    marks: bool = False


@dataclass(frozen=True)
class TuneOrder(TrainOrder):
    """Search for settings first, then train with the best. `trials`: combinations to try; None: the search's default."""

    trials: int | None = None


@dataclass(frozen=True)
class EvaluateOrder:
    """Score a version of this machine against an export; without labels known faults are injected."""

    agent: str
    version: str
    export: str
    labels: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class ShipOrder:
    """Bring a version to one target, or to a group of them in waves. `reason` says why a missed gate is passed.

    `challenger`: it is judged beside what serves there, and alerts nobody.
    """

    agent: str
    version: str
    target: str | None = None
    group: str | None = None
    wait: str = "loaded"
    timeout_s: float = 180.0
    canaries: int = 1
    batch: int = 5
    force: bool = False
    reason: str = ""
    challenger: bool = False


@dataclass(frozen=True)
class CatchUpOrder:
    """Ship again to those of a group, or to one target, that could not be reached: what they lacked then.

    forced: ids of the models whose missed gate is passed; what misses its gate later is not among them. reason: why.
    """

    target: str | None = None
    group: str | None = None
    wait: str = "loaded"
    timeout_s: float = 180.0
    forced: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class RollbackOrder:
    """Bring a former version back to a target; without a version the one before."""

    target: str
    agent: str | None = None
    version: str | None = None
    timeout_s: float = 180.0


Order = CheckOrder | FetchOrder | TrainOrder | TuneOrder | EvaluateOrder | ShipOrder | CatchUpOrder | RollbackOrder
ORDERS: Mapping[str, type[Any]] = {
    "check": CheckOrder,
    "fetch": FetchOrder,
    "train": TrainOrder,
    "tune": TuneOrder,
    "evaluate": EvaluateOrder,
    "ship": ShipOrder,
    "catchup": CatchUpOrder,
    "rollback": RollbackOrder,
}
# Jobs of one lane wait for each other: a look at an export need not wait for an hour of training, nor a roll-out.
LANES: Mapping[str, tuple[str, ...]] = {
    "work": ("train", "tune", "evaluate"),
    "look": ("check",),
    "fetch": ("fetch",),
    "ship": ("ship", "catchup", "rollback"),
}
BESIDE = ", beside what serves"
# After a restart of the service these start again by themselves; whether a Pi is written to again is a person's choice.
REPEATED = frozenset({"check", "fetch", "train", "tune", "evaluate"})


def kind_of(order: Order) -> str:
    """The name of an order's kind."""
    return next(name for name, cls in ORDERS.items() if cls is type(order))


def lane_of(kind: str) -> str:
    """The lane that a kind of job waits in."""
    return next(lane for lane, kinds in LANES.items() if kind in kinds)


def as_json(order: Order) -> dict[str, Any]:
    """Plain values; what is at its default stays out, so that equal orders are equal texts."""
    return {
        key: value for key, value in asdict(order).items() if value is not False and value not in (None, "", (), {})
    }


def from_json(kind: str, values: Mapping[str, Any]) -> Order:
    """The order of a kind from its JSON.

    Raises:
        ConfigError: the kind or a field is not known.
    """
    cls = ORDERS.get(kind)
    if cls is None or not set(values) <= {f.name for f in fields(cls)}:
        raise ConfigError(f"job: {kind!r} with {', '.join(sorted(values))} is no order of this release")
    try:
        order: Order = cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})
    except TypeError as cause:
        raise ConfigError(f"job: {kind}: {cause}") from cause
    return order


def exports_of(order: Order) -> tuple[str, ...]:
    """The exports that an order reads."""
    if isinstance(order, TrainOrder):
        return order.exports
    return (order.export,) if isinstance(order, CheckOrder | FetchOrder | EvaluateOrder) else ()


def subject_of(order: Order) -> str:
    """What the job is about, in a few words: an export's name, or a version and where it goes."""
    if isinstance(order, ShipOrder):
        return f"{order.version} to {order.target or order.group or 'all'}{BESIDE if order.challenger else ''}"
    if isinstance(order, CatchUpOrder):
        return order.target or order.group or "all"
    if isinstance(order, RollbackOrder):
        return f"{order.target} to {order.version or 'the version before'}"
    if isinstance(order, EvaluateOrder):
        return f"{order.version} on {order.export}"
    names = exports_of(order)
    return names[0] + (f" and {len(names) - 1} more" if len(names) > 1 else "") if names else ""
