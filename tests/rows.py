"""Rows for tests: short ways to write what an access point or a station says."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from shared.values import Row, iso

START = 1_772_496_000.0  # 2026-03-03T00:00:00Z, a window's start
AP, STATION = "hostapd", "wpa_supplicant"
MAC = "0a:1b:2c:00:00:{:02x}"  # no stand-in of trainer/fitting/pseudonyms.py


def row(time: float, message: str, host: str = "ap1", program: str = AP, severity: int = 6) -> Row:
    """A row `time` seconds after `START`."""
    return 0, START + time, host, program, "", severity, message


def join(time: float, device: int = 1, host: str = "ap1") -> list[Row]:
    """A device's whole, good join as hostapd logs it."""
    mac = MAC.format(device)
    return [
        row(time, f"wlan0: STA {mac} IEEE 802.11: authenticated", host),
        row(time + 0.01, f"wlan0: STA {mac} IEEE 802.11: associated (aid 1)", host),
        row(time + 0.02, f"wlan0: STA {mac} WPA: pairwise key handshake completed (RSN)", host),
        row(time + 0.02, f"wlan0: AP-STA-CONNECTED {mac}", host),
    ]


def leave(time: float, device: int = 1, host: str = "ap1") -> list[Row]:
    """A device leaves."""
    return [row(time, f"wlan0: AP-STA-DISCONNECTED {MAC.format(device)}", host)]


def wrong_password(time: float, device: int = 1, host: str = "ap1") -> list[Row]:
    """One try with a wrong passphrase: four lines a second apart, then the access point sends the device away."""
    mac = MAC.format(device)
    lines = [row(time + k, f"wlan0: AP-STA-POSSIBLE-PSK-MISMATCH {mac}", host) for k in range(4)]
    begin = [
        row(time - 0.1, f"wlan0: STA {mac} IEEE 802.11: authenticated", host),
        row(time - 0.1, f"wlan0: STA {mac} IEEE 802.11: associated (aid 1)", host),
    ]
    return [
        *begin,
        *lines,
        row(time + 4, f"wlan0: STA {mac} IEEE 802.11: deauthenticated due to local deauth request", host),
    ]


def in_order(*groups: Iterable[Row]) -> list[Row]:
    """All rows by time, numbered."""
    rows = sorted((r for group in groups for r in group), key=lambda r: r[1])
    return [(number, *r[1:]) for number, r in enumerate(rows, 1)]


def write_export(path: Path, rows: Iterable[Row]) -> Path:
    """The rows as `pipit-trainer export` would write them."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("id", "timestamp", "host", "program", "pid", "severity", "message"))
        writer.writerows((r[0], iso(r[1]), *r[2:]) for r in rows)
    return path
