"""Models in the words of the list and of a model's own page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from shared.web import charts, words
from shared.web.bundle_words import BundleWords
from shared.web.fact import Fact
from trainer.catalogue import gate_of
from trainer.gate import WORDS
from trainer.history import Transfer
from trainer.registry import ModelEntry
from trainer.web.comparison import SHOWN, Pair, metrics_of

# state of a transfer → its words, class and icon
TRANSFERS = {
    "sent": ("Sent, no answer yet", "mid", "s-wait"),
    "loaded": ("Serves, on probation", "mid", "s-wait"),
    "good": ("Good", "ok", "s-ok"),
    "challenger": ("Judged beside", "ok", "s-ok"),
    "refused": ("Refused", "high", "s-no"),
    "returned": ("Given back", "high", "s-no"),
    "failed": ("Failed", "high", "s-no"),
    "skipped": ("Not sent", "", "s-off"),
    "unknown": ("Not known", "mid", "s-wait"),
}
ROLES = {"ap": "access points", "station": "stations"}
FEATURES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A version as a row of the list."""

    agent: str
    version: str
    serial: int
    active: bool
    learnt: str
    learnt_note: str
    line: str
    line_note: str
    made: str
    made_note: str
    runs_on: str
    fault: str
    model_id: str = ""
    found: str = "not measured"
    false: str = ""
    gate: tuple[str, str, str] = ("No gate", "", "s-off")
    gate_note: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class RangeRow:
    """What a feature is on normal days."""

    title: str
    key: str
    low: str
    middle: str
    high: str
    span: str


def transfer_words(state: str, code: str = "") -> tuple[str, str, str]:
    """Words, class and icon of a transfer's state."""
    if code == "offline":
        return "Offline", "high", "s-no"
    return TRANSFERS.get(state, (words.sentence(state), "", "s-off"))


def headline(
    models: Sequence[ModelEntry],
    serving: Mapping[tuple[str, str], str],
    target_count: int,
    gate: Mapping[str, Any] | None = None,
) -> str:
    """The first line of the list."""
    if not models:
        return "There is no model yet."
    newest = models[0]
    if (gate or {}).get("passed") is False:
        return f"The newest {newest.agent} model missed its quality gate."
    on = [target for (target, agent), version in serving.items() if (agent, version) == (newest.agent, newest.version)]
    if not target_count:
        return f"The newest {newest.agent} model is {newest.version}; no Pi is known yet."
    where = f"runs on {len(on)} of {target_count} Pis" if on else "runs on no Pi yet"
    passed = "passed its gate and " if (gate or {}).get("passed") else ""
    return f"The newest {newest.agent} model {passed}{where}."


def by_agent(
    models: Iterable[ModelEntry],
    serving: Mapping[tuple[str, str], str],
    now: float,
    kept: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[tuple[str, list[ModelRow]]]:
    """The rows of the list, an agent at a time, newest first."""
    return [
        (agent, [_row(entry, serving, now, (kept or {}).get(entry.model_id, {})) for entry in group])
        for agent, group in groupby(models, key=lambda e: e.agent)
    ]


def _row(entry: ModelEntry, serving: Mapping[tuple[str, str], str], now: float, kept: Mapping[str, Any]) -> ModelRow:
    gate, measured = gate_of(entry.metadata, kept), _map(_map(entry.metadata.get("evaluation")).get("metrics"))
    notes = kept.get("notes") or ()
    on = sorted(
        target for (target, agent), version in serving.items() if (agent, version) == (entry.agent, entry.version)
    )
    made = words.version_time(entry.version)
    return ModelRow(
        agent=entry.agent, version=entry.version, serial=entry.serial, active=entry.active, learnt=span_learnt(entry.metadata),
        learnt_note=_hosts_windows(entry.metadata), line=alert_line(entry.metadata), line_note=budget(entry.metadata),
        made=words.moment(made, now) if made else "", made_note=took(entry.metadata), runs_on=", ".join(on) or "nowhere",
        fault=entry.fault, model_id=entry.model_id, found=found_of(measured),
        false=words.amount(measured["false_incidents_per_host_week"]) if "false_incidents_per_host_week" in measured else "–",
        gate=gate_words(gate), gate_note=_checked(gate), note=str(notes[-1].get("text", "")) if notes else "",
    )  # fmt: skip


def found_of(measured: Mapping[str, Any]) -> str:
    """How many known or injected attacks were found: "17 of 23"."""
    if not isinstance(measured.get("episodes"), int | float):
        return "not measured"
    return f"{measured.get('episodes_found', 0):.0f} of {measured['episodes']:.0f}"


def gate_words(gate: Mapping[str, Any]) -> tuple[str, str, str]:
    """Words, class and icon of what the gate said."""
    if not gate:
        return "No gate", "", "s-off"
    return ("Passed", "ok", "s-ok") if gate.get("passed", True) else ("Missed", "high", "s-high")


def checks(gate: Mapping[str, Any]) -> list[tuple[str, str, str, tuple[str, str, str], str]]:
    """The checks of a gate: figure, bound, value, state, note."""
    found = []
    for one in gate.get("checks") or ():
        name, value = str(one.get("metric", "")), one.get("value")
        bound = f"at least {one['at_least']:g}" if "at_least" in one else f"at most {one.get('at_most', 0):g}"
        state = ("Reached", "ok", "s-ok") if one.get("passed", True) else ("Missed", "high", "s-high")
        state = ("Not measured", "", "s-off") if value is None else state
        found.append((WORDS.get(name, name), bound, words.amount(value), state, str(one.get("note", ""))))
    return found


def pairs(found: Iterable[Pair]) -> list[tuple[str, str, str, str]]:
    """Two models' figures as their table shows them: name, first, second, which is better."""
    return [(one.name, _cell(one.first), _cell(one.second), one.better) for one in found]


def comparison(chosen: Sequence[ModelEntry], found: Sequence[Pair]) -> str:
    """The first line of the comparison."""
    if len(chosen) < 2:
        return "There are no two models to compare yet."
    first, second = (sum(pair.better == which for pair in found) for which in ("first", "second"))
    names = [f"{entry.agent} {entry.version}" for entry in chosen]
    if not first and not second:
        return (
            "The two models measure the same."
            if any(p.name == WORDS["episode_recall"] for p in found)
            else ("Nothing was measured that both could be compared by.")
        )
    better, count = (names[0], first) if first >= second else (names[1], second)
    return f"{better} is better in {count} of {words.counted(first + second, 'figure')} that differ."


def _cell(value: Any) -> str:
    if isinstance(value, float | int) and not isinstance(value, bool):
        return words.amount(value)
    return "–" if value is None else str(value)


def _checked(gate: Mapping[str, Any]) -> str:
    listed = gate.get("checks") or ()
    return f"{sum(bool(one.get('passed')) for one in listed)} of {len(listed)}" if listed else ""


def sentence_of(entry: ModelEntry) -> str:
    """The first line of a model's page."""
    if entry.fault:
        return f"{entry.version} is damaged and cannot be shipped."
    data = _data(entry.metadata)
    hosts = sum(count for count in _map(data.get("hosts")).values() if isinstance(count, int))
    of = f" of {words.counted(hosts, 'host')}" if hosts else ""
    days = _days(data)
    return (
        f"{entry.version} learnt from {words.counted(days, 'day')}{of}."
        if days
        else f"{entry.version} learnt from {_rows(entry.metadata)}{of}."
    )


def lead_of(entry: ModelEntry, on: Sequence[str]) -> str:
    """What the first line means."""
    if entry.fault:
        return entry.fault
    data = _data(entry.metadata)
    left = data.get("left_out_by_guard") or 0
    said = _finding(entry.metadata) or f"It knows {_windows(entry.metadata)} of normal traffic."
    if left:
        are = "was" if left == 1 else "were"
        said += f" {words.sentence(words.counted(left, 'window'))} looked like an attack and {are} not learnt."
    return f"{said} It runs on {', '.join(on)}." if on else f"{said} It runs nowhere yet."


def _finding(metadata: Mapping[str, Any]) -> str:
    """What evaluation found out, in a sentence; empty where nothing was measured."""
    evaluation = _map(metadata.get("evaluation"))
    measured = _map(evaluation.get("metrics"))
    if found_of(measured) == "not measured":
        return ""
    what = "known incidents" if evaluation.get("method") == "labels" else "faults that were laid into them"
    false = measured.get("false_incidents", 0)
    rate = f"{words.counted(int(false), 'false alarm')} in {words.amount(measured.get('host_weeks'))} host-weeks"
    return f"On days it had not seen it found {found_of(measured)} {what}, with {rate}."


def facts(entry: ModelEntry, now: float) -> list[Fact]:
    """The facts of a model's page."""
    data, made = _data(entry.metadata), words.version_time(entry.version)
    unknown = data.get("unknown_share")
    known = f"{words.percent(1 - unknown)} of the lines understood" if isinstance(unknown, float) else ""
    return [
        Fact("Learnt from", _rows(entry.metadata), words.figure(_days(data), "day") if _days(data) else ""),
        Fact("Windows", _windows(entry.metadata), known),
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
        found.append((ROLES.get(role, role), rows))
    return found


def metrics(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What evaluation measured, as terms and figures; empty where nothing was."""
    measured = {k: v for k, v in metrics_of(metadata).items() if isinstance(v, int | float)}
    rows = [("Attacks found", found_of(measured))] if "episodes" in measured else []
    if "false_incidents" in measured and "host_weeks" in measured:
        many = f"{measured['false_incidents']:.0f} in {words.amount(measured['host_weeks'])} host-weeks"
        rows.append(("False incidents", many))
    for name in (*SHOWN, "understood"):
        if name in measured and name not in ("episode_recall", "false_incidents_per_host_week"):
            seconds = name.endswith("_s")
            rows.append((WORDS[name], words.lasted(measured[name]) if seconds else words.amount(measured[name])))
    others = {"episodes", "episodes_found", "false_incidents", "host_weeks", *SHOWN, "understood"}
    if not rows:
        rows = [(words.sentence(n.replace("_", " ")), words.amount(v)) for n, v in measured.items() if n not in others]
    return rows


def made_of(entry: ModelEntry) -> list[tuple[str, str]]:
    """Settings, libraries and hashes, as terms and words."""
    meta = entry.metadata
    chosen = ", ".join(f"{name} {value}" for name, value in _map(meta.get("hyperparameters")).items())
    libraries = ", ".join(f"{name} {version}" for name, version in _map(meta.get("library_versions")).items())
    memory = meta.get("training_memory_usage")
    found = [
        ("Settings", chosen),
        ("Libraries", libraries),
        ("Memory at most", words.size(memory) if isinstance(memory, int) else ""),
        ("Configuration", str(meta.get("config_hash") or "")[:16]),
    ]
    return [(term, said) for term, said in found if said]


def exports(metadata: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """The files it learnt from: name, rows, size, hash."""
    listed = _map(metadata.get("training_info")).get("exports")
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
    days = _days(_data(metadata))
    return f"{words.figure(days, 'day')}, {_rows(metadata)}" if days else _rows(metadata)


def alert_line(metadata: Mapping[str, Any]) -> str:
    """The alert line as a rarity."""
    thresholds = _map(metadata.get("thresholds"))
    if thresholds.get("rarity") is None and thresholds.get("score") is not None:
        return "rarer than all it learnt"
    return words.rarity(thresholds.get("rarity"))


def budget(metadata: Mapping[str, Any]) -> str:
    """What the alert line was chosen for."""
    wanted = _map(metadata.get("thresholds")).get("alert_budget")
    return f"for {words.amount(wanted)} incidents a week and host" if isinstance(wanted, int | float) else ""


def took(metadata: Mapping[str, Any]) -> str:
    """How long training took."""
    seconds = metadata.get("training_duration")
    return f"took {words.lasted(seconds)}" if isinstance(seconds, int | float) else ""


def transfers(rows: Iterable[Transfer], now: float) -> list[tuple[Transfer, str, tuple[str, str, str]]]:
    """Transfers with their time and state in words."""
    return [(row, words.moment(row.at, now), transfer_words(row.state, row.code)) for row in rows]


def _rows(metadata: Mapping[str, Any]) -> str:
    count = metadata.get("training_log_count")
    return words.figure(count, "row") if isinstance(count, int) else "rows not said"


def _windows(metadata: Mapping[str, Any]) -> str:
    total = _map(metadata.get("windows")).get("total")
    return words.figure(total, "window") if isinstance(total, int) else "windows not said"


def _hosts_windows(metadata: Mapping[str, Any]) -> str:
    hosts = sum(count for count in _map(_data(metadata).get("hosts")).values() if isinstance(count, int))
    return f"{words.figure(hosts, 'host')}, {_windows(metadata)}" if hosts else _windows(metadata)


def _data(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    return _map(_map(metadata.get("training_info")).get("data_info"))


def _days(data: Mapping[str, Any]) -> int:
    try:
        first, last = (
            datetime.fromisoformat(str(data[key]).replace("Z", "+00:00")).timestamp() for key in ("first", "last")
        )
    except (KeyError, ValueError):
        return 0
    return max(1, round((last - first) / words.DAY_S)) if last > first else 0


def _map(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
