"""Which incidents people are told about: each once when it is opened, and once for each step that its severity rises.

Runs inside the cycle's transaction, so that a message waits exactly when its incident is saved.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

from inference.incidents import SEVERITIES, Incident
from inference.said import mutes
from inference.telling import outbox
from inference.telling.messages import incident_message
from inference.telling.template import read_template
from shared.values import ALL_HOSTS, Moved, Verdict

OLD_S = 86_400.0  # what a catch-up finds in last week's rows is on the page, and no news


class Teller:
    """Puts messages about incidents into the outbox. `page_url`: where the pages are, for a link; empty: none.

    `template`: a file with the words; None: Pipit's own. Raises ConfigError where it cannot be used.
    """

    def __init__(self, page_url: str = "", template: Path | None = None) -> None:
        self._page_url, self._template = page_url.rstrip("/"), read_template(template)

    def __call__(
        self, db: sqlite3.Connection, incidents: Mapping[str, Incident], verdicts: Iterable[Verdict], now: float
    ) -> None:
        """Tell of these incidents as they are now; `verdicts` are the windows that changed them."""
        strangest = _strangest(verdicts) if incidents else {}
        for incident in incidents.values():
            if now - incident.ended > OLD_S or mutes.is_muted(db, incident.agent, incident.type, incident.host, now):
                continue
            moved = strangest.get((incident.agent, incident.host), ())
            if incident.host == ALL_HOSTS and _is_told_otherwise(db, incident, moved):
                continue
            told = _told(db, incident)
            rank = SEVERITIES.index(incident.severity)
            if told is None or rank > told:
                self._put(db, incident, moved, told is not None, now)

    def _put(
        self, db: sqlite3.Connection, incident: Incident, moved: tuple[Moved, ...], raised: bool, now: float
    ) -> None:
        kind = "raised" if raised else "incident"
        row = db.execute("SELECT id FROM incidents WHERE key = ?", (incident.key,)).fetchone()
        link = f"{self._page_url}/incidents/{row['id']}" if self._page_url and row else ""
        title, body = incident_message(incident, moved, raised=raised, link=link, template=self._template)
        outbox.put(db, kind, key_of(incident, incident.severity), incident.severity, title, body, now)


def key_of(incident: Incident, severity: str) -> str:
    """The outbox key of an incident's message at a severity: told once."""
    return f"incident/{incident.key}/{severity}"


def _told(db: sqlite3.Connection, incident: Incident) -> int | None:
    """The highest severity that people were told of this incident, None where they were told nothing."""
    keys = [key_of(incident, severity) for severity in SEVERITIES]
    rows = db.execute("SELECT severity FROM outbox WHERE key IN (?, ?, ?)", keys).fetchall()
    return max((SEVERITIES.index(row["severity"]) for row in rows), default=None)


def _is_told_otherwise(db: sqlite3.Connection, incident: Incident, moved: tuple[Moved, ...]) -> bool:
    """Whether people know that the log is away: by another agent's incident, or as no row at all had come for long."""
    agents = "SELECT 1 FROM incidents WHERE state = 'open' AND host = ? AND (started, agent) < (?, ?)"
    if db.execute(agents, (ALL_HOSTS, incident.started, incident.agent)).fetchone():
        return True
    quiet_s = max((one.value or 0.0 for one in moved), default=0.0)
    rows = "SELECT 1 FROM outbox WHERE kind = 'source' AND key LIKE 'silent/%' AND created > ?"
    return db.execute(rows, (incident.ended - quiet_s,)).fetchone() is not None


def _strangest(verdicts: Iterable[Verdict]) -> dict[tuple[str, str], tuple[Moved, ...]]:
    """What moved in each host's strangest window."""
    found: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        place = (verdict.agent, verdict.host)
        if verdict.is_anomaly and (place not in found or (verdict.score or 0.0) > (found[place].score or 0.0)):
            found[place] = verdict
    return {place: verdict.explanation for place, verdict in found.items()}
