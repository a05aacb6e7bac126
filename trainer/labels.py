"""Labels: the known episodes of an export, from a JSON file: written by hand, or by `pipit-inference incidents --marks`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ExportError
from shared.frame import parse_time


@dataclass(frozen=True, slots=True)
class Episode:
    """A known attack or fault: what it was, from when to when (s since the epoch), its target, every host it touched.

    `visible`: whether the target's log shows it; "silence": it shows by absence. `normal`: a Pi found it and a person
    said that it was a false alarm: no episode at all, but to be learnt from whatever it looks like.
    """

    type: str
    start: float
    end: float
    host: str
    hosts: frozenset[str]
    visible: bool | str = True
    normal: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """Was a host in a known episode at a moment? `after_s`: what an episode leaves behind."""

    episodes: tuple[Episode, ...]
    after_s: float = 60.0

    def __call__(self, host: str, time: float) -> bool:
        return any(host in e.hosts and e.start <= time <= e.end + self.after_s for e in self.episodes)

    def between(self, host: str, start: float, end: float) -> bool:
        """Does any known episode of the host overlap this span?"""
        return any(host in e.hosts and e.start <= end and start <= e.end + self.after_s for e in self.episodes)


def read_labels(file: Path) -> tuple[Episode, ...]:
    """Episodes `[{"type", "start", "end", "host"}]`, times as ISO 8601; `affected_hosts` are touched as well.

    Raises:
        ExportError: the file cannot be read; every faulty episode is named.
    """
    try:
        episodes = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"labels: cannot read {file}: {getattr(error, 'strerror', None) or error}") from error
    return parse_labels(episodes, str(file))


def parse_labels(episodes: object, where: str) -> tuple[Episode, ...]:
    """Episodes from their JSON; `where` says in errors what it was.

    Raises:
        ExportError: every faulty episode is named.
    """
    if not isinstance(episodes, list):
        raise ExportError(f"labels: {where} must hold a list of episodes, each with type, start, end and host")
    found, faults = [], []
    for number, episode in enumerate(episodes, 1):
        try:
            found.append(_episode(episode))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            what = f"no {error.args[0]}" if isinstance(error, KeyError) else str(error)
            faults.append(f"episode {number}: {what}")
    if faults:
        shown = "; ".join(faults[:10]) + (f"; and {len(faults) - 10} more" if len(faults) > 10 else "")
        raise ExportError(f"labels: {where}: {shown}")
    return tuple(found)


def _episode(episode: Mapping[str, Any]) -> Episode:
    start, end = parse_time(str(episode["start"])), parse_time(str(episode["end"]))
    if end < start:
        raise ValueError(f"it ends ({episode['end']}) before it starts ({episode['start']})")
    hosts = {str(host) for host in episode.get("affected_hosts") or ()}
    host, visible = str(episode["host"]), episode.get("visible_auto", True)
    mark = episode.get("mark", "confirmed")
    if mark not in ("false", "confirmed"):
        raise ValueError(f"its mark is {mark!r}, not false or confirmed")
    return Episode(str(episode["type"]), start, end, host, frozenset({host, *hosts}), visible, mark == "false")


def faults_of(episodes: Iterable[Episode]) -> tuple[Episode, ...]:
    """The real ones: attacks and faults."""
    return tuple(each for each in episodes if not each.normal)


def normal_of(episodes: Iterable[Episode]) -> tuple[Episode, ...]:
    """The false alarms."""
    return tuple(each for each in episodes if each.normal)
