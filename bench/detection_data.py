"""What detection is measured on, and how: a corpus with labelled episodes, incidents against episodes.

An episode is found when an anomalous window of a host that it touched overlaps it. A false incident is one of a host
that no episode touched within half an hour. The name that counts is the incident's own.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from inference.incidents import SEVERITIES, Incident, Incidents
from shared.frame import open_export, parse_time
from shared.judge import Judge, replay
from shared.model import load_model
from shared.values import Row, Verdict
from tests.rows import write_export
from trainer.model_config import TrainConfig, load_model_config
from trainer.pipeline import train

ROOT = Path(__file__).parents[1]
GRACE_S = 1800.0
WEEK_S = 604_800.0
Rows = list[Row]


@dataclass(frozen=True)
class Episode:
    """A labelled attack or fault. visible: "yes", "silence" (it shows by absence) or "no"."""

    id: int
    type: str
    start: float
    end: float
    host: str
    touched: frozenset[str]
    visible: str


@dataclass(frozen=True)
class Evaluation:
    """A log with episodes."""

    name: str
    rows: Rows
    episodes: tuple[Episode, ...]


@dataclass(frozen=True)
class Corpus:
    """A calm log to train on and logs with episodes."""

    name: str
    calm: Rows
    evaluations: tuple[Evaluation, ...]


def load_corpus(folder: Path | None) -> Corpus:
    """A corpus folder (train_benign.csv.gz, eval*.csv.gz, episodes*.json); without one the examples of this project."""
    if folder is None or not (folder / "train_benign.csv.gz").exists():
        here = ROOT / "examples"
        log = Evaluation("examples", read(here / "wifi-live.csv.gz"), episodes(here / "episodes.json"))
        return Corpus("examples", read(here / "wifi-train.csv.gz"), (log,))
    found = []
    for path in sorted(folder.glob("eval*.csv.gz")):
        name = path.name.removesuffix(".csv.gz")
        labels = folder / f"episodes{name.removeprefix('eval')}.json"
        found.append(Evaluation(name, read(path), episodes(labels)))
    return Corpus(str(folder.name), read(folder / "train_benign.csv.gz"), tuple(found))


def read(path: Path) -> Rows:
    return sorted(open_export(path).rows(), key=lambda row: row[1])


def episodes(path: Path) -> tuple[Episode, ...]:
    data = json.loads(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
    return tuple(_episode(n, one) for n, one in enumerate(data["episodes"] if isinstance(data, dict) else data))


def _episode(number: int, value: dict[str, Any]) -> Episode:
    seen = value.get("visible_auto", value.get("visible", True))
    host = str(value.get("host") or (value.get("hosts") or [""])[0])
    touched = {host, *(value.get("affected_hosts") or []), *(value.get("hosts") or [])}
    return Episode(
        int(value.get("id", number)), value["type"], parse_time(value["start"]), parse_time(value["end"]), host,
        frozenset(touched), "silence" if seen == "silence" else ("yes" if seen else "no"),
    )  # fmt: skip


@dataclass
class Found:
    """What became of the episodes; several evaluations add up."""

    visible: int = 0
    found: int = 0
    silences: int = 0
    silences_found: int = 0
    false: int = 0
    host_weeks: float = 0.0
    named: int = 0  # found episodes whose main incident carries their name
    said: int = 0  # incidents that touch an episode, and
    said_right: int = 0  # those of them with a right name
    delays: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    false_ones: list[str] = field(default_factory=list)

    def add(self, other: Found) -> Found:
        """Both together."""
        return Found(**{name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__})

    @property
    def f1(self) -> float:
        """Of incidents: found visible episodes against missed ones and false incidents."""
        return 2 * self.found / max(1, self.visible + self.found + self.false)


def incidents(verdicts: Iterable[Verdict]) -> list[Incident]:
    """The incidents as the daemon would tell them."""
    found, agents = Incidents(), set()
    for verdict in verdicts:
        if verdict.is_anomaly:
            found.add(verdict)
            agents.add(verdict.agent)
    found.settle(dict.fromkeys(agents, float("inf")))
    return found.take_ended()


def judge(log: Evaluation, found: Sequence[Incident], width: float = 300.0) -> Found:
    """Incidents against a log's episodes."""
    hosts = {row[2] for row in log.rows}
    result = Found(host_weeks=len(hosts) * (log.rows[-1][1] - log.rows[0][1]) / WEEK_S)
    for episode in log.episodes:
        hits = [one for one in found if _touches(one, episode, width)]
        result.visible += episode.visible == "yes"
        result.silences += episode.visible == "silence"
        if not hits or episode.visible == "no":
            if episode.visible != "no":
                result.missed.append(f"{log.name}:{episode.type}#{episode.id}")
            continue
        result.found += episode.visible == "yes"
        result.silences_found += episode.visible == "silence"
        result.delays.append(max(0.0, min(one.started for one in hits) + width - episode.start))
        result.named += _main(hits, episode).type == episode.type
    for one in found:
        near = [e for e in log.episodes if one.host in e.touched and _near(one, e)]
        if near:
            result.said += 1
            result.said_right += any(e.type == one.type for e in near)
        else:
            result.false += 1
            result.false_ones.append(f"{log.name}:{one.host} {one.type} {one.found_by}")
    return result


def _touches(one: Incident, episode: Episode, width: float) -> bool:
    return one.host in episode.touched and one.started <= episode.end + width and one.ended >= episode.start


def _near(one: Incident, episode: Episode) -> bool:
    return one.started <= episode.end + GRACE_S and one.ended >= episode.start


def _main(hits: Sequence[Incident], episode: Episode) -> Incident:
    """The incident of the episode's own host; of another where that one is quiet."""
    here = [one for one in hits if one.host == episode.host] or hits
    return max(here, key=lambda one: (SEVERITIES.index(one.severity), one.confidence))


def fit(calm: Rows, spec: Any, folder: Path, config: TrainConfig | None = None) -> dict[str, bytes]:
    """A bundle's files, trained on rows."""
    path = write_export(folder / "calm.csv", calm)
    return dict(train([path], spec, config or load_model_config()).files)


def run(
    files: dict[str, bytes], logs: Iterable[Evaluation], change: Callable[[Rows], Rows] = lambda rows: rows,
    budget: float | None = None,
) -> Found:  # fmt: skip
    """Replay logs with a bundle and judge the incidents."""
    model, total = load_model({name: data for name, data in files.items() if name != "model.joblib"}), Found()
    for log in logs:
        changed = Evaluation(log.name, change(log.rows), log.episodes)
        total = total.add(judge(changed, incidents(replay(changed.rows, Judge(model, budget)))))
    return total
