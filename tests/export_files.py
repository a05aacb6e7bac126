"""Small exports in every form, and a reader of them, for the tests of reading."""

from __future__ import annotations

import json
from pathlib import Path

from shared.frame import BadRow, open_export
from shared.values import Row

HEADER = "id,timestamp,host,program,pid,severity,message\n"
LINES = HEADER + (
    "1,2026-03-10T00:00:11.450012Z,ap1,hostapd,270,info,wlan0: AP-ENABLED\n"
    '2,2026-03-10 01:00:12+01:00,ap1,hostapd,270,notice,"a ""quoted"", text"\n'
)
ROWS: list[Row] = [
    (1, 1773100811.450012, "ap1", "hostapd", "270", 6, "wlan0: AP-ENABLED"),
    (2, 1773100812.0, "ap1", "hostapd", "270", 5, 'a "quoted", text'),
]
OBJECTS = [
    {
        "id": 1,
        "timestamp": "2026-03-10T00:00:11.450012Z",
        "hostname": "ap1",
        "process_name": "hostapd",
        "pid": 270,
        "level": "INFO",
        "message": "wlan0: AP-ENABLED",
    },
    {
        "id": 2,
        "timestamp": "2026-03-10T01:00:12+01:00",
        "hostname": "ap1",
        "process_name": "hostapd",
        "pid": "270",
        "level": 5,
        "message": 'a "quoted", text',
    },
]
FORMS = {
    "csv": LINES,
    "json": json.dumps({"logs": OBJECTS, "metadata": {"site": "x"}}),
    "json, indented, metadata first": json.dumps({"metadata": {"site": "x"}, "count": 2, "logs": OBJECTS}, indent=2),
    "json list": json.dumps(OBJECTS),
    "json lines": "\n".join(map(json.dumps, OBJECTS)) + "\n",
}


def make(folder: Path, data: str | bytes, name: str = "export.dat") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder: Path, data: str | bytes) -> tuple[list[Row], list[BadRow]]:
    bad: list[BadRow] = []
    return list(open_export(make(folder, data)).rows(bad.append)), bad
