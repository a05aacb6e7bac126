"""A Pi's state folder filled as the daemon would: three days of windows of 21 hosts, some incidents, some bundles.

Written through the daemon's own classes, so that the pages are tested on what they will meet.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from inference import state
from inference.bundles.store import BAD, GOOD, PROBATION, BundleStore
from inference.incidents import Incidents
from inference.source import Cursor
from shared.bundle import FileEntry, Manifest
from shared.values import Line, Moved, Verdict

SPAN_S = 300.0
ACTIVE, PREVIOUS, REFUSED = "20260309_230000", "20260302_230000", "20260311_230000"
NOW = 1773350160.0  # Thu 12 Mar 2026, 21:16:00 UTC
SAMPLE = {"ap": 8977, "station": 3120}
APS = ("ap1", "ap2", "ap3")
STATIONS = (
    "cam-lobby",
    "sensor-hvac",
    "sensor-door",
    "printer-2f",
    "laptop-noa",
    "laptop-it1",
    "laptop-it2",
    "laptop-fin1",
    "laptop-fin2",
    "laptop-hr1",
    "nuc-reception",
    "nuc-meeting",
    "phone-cfo",
    "phone-omer",
    "phone-dana",
    "phone-lee",
    "phone-sam",
    "tablet-guest",
)
HOSTILE_SSID = "Free\u202eTSOH\u202c\u200b<script>alert(1)</script>\x1b[31m\u0000"


@dataclass(frozen=True)
class Attack:
    """An invented incident: how long ago it began (s), where, what, and how many windows it took."""

    ago_s: float
    host: str
    type: str
    severity: str
    description: str
    windows: int
    found_by: str = "model+rule"
    rarity: float | None = SAMPLE["ap"] + 1.0


ATTACKS = (
    Attack(62 * 3600, "ap2", "ap_crash_loop", "critical", "ap2 crashes and starts again (11 starts without a stop)", 1),
    Attack(
        53 * 3600,
        "sensor-hvac",
        "sta_flapping",
        "info",
        "sensor-hvac joins again and again (14 connections)",
        5,
        "model",
        640.0,
    ),
    Attack(
        40 * 3600,
        "ap2",
        "ap_hang",
        "critical",
        "ap2 has said nothing for 56 minutes; it was never that quiet in training",
        7,
        "silence",
        None,
    ),
    Attack(
        28 * 3600,
        "laptop-noa",
        "deauth_flood",
        "warning",
        "laptop-noa was thrown off the network again and again (26 disconnections by the other side)",
        1,
        "rule",
        1000.0,
    ),
    Attack(
        19.5 * 3600,
        "ap1",
        "psk_bruteforce",
        "critical",
        "Somebody is guessing the WiFi password at ap1 (89 attempts)",
        3,
    ),
    Attack(
        16 * 3600,
        "cam-lobby",
        "evil_twin",
        "critical",
        "cam-lobby was lured to an access point that only pretends to be its network (6 attempts)",
        3,
        rarity=3121.0,
    ),
    Attack(
        13 * 3600, "ap3", "eap_failure_burst", "critical", "Somebody is guessing a login at ap3 (240 failed logins)", 2
    ),
    Attack(
        8 * 3600,
        "ap1",
        "assoc_flood",
        "warning",
        "ap1 was flooded with join requests that nobody finished (512 joins)",
        1,
    ),
    Attack(
        1500,
        "ap1",
        "mac_spoofing",
        "critical",
        "A second device is using the address of a client of ap1 (7 wrong passwords beside good joins)",
        2,
    ),
    Attack(
        900,
        "cam-lobby",
        "mac_spoofing",
        "critical",
        "A second device is using the address of cam-lobby (9 replayed frames)",
        1,
        rarity=3121.0,
    ),
)


def fill(
    state_dir: Path,
    now: float = NOW,
    attacks: Iterable[Attack] = ATTACKS,
    days: float = 3.0,
    seed: int = 7,
    hosts: Sequence[str] = (*APS, *STATIONS),
) -> Path:
    """Make the state file of a Pi that has run for `days`; returns its path."""
    db = state.connect(state_dir / "state.db")
    keeper, incidents = state.State(db), Incidents()
    chance = random.Random(seed)
    verdicts = sorted(
        [*_normal(now, days, chance, hosts), *(v for attack in attacks for v in _anomalies(attack, now, chance))],
        key=lambda verdict: (verdict.window_end, verdict.host),
    )
    seen: dict[tuple[str, float], Verdict] = {}
    for verdict in verdicts:  # an anomaly takes the place of the normal window that it would have been
        place = (verdict.host, verdict.window_start)
        if place not in seen or verdict.is_anomaly:
            seen[place] = verdict
    heard = {host: {"last_row": now - 4.0 - n} for n, host in enumerate(hosts)}
    keeper.commit(Cursor(0, 38201), list(seen.values()), {"wifi": {"hosts": heard}}, incidents, {"wifi": now}, now)
    keeper.commit(Cursor(0, 38201), [], {}, incidents, {"wifi": now}, now)
    set_status(state_dir, now)
    add_bundles(state_dir, now)
    db.close()
    return state_dir / "state.db"


def set_status(state_dir: Path, now: float, **changes: object) -> None:
    """What the daemon says of itself."""
    db = state.connect(state_dir / "state.db")
    usual = {
        "state": "running",
        "pid": 4242,
        "started": now - 3 * 86400 - 47640,
        "last_run": now - 28.0,
        "last_error": None,
        "source": "postgresql://pipit@db.riverside.lan/logs",
        "source_error": None,
        "lag_s": 4.0,
        "rows": 38201,
        "late_rows": 0,
        "gaps_expired": 0,
        "warnings": [],
        "cycle": {"rows": 61, "windows": 9, "anomalies": 0, "seconds": 0.021},
    }
    state.State(db).set_status({**usual, **changes}, float(str(changes.get("updated", now - 5))))
    db.close()


def add_bundles(state_dir: Path, now: float) -> None:
    """An active version, the one before it, and one that was refused."""
    db = state.connect(state_dir / "state.db")
    store = BundleStore(db, state_dir / "store")
    for version, serial, age_s in (
        (PREVIOUS, 1772492400, 10 * 86400),
        (ACTIVE, 1773097200, 3 * 86400),
        (REFUSED, 1773270000, 54000),
    ):
        manifest = _manifest(version, serial)
        store.add_candidate(manifest, "anvil", now - age_s)
        if version == REFUSED:
            store.set_state(
                "wifi",
                version,
                BAD,
                now - age_s,
                "golden",
                "Golden row 14: the score differs by 0.031, allowed is 0.000000001.",
            )
        else:
            store.commit_active(manifest, "anvil", PROBATION, {}, now - age_s)
            store.set_state("wifi", version, GOOD, now - age_s + 3600)
            _copy(store.shelf.path("wifi", version), version)
        known = store.known("wifi", version)
        assert known is not None
        store.add_transfer(known, "pushed", known.state, None, now - age_s, known.code, known.reason)
    db.close()


def _manifest(version: str, serial: int) -> Manifest:
    files = {"model.joblib": FileEntry(1_900_000, "0" * 64), "scorer.npz": FileEntry(160_000, "1" * 64)}
    return Manifest("wifi", version, serial, (), files)


def _copy(folder: Path, version: str) -> None:
    """The part of a bundle's private copy that pages read."""
    folder.mkdir(parents=True, exist_ok=True)
    metadata = {
        "model_version": version,
        "agent_name": "wifi",
        "training_log_count": 26240,
        "windows": sum(SAMPLE.values()),
    }
    scores = {role: [0.3 + 0.3 * n / count for n in range(count)] for role, count in SAMPLE.items()}
    normal = {"ap": {"lines": [1, 2, 19], "psk_attempts": [0, 0, 2], "unfinished_joins": [0, 0, 1]}}
    reference = {"schema": 1, "windows": SAMPLE, "scores": scores, "threshold": 0.59987, "normal": normal}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    (folder / "reference.json").write_text(json.dumps(reference))
    (folder / "agent.yaml").write_bytes(resources.files("shared.agents").joinpath("wifi.yaml").read_bytes())


def _normal(now: float, days: float, chance: random.Random, hosts: Sequence[str]) -> list[Verdict]:
    last = now // SPAN_S * SPAN_S
    found = []
    for host in hosts:
        busy = 0.9 if host in APS else 0.35 + 0.3 * chance.random()
        for slot in range(round(days * 288), 0, -1):
            start = last - slot * SPAN_S
            if chance.random() > busy:
                continue
            rarity = min(600.0, 1.0 / max(1e-6, chance.random()) ** 0.9)
            found.append(
                Verdict(
                    "wifi",
                    host,
                    start,
                    start + SPAN_S,
                    "ap" if host in APS else "station",
                    chance.randint(1, 19),
                    0.35,
                    rarity,
                    False,
                    None,
                    None,
                    None,
                    "",
                    {"lines": 7.0},
                    (),
                    ACTIVE,
                )
            )
    return found


def _anomalies(attack: Attack, now: float, chance: random.Random) -> list[Verdict]:
    start = (now - attack.ago_s) // SPAN_S * SPAN_S
    silent = attack.found_by == "silence"
    moved = (
        ()
        if silent
        else (
            Moved("psk_attempts", 136.0, 0.0, 2.0, 1.9),
            Moved("unfinished_joins", 34.0, 0.0, 1.0, 1.4),
            Moved("lines_30min", 211.0, 1.0, 38.0, 0.9),
            Moved("most_joins", 35.0, 0.0, 3.0, 0.8),
            Moved("devices", 4.0, 1.0, 9.0, 0.2),
            Moved("longest_gap", None, 20.0, 300.0, 0.1),
        )
    )
    found = []
    for n in range(attack.windows):
        at = start + n * SPAN_S
        found.append(
            Verdict(
                "wifi",
                attack.host,
                at,
                at + SPAN_S,
                "ap" if attack.host in APS else "station",
                0 if silent else chance.randint(90, 220),
                None if silent else 0.7,
                attack.rarity,
                True,
                attack.type,
                attack.severity,
                0.91,
                attack.description,
                {"psk_attempts": 136.0},
                moved,
                ACTIVE,
                attack.found_by,
                () if silent else _lines(attack, at),
            )
        )
    return found


def _lines(attack: Attack, at: float) -> tuple[Line, ...]:
    mac = "06:58:23:99:05:bf"
    texts = [
        f"wlan0: STA {mac} IEEE 802.11: authenticated",
        f"wlan0: STA {mac} IEEE 802.11: associated (aid 7)",
        f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}",
        f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}",
        f"wlan0: STA {mac} IEEE 802.11: deauthenticated due to local deauth request",
    ]
    lines = [Line(at + 8.7 * n, "hostapd", texts[n % len(texts)]) for n in range(20)]
    if attack.type == "evil_twin":
        lines.insert(1, Line(at + 1, "wpa_supplicant", f"wlan0: Trying to associate with SSID '{HOSTILE_SSID}'"))
    return tuple(lines)
