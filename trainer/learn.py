"""First pass over an export: what a bundle has to know before features can be computed.

Networks, access points, devices' habits and WPA3 interfaces, all as salted hashes; which of them an agent needs is said
by its formulas (`unseen`, `excess`, `marked`).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable

from shared.addresses import folded
from shared.agent import UNKNOWN, AgentSpec
from shared.events import EventParser
from shared.features import FeatureTable
from shared.reference import DEFAULT_USUAL, Known, hashed
from shared.values import Row

DAY_S = 86_400
LEAST_WITHOUT = 3  # joins without their first step before an interface counts as WPA3
LEAST_SHARE = 0.05


class Learner:
    """Sees every row once, in time order; `known()` gives the reference data. Memory follows devices × days."""

    def __init__(self, spec: AgentSpec, salt: str) -> None:
        self.spec, self.salt = spec, salt
        self.rows = self.own_rows = self.unknown_rows = 0
        self.first = self.last = 0.0
        self.hosts: Counter[str] = Counter()
        self.shapes: Counter[str] = Counter()
        self._parser = EventParser(spec)
        self._table = FeatureTable(spec)
        self._programs = frozenset(spec.programs)
        self._view_s = spec.window_s * spec.long_windows
        needs = [formula.needs for formula in self._table.formulas]
        self._aims = frozenset(slot for need in needs if need.aims for group in need.aims for slot in group)
        self.leaves = 0  # rows that say that a client left: not every platform logs them
        left = spec.silence.left[:1] if spec.silence else ()
        self._left = {slot for name in left for slot in self._table.lexicon.slots(name)}
        self._habit = next((need.habit for need in needs if need.habit), None)
        self._joins = next((need.joins for need in needs if need.joins), None)
        self._networks: dict[str, float] = {}  # hash -> when it was first seen
        self._targets: dict[str, float] = {}
        self._counts: dict[str, dict[int, Counter[tuple[str, int, int]]]] = defaultdict(lambda: defaultdict(Counter))
        self._step: dict[tuple[str, str], float] = {}
        self._with: Counter[tuple[str, str, int]] = Counter()  # (host, interface, day) -> joins
        self._without: Counter[tuple[str, str, int]] = Counter()

    def learn(self, rows: Iterable[Row], known_fault: Callable[[str, float], bool] | None = None) -> None:
        """Take in all rows; those of a known fault (host, time) are counted, and nothing is taken for normal from them."""
        for row in rows:
            self.rows += 1
            if row[3] in self._programs:
                self._own(row, known_fault is not None and known_fault(row[2], row[1]))

    def _own(self, row: Row, fault: bool) -> None:
        _, time, host, program, _, severity, message = row
        parsed = self._parser.parse(program, severity, message)
        self.own_rows += 1
        self.hosts[host] += 1
        self.first = time if self.own_rows == 1 else min(self.first, time)
        self.last = max(self.last, time)
        if parsed.event == UNKNOWN:
            self.unknown_rows += 1
            if parsed.shape in self.shapes or len(self.shapes) < 2_000:
                self.shapes[parsed.shape] += 1
            return
        if parsed.again or fault:
            return
        fields = folded(parsed.fields)
        slot = self._table.lexicon.slot(parsed.event, fields.get("kind", ""))
        self.leaves += slot in self._left
        if slot in self._aims:
            self._aim(time, fields.get("ssid"), fields.get("bssid"), fields.get("freq"))
        if self._habit is not None and any(slot in group for group in self._habit[0]):
            key = fields.get(self._habit[1])
            if key is not None:
                self._counts[key.lower()][int(time // DAY_S)][host, slot, int(time // self._view_s)] += 1
        if self._joins is not None:
            self._join(slot, time, host, fields.get("iface", ""), fields.get(self._joins[2]))

    def _aim(self, time: float, ssid: str | None, bssid: str | None, freq: str | None) -> None:
        if ssid and bssid and freq:
            self._networks.setdefault(hashed(self.salt, "ssid", ssid), time)
            self._targets.setdefault(hashed(self.salt, "target", ssid, bssid.lower(), freq), time)

    def _join(self, slot: int, time: float, host: str, interface: str, device: str | None) -> None:
        if device is None or self._joins is None:
            return
        joins, steps, _, within_s = self._joins
        if any(slot in group for group in steps):
            self._step[host, device] = time
            if len(self._step) > 20_000:
                self._step.clear()
        elif any(slot in group for group in joins):
            seen = time - self._step.get((host, device), -1e12) < within_s
            (self._with if seen else self._without)[host, interface, int(time // DAY_S)] += 1

    def known(self, until: float = math.inf) -> Known:
        """What the rows before `until` (s) taught, hashed; habits and interfaces by whole days."""
        day = math.ceil(until / DAY_S) if math.isfinite(until) else 2**53
        without, seen = _by_interface(self._without, day), _by_interface(self._with, day)
        marked = {
            hashed(self.salt, "interface", *key)
            for key, joins in without.items()
            if joins >= LEAST_WITHOUT and seen[key] and joins >= LEAST_SHARE * (joins + seen[key])
        }
        networks, targets = (
            frozenset(name for name, first in names.items() if first < until)
            for names in (self._networks, self._targets)
        )
        return Known(self.salt, networks, targets, self._habits(day), frozenset(marked))

    def _habits(self, until_day: int) -> dict[str, float]:
        """Device → joins in the worst half hour of its median day, plus one; only those beyond the default."""
        habits = {}
        for device, days in self._counts.items():
            worst = [max(counts.values()) for day, counts in days.items() if day < until_day]
            usual = statistics.median(worst) + 1 if worst else 0.0
            if usual > DEFAULT_USUAL:
                habits[hashed(self.salt, "device", device)] = float(usual)
        return habits


def _by_interface(joins: Counter[tuple[str, str, int]], until_day: int) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for (host, interface, day), count in joins.items():
        if day < until_day:
            total[host, interface] += count
    return total
