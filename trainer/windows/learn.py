"""What a bundle has to know before features can be computed, learnt while an export's rows stream by.

Networks, access points, devices' habits and WPA3 interfaces, all as salted hashes; which of them an agent needs is said
by its formulas (`unseen`, `excess`, `marked`).
"""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping
from functools import partial
from typing import Any

from shared.agent import AgentSpec
from shared.events import shape_of
from shared.feature_table import FeatureTable
from shared.panes import Cell
from shared.reference import DEFAULT_USUAL, Known, hashed

DAY_S = 86_400
LEAST_WITHOUT = 3  # joins without their first step before an interface counts as WPA3
LEAST_SHARE = 0.05
MOST_SHAPES = 2_000
MOST_STEPS = 20_000


class Learner:
    """Sees every row of the agent's programs, each host's in time order. Memory follows devices × days.

    own_rows, unknown_rows, rows: of the agent's programs, of these not understood, of any program. first, last: s.
    """

    def __init__(self, spec: AgentSpec, salt: str) -> None:
        self.spec, self.salt = spec, salt
        self.rows = self.own_rows = self.unknown_rows = 0
        self.first, self.last = math.inf, -math.inf  # s
        self.shapes: Counter[str] = Counter()  # of messages that no pattern knows
        self.leaves = 0  # rows that say that a client left: not every platform logs them
        self._view_s = spec.window_s * spec.long_windows
        table = FeatureTable(spec)
        needs = [formula.needs for formula in table.formulas]
        self._aims = frozenset(slot for need in needs if need.aims for group in need.aims for slot in group)
        left = spec.silence.left[:1] if spec.silence else ()
        self._left = frozenset(slot for name in left for slot in table.lexicon.slots(name))
        habit = next((need.habit for need in needs if need.habit), ((), ""))
        self._habit, self._habit_key = frozenset(slot for group in habit[0] for slot in group), habit[1]
        joins = next((need.joins for need in needs if need.joins), ((), (), "", 0.0))
        self._join, self._first_step = (frozenset(slot for group in part for slot in group) for part in joins[:2])
        self._join_key, self._within_s = joins[2:]
        # slots of rows that `learn` has to see
        self.wanted = self._aims | self._left | self._habit | self._join | self._first_step
        self._networks: dict[str, float] = {}  # name -> when it was first seen
        self._targets: dict[tuple[str, str, str], float] = {}
        self._counts: dict[str, dict[int, Counter[tuple[str, int, int]]]] = defaultdict(partial(defaultdict, Counter))
        self._step: dict[tuple[str, str], float] = {}
        self._with: Counter[tuple[str, str, int]] = Counter()  # (host, interface, day) -> joins
        self._without: Counter[tuple[str, str, int]] = Counter()

    def not_understood(self, message: str) -> None:
        """Count a message that no pattern knows."""
        self.unknown_rows += 1
        shape = shape_of(message)
        if shape in self.shapes or len(self.shapes) < MOST_SHAPES:
            self.shapes[shape] += 1

    def learn(self, time: float, host: str, cell: Cell) -> None:
        """Take what a row of a wanted slot says for normal."""
        slot, fields = cell.slot, cell.fields
        self.leaves += slot in self._left
        if slot in self._aims:
            ssid, target = fields.get("ssid"), _target(fields)
            if ssid and target is not None:
                self._networks.setdefault(ssid, time)
                self._targets.setdefault(target, time)
        if slot in self._habit:
            key = fields.get(self._habit_key)
            if key is not None:
                self._counts[key.lower()][int(time // DAY_S)][host, slot, int(time // self._view_s)] += 1
        if slot in self._first_step:
            device = fields.get(self._join_key)
            if device is not None:
                self._begin(host, device, time)
        elif slot in self._join:
            device = fields.get(self._join_key)
            if device is not None:
                seen = time - self._step.get((host, device), -math.inf) < self._within_s
                (self._with if seen else self._without)[host, fields.get("iface", ""), int(time // DAY_S)] += 1

    def _begin(self, host: str, device: str, time: float) -> None:
        self._step[host, device] = time
        if len(self._step) > MOST_STEPS:
            self._step.clear()

    def unseen(self, fields: Mapping[str, str]) -> bool:
        """Whether a join aims at a network seen so far through an access point or channel not seen so far."""
        target = _target(fields)
        return target is not None and target[0] in self._networks and target not in self._targets

    def met(self, fields: Mapping[str, str]) -> bool:
        """Whether this network was seen at this access point so far, on whatever channel."""
        target = _target(fields)
        return target is not None and any(target[:2] == other[:2] for other in self._targets)

    def merge(self, other: Learner) -> None:
        """Add what was learnt from other hosts of the same log."""
        self.rows += other.rows
        self.own_rows += other.own_rows
        self.unknown_rows += other.unknown_rows
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)
        self.shapes += other.shapes
        self.leaves += other.leaves
        _earliest(self._networks, other._networks)
        _earliest(self._targets, other._targets)
        for device, days in other._counts.items():
            for day, counts in days.items():
                self._counts[device][day] += counts
        self._with += other._with
        self._without += other._without

    def known(self, until: float = math.inf) -> Known:
        """What the rows before `until` (s) taught, hashed; habits and interfaces by whole days."""
        day = math.ceil(until / DAY_S) if math.isfinite(until) else 2**53
        without, seen = _by_interface(self._without, day), _by_interface(self._with, day)
        marked = {
            hashed(self.salt, "interface", *key)
            for key, joins in without.items()
            if joins >= LEAST_WITHOUT and seen[key] and joins >= LEAST_SHARE * (joins + seen[key])
        }
        networks = frozenset(hashed(self.salt, "ssid", name) for name, at in self._networks.items() if at < until)
        seen_at = {part for target, at in self._targets.items() if at < until for part in (target, target[:2])}
        targets = frozenset(hashed(self.salt, "target", *target) for target in seen_at)
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


def _earliest(seen: dict[Any, float], other: Mapping[Any, float]) -> None:
    for key, time in other.items():
        seen[key] = min(time, seen.get(key, math.inf))


def _target(fields: Mapping[str, str]) -> tuple[str, str, str] | None:
    """(network, access point, channel) that a join aims at, where the row says all three."""
    ssid, bssid, freq = fields.get("ssid"), fields.get("bssid"), fields.get("freq")
    return (ssid, bssid.lower(), freq) if ssid and bssid and freq else None


def _by_interface(joins: Counter[tuple[str, str, int]], until_day: int) -> Counter[tuple[str, str]]:
    total: Counter[tuple[str, str]] = Counter()
    for (host, interface, day), count in joins.items():
        if day < until_day:
            total[host, interface] += count
    return total
