"""What people are told: the words of notifications. Pure; hostile parts are cleaned where a message enters the outbox."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from inference.incidents import Incident
from inference.telling.template import OWN_WORDS, Template
from inference.watching.drifting import DRIFTED, DriftReport
from shared.values import Moved

SHOWN = 3  # features that moved, in one message


def incident_message(
    incident: Incident,
    moved: Sequence[Moved] = (),
    *,
    raised: bool = False,
    link: str = "",
    template: Template = OWN_WORDS,
) -> tuple[str, str]:
    """(title, body) for an incident that was opened, or whose severity has risen."""
    lines = [
        f"{one.feature}: {number(one.value)} (normal {number(one.normal_low)} to {number(one.normal_high)})"
        for one in moved[:SHOWN]
    ]
    return template.fill(
        {
            "severity": incident.severity, "kind": incident.type.replace("_", " "), "host": incident.host,
            "change": "(now more severe)" if raised else "", "description": incident.description,
            "since": when(incident.started), "rarity": rarity_words(incident.rarity),
            "windows": "one window" if incident.windows == 1 else f"{incident.windows} windows",
            "confidence": f"{incident.confidence:.0%}", "found_by": incident.found_by.replace("+", " and ") or "a rule",
            "moved": "\n".join(lines), "link": link, "agent": incident.agent,
        }
    )  # fmt: skip


def drift_message(report: DriftReport) -> tuple[str, str]:
    """(title, body) for a model that no longer fits the log."""
    moved = sorted(
        (one for one in (*report.features, *report.scores) if one.psi is not None and one.word == DRIFTED),
        key=lambda one: -(one.psi or 0.0),
    )
    lines = [f"{one.name} ({one.role}): PSI {number(one.psi)}" for one in moved[:SHOWN]]
    compared = f"{report.windows:,} windows since {when(report.since)} were compared"
    advice = "If the network has changed for good, train again with newer logs."
    return f"drift: {report.agent} is not what {report.version} learnt", "\n".join([compared, *lines, advice])


def rarity_words(rarity: float | None) -> str:
    """How rare a window is.

    >>> rarity_words(2000.4)
    '1 in 2,000 windows'
    """
    if rarity is None:
        return "rare by rule"
    return "common" if rarity < 1.5 else f"1 in {round(rarity):,} windows"


def when(time_s: float) -> str:
    """A moment for people, in UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M UTC")


def number(value: float | None) -> str:
    """A figure for people: no more digits than it deserves."""
    return "missing" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
