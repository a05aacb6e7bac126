"""What `status` and `incidents` print: the state file in words."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from inference import state_read as read
from inference.config import Settings
from shared.clean import clean
from shared.values import iso

DAY_S = 86_400.0


def status_report(settings: Settings) -> dict[str, Any]:
    """Daemon, models and the counts of the last day.

    Raises:
        StoreError: there is no state file yet.
    """
    db = read.connect_read(settings.state_file)
    try:
        newest = read.newest_end(db)
        since = (newest or time.time()) - DAY_S
        return {
            "daemon": asdict(read.status(db)),
            "models": [asdict(each) for each in read.models(db) if each.active],
            "last_day": asdict(read.totals(db, since=since)),
            "open_incidents": read.count_incidents(db, state="open"),
            "newest_window": iso(newest) if newest else None,
        }
    finally:
        db.close()


def status_text(report: dict[str, Any]) -> str:
    """The same for a terminal."""
    daemon, day = report["daemon"], report["last_day"]
    lines = [f"daemon     {daemon['state']}" + (f", pid {daemon['pid']}" if daemon["pid"] else "")]
    lines.append(f"source     {clean(daemon['source']) or '-'}")
    lines += [f"model      {each['agent']} {each['version']} ({each['state']})" for each in report["models"]]
    if not report["models"]:
        lines.append("model      none: ship one with `pipit-trainer ship`")
    lines.append(f"last day   {day['windows']} windows of {day['hosts']} hosts, {day['anomalies']} anomalous")
    lines.append(f"incidents  {report['open_incidents']} open")
    lines += [f"error      {clean(daemon[name])}" for name in ("source_error", "last_error") if daemon[name]]
    lines += [f"warning    {clean(warning)}" for warning in daemon["warnings"]]
    return "\n".join(lines)


def read_incidents(settings: Settings, limit: int, state: str | None) -> list[dict[str, Any]]:
    """Incidents as JSON values, the newest first."""
    db = read.connect_read(settings.state_file)
    try:
        found = [asdict(each) for each in read.incidents(db, limit=limit, state=state)]
    finally:
        db.close()
    return [{**each, **{name: iso(each[name]) for name in ("started", "peak", "ended")}} for each in found]


def incidents_text(found: list[dict[str, Any]]) -> str:
    """One line an incident."""
    if not found:
        return "no incidents"
    rows = [
        f"{each['started'][:19]}  {each['severity']:<8} {each['type']:<20} {clean(each['host'], 40):<16} "
        f"{each['windows']:>3} windows  {clean(each['description'], 160)}"
        for each in found
    ]
    return "\n".join(rows)
