"""The production path over a file: rows in, every verdict out, incidents named as the daemon names them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from inference.incidents import Incidents
from shared import judge
from shared.values import Row, Verdict


def replay(rows: Iterable[Row], seat: judge.Judge) -> Iterator[Verdict]:
    """All verdicts of the rows; time is the rows' own."""
    incidents = Incidents()
    for verdict in judge.replay(rows, seat):
        yield replace(verdict, incident=incidents.add(verdict).key) if verdict.is_anomaly else verdict
