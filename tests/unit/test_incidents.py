"""Anomalies that belong together."""

from __future__ import annotations

from dataclasses import replace

from inference.incidents import MERGE_GAP_S, Incidents
from shared.values import Verdict, iso

START = 1_773_144_000.0


def anomaly(
    window: int, kind: str = "auth_flood", severity: str = "warning", confidence: float = 0.5, host: str = "ap1"
) -> Verdict:
    start = START + 300 * window
    return Verdict("wifi", host, start, start + 300, "ap", 10, 0.5 + window / 100, 100.0, True, kind, severity, confidence,
                   f"{kind} {confidence}", {}, (), "v", "model")  # fmt: skip


def test_anomalies_half_an_hour_apart_are_one_incident_and_keep_its_key() -> None:
    incidents = Incidents()
    first = incidents.add(anomaly(0))
    second = incidents.add(anomaly(1 + int(MERGE_GAP_S // 300)))
    assert first.key == second.key == f"wifi/ap1/{iso(START)}"
    assert (second.windows, second.ended) == (2, START + 300 * 8)


def test_anomalies_farther_apart_or_of_other_hosts_are_incidents_of_their_own() -> None:
    incidents = Incidents()
    keys = {incidents.add(anomaly(0)).key, incidents.add(anomaly(8)).key, incidents.add(anomaly(8, host="ap2")).key}
    assert len(keys) == 3
    assert [each.started for each in incidents.take_ended()] == [START]


def test_the_gravest_kind_names_the_incident() -> None:
    incidents = Incidents()
    for window, kind, severity, confidence in [
        (0, "unusual", "warning", 0.9),
        (1, "unusual", "warning", 0.9),
        (2, "psk_bruteforce", "critical", 0.4),
        (3, "psk_bruteforce", "critical", 0.6),
        (4, "evil_twin", "critical", 0.6),
    ]:
        incident = incidents.add(anomaly(window, kind, severity, confidence))
    assert (incident.type, incident.severity, incident.confidence) == ("psk_bruteforce", "critical", 0.6)
    assert incident.description == "psk_bruteforce 0.6"
    assert incident.peak == START + 1200


def test_an_incident_ends_when_nothing_can_join_it() -> None:
    incidents = Incidents()
    incidents.add(anomaly(0))
    incidents.settle({"wifi": START + 300 + MERGE_GAP_S})
    assert len(incidents) == 1
    incidents.settle({"wifi": START + 600 + MERGE_GAP_S})
    assert len(incidents) == 0
    assert len(incidents.take_ended()) == 1


def test_an_incident_is_told_by_its_strangest_window_not_by_the_surest() -> None:
    incidents = Incidents()
    for window, confidence in [(0, 0.9), (2, 0.6), (1, 0.7)]:
        incident = incidents.add(anomaly(window, "psk_bruteforce", "critical", confidence))
    assert (incident.confidence, incident.description) == (0.9, "psk_bruteforce 0.6")
    graver = incidents.add(replace(anomaly(0, "psk_bruteforce", "critical", 0.5), severity="warning", score=0.99))
    assert graver.description == "psk_bruteforce 0.6", "a milder window does not speak for a grave incident"
