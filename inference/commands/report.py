"""What `status` and `incidents` print: the state file in words."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from inference.config import Settings
from inference.keeping import reading as read
from inference.keeping.incident_export import incident_values
from inference.said.marks import Mark
from inference.said.mutes import Mute
from inference.telling.messages import number
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
            "daemon": _daemon(settings.lock_file, asdict(read.status(db))),
            "models": [asdict(each) for each in read.models(db) if each.active],
            "last_day": asdict(read.totals(db, since=since)),
            "open_incidents": read.count_incidents(db, state="open"),
            "newest_window": iso(newest) if newest else None,
        }
    finally:
        db.close()


def _daemon(lock: Path, said: dict[str, Any]) -> dict[str, Any]:
    """What the daemon last said; `died` where it never said goodbye and no process holds its lock any more."""
    if said["state"] in ("stopped", "never ran"):
        return said
    try:
        with lock.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:  # somebody holds it, or it cannot be looked at: then believe what was said
        return said
    return {**said, "state": "died"}


def status_text(report: dict[str, Any]) -> str:
    """The same for a terminal."""
    daemon, day = report["daemon"], report["last_day"]
    lines = [f"daemon     {daemon['state']}" + (f", pid {daemon['pid']}" if daemon["pid"] else "")]
    if daemon["state"] == "died":
        lines[0] += (
            ": it ended without a word; its log may say why, and systemd or `pipit-inference run` starts it again"
        )
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
        return [incident_values(each) for each in read.incidents(db, limit=limit, state=state)]
    finally:
        db.close()


def incidents_text(found: list[dict[str, Any]]) -> str:
    """One line an incident."""
    if not found:
        return "no incidents"
    return "\n".join(_line(each) for each in found)


def _line(each: dict[str, Any]) -> str:
    said = f" [{each['mark']}]" if each["mark"] else ""
    said += " [muted]" if each["muted"] else ""
    return (
        f"{each['id']:>5}  {each['started'][:19]}  {each['severity']:<8} {each['type']:<20} {clean(each['host'], 40):<16} "
        f"{each['windows']:>3} windows  {clean(each['description'], 160)}{said}"
    )


def detail_text(values: dict[str, Any]) -> str:
    """One incident with its evidence for a terminal."""
    span = f"from {values['started'][:19]} to {values['ended'][:19]}, {values['rarity_words']}"
    sure = f"{values['confidence']:.0%} sure, found by {values['found_by']}"
    lines = [_line(values), f"  {span}, {sure}", f"  {clean(values['description'], 1000)}"]
    if values["marked"]:
        mark = values["marked"]
        lines.append(f"  marked {mark['mark']} by {clean(mark['by'])} on {iso(mark['at'])[:10]} {clean(mark['note'])}")
    lines += ["", "what moved"]
    lines += [
        f"  {each['feature']:<34} {number(each['value']):>10}   normal {number(each['normal_low'])} to"
        f" {number(each['normal_high'])}"
        for each in values["moved"]
    ]
    if values["nearest"]:
        near = values["nearest"]
        features = ", ".join(f"{name} {number(value)}" for name, value in near["features"].items())
        lines += ["", f"the nearest normal window ({near['host']} host, {near['when']} of training): {features}"]
    lines += ["", "log lines (* the telling ones)"]
    lines += [
        f"  {'*' if line['telling'] else ' '} {line['time'][:19]} {line['program']}: {clean(line['message'], 300)}"
        for line in values["lines"][:40]
    ]
    return "\n".join(lines)


def marks_text(found: Iterable[Mark]) -> str:
    """One line a mark."""
    rows = [
        f"incident {each.incident_id:>5}  {each.mark:<9} {each.type:<20} {clean(each.host, 40):<16} by {clean(each.by, 40)}"
        f" on {iso(each.at)[:10]}, counts until {iso(each.expires)[:10]}  {clean(each.note, 160)}"
        for each in found
    ]
    return "\n".join(rows) or "no marks"


def mutes_text(found: Iterable[Mute]) -> str:
    """One line a mute."""
    rows = [
        f"{each.id:>5}  {clean(each.type, 40):<20} {clean(each.host, 40) if each.host else 'everywhere':<16} until"
        f" {iso(round(each.until))[:16]} by {clean(each.by, 40)}  {clean(each.note, 160)}"
        for each in found
    ]
    return "\n".join(rows) or "nothing is muted"
