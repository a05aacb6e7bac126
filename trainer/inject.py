"""Known faults laid into normal logs: what a model is measured with where nobody has labelled anything.

A fault is data (`faults/<agent>.yaml`): the lines that one step of it writes, how fast steps follow, how long it lasts.
`plan` chooses hosts and times among clean windows, `Cast` knows who plays (addresses, interfaces, networks of each host),
`lay` gives the host's rows with the fault among them. Everything follows from a seed.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from shared.agent import AgentSpec
from shared.errors import ConfigError
from shared.events import EventParser
from shared.values import Row

FOLDER = Path(__file__).parent / "faults"
LINES, SILENCE, BUSIER = "lines", "silence", "busier"
TRIES = 80  # draws of host and time before a fault is given up
SOURCE_S = 7_200.0  # the hours before it that a busier time is made of
LEAST_SOURCE_ROWS = 8  # a host that writes less in these has no rate that could shift
MOST_ROWS = 4_000  # of one fault
NAMES = ("root", "admin", "test", "oracle", "postgres", "ubuntu", "git", "pi", "user", "ftp", "nagios", "www")


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """One kind of fault. Times in seconds, as least and most; `types`: the names that are right, empty: any."""

    name: str
    title: str
    role: str
    types: tuple[str, ...]
    lasts_s: tuple[float, float]
    every_s: tuple[float, float] = (1.0, 1.0)
    device: str = "new"
    lines: tuple[tuple[float, str, int, str], ...] = ()
    kind: str = LINES
    factor: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault at one host from `start` to `end` (s). The same seed writes the same rows."""

    spec: FaultSpec
    host: str
    start: float
    end: float
    seed: str


@lru_cache(maxsize=8)
def load_faults(agent: str) -> tuple[FaultSpec, ...]:
    """The known faults of an agent; of one without a file of its own: everything more often, and silence.

    Raises:
        ConfigError: the file cannot be used.
    """
    path = FOLDER / f"{agent}.yaml"
    if not path.exists():
        return (
            FaultSpec(
                "rate_shift",
                "Everything many times as often",
                "any",
                (),
                (900.0, 1800.0),
                kind=BUSIER,
                factor=(8.0, 20.0),
            ),
            FaultSpec("silence", "Host falls silent", "any", (), (2700.0, 5400.0), kind=SILENCE),
        )
    try:
        return tuple(_fault(entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"faults: {path} cannot be used: {error!r}") from error


def _fault(entry: Mapping[str, Any]) -> FaultSpec:
    def pair(name: str) -> tuple[float, float]:
        low, high = entry.get(name, (1.0, 1.0))
        return float(low), float(high)

    lines = tuple(
        (float(at), str(program), int(level), str(text)) for at, program, level, text in entry.get("lines", ())
    )
    kind = entry.get("kind", LINES)
    if kind not in (LINES, SILENCE, BUSIER) or (kind == LINES) != bool(lines):
        raise ValueError(f"{entry['name']}: kind {kind} with {len(lines)} lines")
    return FaultSpec(
        str(entry["name"]), str(entry["title"]), str(entry["role"]), tuple(entry["types"]), pair("lasts_s"),
        pair("every_s"), str(entry.get("device", "new")), lines, kind, pair("factor"),
    )  # fmt: skip


Clean = Mapping[str, Mapping[str, Sequence[int]]]  # role -> host -> numbers of its clean windows, ascending


@dataclass
class _Planner:
    spec: AgentSpec
    span: tuple[int, int]
    avoid: Collection[tuple[str, int]]
    taken: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def place(self, fault: FaultSpec, clean: Clean, rng: random.Random, number: int) -> Planned | None:
        """A host and a time for one fault; None where none is found."""
        roles = [role for role in clean if fault.role in ("any", role) and clean[role]]
        width = self.spec.window_s
        for _ in range(TRIES if roles else 0):
            hosts = clean[rng.choice(roles)]
            host = rng.choice(sorted(hosts))
            lasts = math.exp(rng.uniform(*map(math.log, fault.lasts_s)))
            first = rng.choice(hosts[host])
            last = first + math.ceil(lasts / width)
            if not self._fits(fault, host, first, last, hosts[host]):
                continue
            self.taken[host].append((first, last))
            start = (first + rng.uniform(0.05, 0.95)) * width
            return Planned(fault, host, start, start + lasts, f"{rng.random()}/{number}")
        return None

    def _fits(self, fault: FaultSpec, host: str, first: int, last: int, own: Sequence[int]) -> bool:
        view = self.spec.long_windows + 1
        if first - view < self.span[0] or last + 2 > self.span[1]:
            return False
        if any(first - 2 * view < end and start < last + 2 * view for start, end in self.taken[host]):
            return False
        if any((host, index) in self.avoid for index in range(first - view, last + 2)):
            return False
        during = sum(first <= index < last for index in own)
        before = sum(first - 12 <= index < first for index in own)
        if fault.kind == SILENCE:  # it shows by absence: there must be something to miss, and somebody who spoke before
            return during >= min(3, last - first) and before >= 2 and any(index >= last for index in own)
        return fault.kind != BUSIER or before >= 4


def plan(
    faults: Iterable[FaultSpec],
    clean: Clean,
    spec: AgentSpec,
    span: tuple[int, int],
    *,
    each: int,
    seed: int,
    avoid: Collection[tuple[str, int]] = (),
) -> list[Planned]:
    """`each` faults of every kind between two window numbers, apart from each other and from windows to `avoid`."""
    rng, planner = random.Random(f"faults {seed}"), _Planner(spec, span, avoid)
    found = []
    for number in range(each):
        for fault in faults:
            if fault.kind == SILENCE and spec.silence is None:
                continue
            placed = planner.place(fault, clean, rng, number)
            if placed is not None:
                found.append(placed)
    return sorted(found, key=lambda each: (each.start, each.host))


class Cast:
    """Who plays: interfaces, clients and networks of each host, read from its own rows."""

    ENOUGH, MOST_READ = 12, 3_000

    def __init__(self, spec: AgentSpec) -> None:
        self._parser = EventParser(spec)
        self._programs = frozenset(spec.programs)
        self._read: dict[str, int] = defaultdict(int)
        self._devices: dict[str, dict[str, None]] = defaultdict(dict)
        self._ifaces: dict[str, str] = {}
        self._targets: dict[str, tuple[str, str, str]] = {}

    def see(self, row: Row) -> None:
        """Learn from a row; hosts that are known well enough cost nothing."""
        host = row[2]
        if row[3] not in self._programs or self._read[host] >= self.MOST_READ:
            return
        self._read[host] += 1
        fields = self._parser.parse(row[3], row[5], row[6]).fields
        if (iface := fields.get("iface")) and host not in self._ifaces:
            self._ifaces[host] = iface
        if mac := fields.get("mac"):
            self._devices[host].setdefault(mac)
        ssid, bssid, freq = (fields.get(name) for name in ("ssid", "bssid", "freq"))
        if ssid and bssid and freq:
            self._targets[host] = (ssid, bssid, freq)
        if len(self._devices[host]) >= self.ENOUGH and host in self._ifaces:
            self._read[host] = self.MOST_READ

    def parts(self, planned: Planned, rng: random.Random) -> dict[str, str] | None:
        """What placeholders of the fault's lines mean at its host; None where the host cannot play it."""
        host, text = planned.host, " ".join(line[3] for line in planned.spec.lines)
        target = self._targets.get(host) or next(iter(self._targets.values()), None)
        if target is None and ("{bssid}" in text or "{ssid}" in text):
            return None
        ssid, bssid, freq = target or ("", "", "")
        devices = list(self._devices[host]) or [_address(rng)]
        mac = rng.choice(devices) if planned.spec.device == "known" else _address(rng)
        return {
            "iface": self._ifaces.get(host, "wlan0"), "mac": mac, "ssid": ssid, "bssid": bssid, "freq": freq,
            "twin": _address(rng), "ip": f"203.0.113.{rng.randrange(1, 255)}", "user": NAMES[0], "port": "40000",
        }  # fmt: skip


def _address(rng: random.Random) -> str:
    return ":".join(("02", *(f"{rng.randrange(256):02x}" for _ in range(5))))


def context_s(planned: Planned, spec: AgentSpec) -> float:
    """How long before a fault its host's rows are needed: the trailing view, the silence's memory, the source of rates."""
    least = (spec.long_windows + 1) * spec.window_s
    if planned.spec.kind == SILENCE and spec.silence is not None:
        return least + spec.silence.expire_s
    return max(least, SOURCE_S) if planned.spec.kind == BUSIER else least


class Collector:
    """Keeps the rows around the planned faults while a log streams by."""

    def __init__(self, planned: Sequence[Planned], spec: AgentSpec) -> None:
        self.rows: list[list[Row]] = [[] for _ in planned]
        self._spans: dict[str, list[tuple[float, float, list[Row]]]] = defaultdict(list)
        for one, rows in zip(planned, self.rows, strict=True):
            self._spans[one.host].append((one.start - context_s(one, spec), one.end + 2 * spec.window_s, rows))

    def see(self, row: Row) -> None:
        """Keep the row where a fault needs it."""
        for start, end, rows in self._spans.get(row[2], ()):
            if start <= row[1] < end:
                rows.append(row)


def lay(planned: Planned, rows: Sequence[Row], cast: Cast) -> list[Row] | None:
    """The host's rows with the fault among them, in time order; None where the host cannot play it."""
    rng = random.Random(planned.seed)
    if planned.spec.kind == SILENCE:
        return [row for row in rows if not planned.start <= row[1] < planned.end]
    added = _busier(planned, rows, rng) if planned.spec.kind == BUSIER else _steps(planned, cast, rng)
    if not added:
        return None
    return sorted([*rows, *added], key=lambda row: row[1])


def _steps(planned: Planned, cast: Cast, rng: random.Random) -> list[Row]:
    parts = cast.parts(planned, rng)
    if parts is None:
        return []
    every = math.exp(rng.uniform(*map(math.log, planned.spec.every_s)))
    added: list[Row] = []
    time = planned.start
    while time < planned.end and len(added) < MOST_ROWS:
        if planned.spec.device == "each":
            parts["mac"] = _address(rng)
        parts["user"], parts["port"] = rng.choice(NAMES) + str(rng.randrange(100)), str(rng.randrange(1024, 65536))
        added += [
            (-1, time + at, planned.host, program, "", severity, text.format(**parts))
            for at, program, severity, text in planned.spec.lines
            if time + at < planned.end
        ]
        time += every * rng.uniform(0.7, 1.3)
    return added


def _busier(planned: Planned, rows: Sequence[Row], rng: random.Random) -> list[Row]:
    lasts = planned.end - planned.start
    source = [row for row in rows if planned.start - SOURCE_S <= row[1] < planned.start]
    if len(source) < LEAST_SOURCE_ROWS:
        return []
    factor = math.exp(rng.uniform(*map(math.log, planned.spec.factor)))
    pieces = max(1, min(round(factor * lasts / SOURCE_S), MOST_ROWS // len(source)))
    return [
        (-1, planned.start + (number + 1 + (row[1] - planned.start) / SOURCE_S) * lasts / pieces, *row[2:])
        for number in range(pieces)
        for row in source
    ]
