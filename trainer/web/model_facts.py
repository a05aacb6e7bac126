"""What a model's metadata says, as facts and tables of its page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.web import charts, words
from shared.web.bundle_words import BundleWords
from shared.web.fact import Fact
from trainer.gate import WORDS
from trainer.registry import ModelEntry
from trainer.web.comparison import SHOWN, metrics_of
from trainer.web.gate_words import found_of, measure

FEATURES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class RangeRow:
    """What a feature is on normal days."""

    title: str
    key: str
    low: str
    middle: str
    high: str
    span: str


def facts(entry: ModelEntry, now: float) -> list[Fact]:
    """The facts of a model's page."""
    data, made = data_of(entry.metadata), words.version_time(entry.version)
    unknown = data.get("unknown_share")
    known = f"{words.percent(1 - unknown)} of the lines understood" if isinstance(unknown, float) else ""
    return [
        Fact("Learnt from", rows_of(entry.metadata), words.figure(days_of(data), "day") if days_of(data) else ""),
        Fact("Windows", windows_of(entry.metadata), known),
        Fact("Alert line", alert_line(entry.metadata), budget(entry.metadata)),
        Fact("Trained", words.moment(made, now) if made else "not said", took(entry.metadata)),
        Fact("Bundle", words.size(entry.size_bytes), f"serial {entry.serial}"),
    ]


def ranges(known: BundleWords) -> list[tuple[str, list[RangeRow]]]:
    """What is normal in one window, by role: features that vary first. The half hour's ranges stand in the report."""
    found = []
    for role, features in sorted(known.normal.items()):
        own = [(name, figures) for name, figures in features.items() if not name.endswith("min")]
        ranked = sorted(own, key=lambda each: (-(each[1][2] - each[1][0] > 0), each[0]))
        rows = [
            RangeRow(words.sentence(known.feature(name)[0]), name, words.amount(low), words.amount(middle), words.amount(high),
                     charts.span(middle, low, high, middle, alarm=False))
            for name, (low, middle, high) in ranked
        ]  # fmt: skip
        found.append((words.role(role), rows))
    return found


def metrics(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What evaluation measured, as terms and figures; empty where nothing was."""
    measured = {k: v for k, v in metrics_of(metadata).items() if isinstance(v, int | float)}
    rows = [("Attacks found", found_of(measured))] if "episodes" in measured else []
    if "false_incidents" in measured and "host_weeks" in measured:
        many = f"{measured['false_incidents']:.0f} in {words.amount(measured['host_weeks'])} host-weeks"
        rows.append(("False incidents", many))
    rows += [
        (WORDS[name], measure(name, measured[name]))
        for name in (*SHOWN, "understood")
        if name in measured and name not in ("episode_recall", "false_incidents_per_host_week")
    ]
    others = {"episodes", "episodes_found", "false_incidents", "host_weeks", *SHOWN, "understood"}
    if not rows:
        rows = [(words.sentence(n.replace("_", " ")), words.amount(v)) for n, v in measured.items() if n not in others]
    return rows


def made_of(entry: ModelEntry) -> list[tuple[str, str]]:
    """Settings, libraries and hashes, as terms and words."""
    meta = entry.metadata
    chosen = ", ".join(f"{name} {_said(value)}" for name, value in map_of(meta.get("hyperparameters")).items())
    libraries = ", ".join(f"{name} {version}" for name, version in map_of(meta.get("library_versions")).items())
    memory = meta.get("training_memory_usage")
    found = [
        ("Settings", chosen),
        ("Libraries", libraries),
        ("Memory at most", words.size(memory) if isinstance(memory, int) else ""),
        ("Configuration", str(meta.get("config_hash") or "")[:16]),
    ]
    return [(term, said) for term, said in found if said]


def _said(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else "none" if value is None else str(value)


def exports(metadata: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """The files it learnt from: name, rows, size, hash."""
    listed = map_of(metadata.get("training_info")).get("exports")
    rows = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return [
        (
            str(one.get("name", "")),
            f"{one.get('rows', 0):,}",
            words.size(int(one.get("size", 0))),
            str(one.get("sha256", "")),
        )
        for one in rows
    ]


def span_learnt(metadata: Mapping[str, Any]) -> str:
    """How long a time it learnt from: "7 days, 26,240 rows"."""
    days = days_of(data_of(metadata))
    return f"{words.figure(days, 'day')}, {rows_of(metadata)}" if days else rows_of(metadata)


def alert_line(metadata: Mapping[str, Any]) -> str:
    """The alert line as a rarity."""
    thresholds = map_of(metadata.get("thresholds"))
    if thresholds.get("rarity") is None and thresholds.get("score") is not None:
        return "beyond all it learnt"
    return words.rarity(thresholds.get("rarity"))


def budget(metadata: Mapping[str, Any]) -> str:
    """What the alert line was chosen for."""
    wanted = map_of(metadata.get("thresholds")).get("alert_budget")
    return f"for {words.amount(wanted)} incidents a week and host" if isinstance(wanted, int | float) else ""


def took(metadata: Mapping[str, Any]) -> str:
    """How long training took."""
    seconds = metadata.get("training_duration")
    return f"took {words.lasted(seconds)}" if isinstance(seconds, int | float) else ""


def rows_of(metadata: Mapping[str, Any]) -> str:
    count = metadata.get("training_log_count")
    return words.figure(count, "row") if isinstance(count, int) else "rows not said"


def windows_of(metadata: Mapping[str, Any]) -> str:
    total = map_of(metadata.get("windows")).get("total")
    return words.figure(total, "window") if isinstance(total, int) else "windows not said"


def hosts_windows(metadata: Mapping[str, Any]) -> str:
    hosts = sum(count for count in map_of(data_of(metadata).get("hosts")).values() if isinstance(count, int))
    return f"{words.figure(hosts, 'host')}, {windows_of(metadata)}" if hosts else windows_of(metadata)


def data_of(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    return map_of(map_of(metadata.get("training_info")).get("data_info"))


def days_of(data: Mapping[str, Any]) -> int:
    try:
        first, last = (
            datetime.fromisoformat(str(data[key]).replace("Z", "+00:00")).timestamp() for key in ("first", "last")
        )
    except (KeyError, ValueError):
        return 0
    return max(1, round((last - first) / words.DAY_S)) if last > first else 0


def map_of(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
