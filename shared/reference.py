"""Frozen reference data of a bundle: what training knows, hashed, and what is normal for each host.

Names, addresses and networks are kept as salted hashes: a bundle can tell whether it has seen one, and cannot tell which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

DEFAULT_USUAL = 2.0  # joins in half an hour that are nothing special for any device


@lru_cache(maxsize=20_000)
def hashed(salt: str, *parts: str) -> str:
    """64-bit salted hash of some texts, as hex."""
    text = "\0".join((salt, *parts)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=8).hexdigest()


class Knowing(Protocol):
    """What formulas ask of training's knowledge."""

    def unseen(self, fields: Mapping[str, str]) -> bool: ...

    def met(self, fields: Mapping[str, str]) -> bool: ...

    def excess(self, many: Mapping[str, int]) -> float: ...

    def on_marked(self, host: str, rows: Mapping[str, int]) -> float: ...


@dataclass(frozen=True)
class Known:
    """Networks, access points, interfaces and habits seen in training, as salted hashes."""

    salt: str = ""
    networks: frozenset[str] = frozenset()
    targets: frozenset[str] = frozenset()
    habits: Mapping[str, float] = field(default_factory=dict)
    interfaces: frozenset[str] = frozenset()

    def unseen(self, fields: Mapping[str, str]) -> bool:
        """Whether a join aims at a known network through an access point or channel that training never saw."""
        ssid, bssid, freq = fields.get("ssid"), fields.get("bssid"), fields.get("freq")
        if not (ssid and bssid and freq) or hashed(self.salt, "ssid", ssid) not in self.networks:
            return False
        return hashed(self.salt, "target", ssid, bssid.lower(), freq) not in self.targets

    def met(self, fields: Mapping[str, str]) -> bool:
        """Whether training saw this network at this access point, on whatever channel; older bundles do not tell."""
        return hashed(self.salt, "target", fields.get("ssid", ""), fields.get("bssid", "").lower()) in self.targets

    def excess(self, many: Mapping[str, int]) -> float:
        """How far the device furthest beyond its usual count (joins in half an hour of an ordinary day, plus one) is.

        many: device → its count.
        """
        return max(0.0, *(count - self._usual(device) for device, count in many.items()))

    def _usual(self, device: str) -> float:
        if not self.habits:
            return DEFAULT_USUAL
        return self.habits.get(hashed(self.salt, "device", device.lower()), DEFAULT_USUAL)

    def on_marked(self, host: str, rows: Mapping[str, int]) -> float:
        """How many of the rows are of interfaces of this host whose joins lack an `authenticated` line, as WPA3's do.

        rows: interface → rows.
        """
        if not self.interfaces:
            return 0.0
        marked = (hashed(self.salt, "interface", host, interface) in self.interfaces for interface in rows)
        return float(sum(count for count, yes in zip(rows.values(), marked, strict=True) if yes))

    def as_json(self) -> dict[str, object]:
        """The part `known` of reference.json."""
        return {
            "networks": sorted(self.networks),
            "targets": sorted(self.targets),
            "habits": dict(sorted(self.habits.items())),
            "interfaces": sorted(self.interfaces),
        }


NOTHING_KNOWN = Known()


@dataclass(frozen=True)
class Tail:
    """Anomalous peaks expected per host-week above a score: rate · exp(−(score − start) / width)."""

    start: float
    width: float
    rate: float


@dataclass(frozen=True)
class SilenceLimits:
    """Longest pauses (s) of a host in training, with clients present and without; None: never seen.

    `steady`: its longest pause of all, of a host that talked all the time; None: it did not.
    """

    present: float | None
    empty: float | None
    steady: float | None = None


@dataclass(frozen=True)
class Normal:
    """Role-wide quantiles of a feature over training's windows: the 98 % range and the middle."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Reference:
    """Everything of reference.json that scoring needs. Arrays per role follow `Scale.names`."""

    known: Known
    silence: Mapping[str, SilenceLimits]
    scores: Mapping[str, Sequence[float]]  # role -> sorted out-of-fold scores (quantiles where there are many)
    windows: Mapping[str, int]  # role -> windows behind them
    tail: Tail
    threshold: float
    normal: Mapping[str, Mapping[str, Normal]]
    leaves_logged: bool  # whether access points here log that a client left
    peaks: Sequence[float] = ()  # the highest peaks of training's unseen days, descending; none in older bundles
    weeks: float = 0.0  # host-weeks behind them
