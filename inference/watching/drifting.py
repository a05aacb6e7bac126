"""Drift of what is judged now from what a bundle learnt: measured from the stored verdicts, kept for the pages.

Only windows that no incident claims are compared, as in training; each role by itself, for an access point is no station.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS drift (
    agent TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL, value TEXT NOT NULL, PRIMARY KEY (agent, version))
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS drift_history (
    agent TEXT NOT NULL, version TEXT NOT NULL, at REAL NOT NULL, windows INTEGER NOT NULL, worst REAL, scores REAL,
    known REAL, PRIMARY KEY (agent, version, at)) WITHOUT ROWID;
"""

STEADY, WATCH, DRIFTED, UNKNOWN = "steady", "watch", "drifted", "unknown"
WINDOWS_MOST = 2000  # of each role: more say nothing new and cost memory
UNKNOWN_LINES, LINES = "unknown_lines", "lines"


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """Thresholds of PSI, how many windows a word takes, and how far back is looked (s)."""

    watch: float = 0.10
    drifted: float = 0.25
    least: int = 200
    span_s: float = 3 * 86_400.0


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature of one role, or the scores. None where there was nothing to compare."""

    name: str
    role: str
    psi: float | None
    ks: float | None
    windows: int
    then: tuple[float, float] | None
    now: tuple[float, float] | None
    word: str


@dataclass(frozen=True, slots=True)
class DriftReport:
    """One measurement. `known`: share of lines that a pattern knows, now; `known_then`: in training."""

    agent: str
    version: str
    at: float
    since: float
    windows: int
    word: str
    features: tuple[FeatureDrift, ...]
    scores: tuple[FeatureDrift, ...]
    known: float | None
    known_then: float | None
    least: int
    watch: float
    drifted: float
    curves: tuple[tuple[str, tuple[float, ...], tuple[float, ...]], ...] = ()  # role, scores' quantiles then and now

    @property
    def worst(self) -> float | None:
        """The largest PSI of a feature that has enough windows."""
        return max((one.psi for one in self.features if one.psi is not None and one.word != UNKNOWN), default=None)

    @property
    def score(self) -> float | None:
        """The largest PSI of a role's scores, where there are enough windows."""
        return max((one.psi for one in self.scores if one.psi is not None and one.word != UNKNOWN), default=None)

    def as_json(self) -> dict[str, Any]:
        """For the API and the table."""
        return {**asdict(self), "worst_psi": self.worst, "score_psi": self.score}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> DriftReport:
        """What `as_json` gave."""
        told = {name: value[name] for name in DriftReport.__slots__ if name != "curves"}
        for part in ("features", "scores"):
            told[part] = tuple(
                FeatureDrift(**{**one, **{k: tuple(one[k]) if one[k] else None for k in ("then", "now")}})
                for one in value[part]
            )
        told["curves"] = tuple((role, tuple(then), tuple(now)) for role, then, now in value.get("curves", ()))
        return DriftReport(**told)


def measure_drift(
    db: sqlite3.Connection, store: Path, agent: str, version: str, settings: DriftSettings, now: float
) -> DriftReport:
    """Compare the stored windows of a version with what its bundle learnt. Imports numpy; reads, writes nothing.

    Raises:
        OSError: there is no copy of the version in the store (any more).
        ValueError: its reference cannot be used.
    """
    from shared import drift  # numpy

    folder = store / agent / version
    reference, metadata = _json(folder / "reference.json"), _json(folder / "metadata.json")
    levels = drift.Thresholds(settings.watch, settings.drifted, settings.least)
    since = now - settings.span_s
    features: list[FeatureDrift] = []
    scores: list[FeatureDrift] = []
    curves: list[tuple[str, tuple[float, ...], tuple[float, ...]]] = []
    windows = lines = unknown = 0
    for role in sorted(reference.get("score_profile") or {}):
        columns, found = _columns(
            db, agent, version, role, since, list((reference.get("profile") or {}).get(role) or {})
        )
        windows += len(found)
        lines += sum(int(value or 0) for value in columns.get(LINES, ()))
        unknown += sum(int(value or 0) for value in columns.get(UNKNOWN_LINES, ()))
        measured = drift.measure(role, reference, columns, found)
        features += [_told(name, role, one, levels.word(one)) for name, one in measured.features.items()]
        scores.append(_told("score", role, measured.scores, levels.word(measured.scores)))
        if found:
            curves.append((role, tuple(reference["score_profile"][role]), drift.quantiles(found)))
    features.sort(key=lambda one: (one.word == UNKNOWN, -(one.psi or 0.0), one.name, one.role))
    share = ((metadata.get("training_info") or {}).get("data_info") or {}).get("unknown_share")
    return DriftReport(
        agent=agent, version=version, at=now, since=since, windows=windows, word=_word([*features, *scores]),
        features=tuple(features), scores=tuple(scores),
        known=1 - unknown / lines if lines else None,
        known_then=1 - float(share) if isinstance(share, int | float) else None,
        least=settings.least, watch=settings.watch, drifted=settings.drifted, curves=tuple(curves),
    )  # fmt: skip


def _word(found: Sequence[FeatureDrift]) -> str:
    """The worst word; unknown where nothing could be said."""
    words = {one.word for one in found}
    return next((word for word in (DRIFTED, WATCH, STEADY) if word in words), UNKNOWN)


def _told(name: str, role: str, one: Any, word: str) -> FeatureDrift:
    nothing = math.isnan(one.psi)
    return FeatureDrift(
        name, role, None if nothing else round(one.psi, 4), None if nothing else round(one.ks, 4), one.count, one.then,
        one.now, word,
    )  # fmt: skip


def _columns(
    db: sqlite3.Connection, agent: str, version: str, role: str, since: float, names: list[str]
) -> tuple[dict[str, list[float | None]], list[float | None]]:
    """The features' values and the scores of a role's normal windows; where there are many, evenly chosen ones."""
    columns: dict[str, list[float | None]] = {name: [] for name in names}
    scores: list[float | None] = []
    for score, text in _windows(db, agent, version, role, since):
        values = json.loads(text)
        scores.append(score)
        for name in names:
            columns[name].append(values.get(name))
    return columns, scores


def _windows(db: sqlite3.Connection, agent: str, version: str, role: str, since: float) -> Iterator[tuple[float, str]]:
    where = "FROM verdicts WHERE window_end > ? AND +agent = ? AND model_version = ? AND role = ? AND is_anomaly = 0 AND rows > 0"
    given = (since, agent, version, role)
    count = int(db.execute(f"SELECT count(*) {where}", given).fetchone()[0])
    each = max(1, -(-count // WINDOWS_MOST))
    return iter(db.execute(f"SELECT score, features {where} AND id % ? = 0", (*given, each)))


def save(db: sqlite3.Connection, report: DriftReport) -> None:
    """Keep the newest measurement of a version whole, and its figures for the history."""
    text = json.dumps(report.as_json(), separators=(",", ":"))
    db.execute(
        "INSERT OR REPLACE INTO drift (agent, version, at, value) VALUES (?,?,?,?)",
        (report.agent, report.version, report.at, text),
    )
    db.execute(
        "INSERT OR REPLACE INTO drift_history (agent, version, at, windows, worst, scores, known) VALUES (?,?,?,?,?,?,?)",
        (report.agent, report.version, report.at, report.windows, report.worst, report.score, report.known),
    )


def newest(db: sqlite3.Connection, agent: str, version: str) -> DriftReport | None:
    """The newest measurement of a version."""
    row = db.execute("SELECT value FROM drift WHERE agent = ? AND version = ?", (agent, version)).fetchone()
    return None if row is None else DriftReport.from_json(json.loads(row[0]))


def history(
    db: sqlite3.Connection, agent: str, version: str, since: float
) -> list[tuple[float, float | None, float | None]]:
    """(at, worst feature's PSI, the scores') since a moment, oldest first."""
    query = "SELECT at, worst, scores FROM drift_history WHERE agent = ? AND version = ? AND at >= ? ORDER BY at"
    return [(row[0], row[1], row[2]) for row in db.execute(query, (agent, version, since))]


def forget(db: sqlite3.Connection, before: float) -> int:
    """Remove measurements made before a moment; gives how many."""
    gone = db.execute("DELETE FROM drift_history WHERE at < ?", (before,)).rowcount
    return gone + db.execute("DELETE FROM drift WHERE at < ?", (before,)).rowcount


def _json(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_bytes())
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} is not an object")
    return value
