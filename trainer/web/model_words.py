"""Models in the words of the list, and the first lines of a model's own page. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from shared.web import words
from trainer.catalogue import gate_of
from trainer.registry import ModelEntry
from trainer.web.gate_words import checked, found_of, gate_words
from trainer.web.model_facts import (
    alert_line,
    budget,
    data_of,
    days_of,
    hosts_windows,
    map_of,
    rows_of,
    span_learnt,
    took,
    windows_of,
)


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
    where = f"runs on {len(on)} of {target_count} Pis" if on else "runs on no Pi"
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
    gate, measured = gate_of(entry.metadata, kept), map_of(map_of(entry.metadata.get("evaluation")).get("metrics"))
    notes = kept.get("notes") or ()
    on = sorted(
        target for (target, agent), version in serving.items() if (agent, version) == (entry.agent, entry.version)
    )
    made = words.version_time(entry.version)
    return ModelRow(
        agent=entry.agent, version=entry.version, serial=entry.serial, active=entry.active, learnt=span_learnt(entry.metadata),
        learnt_note=hosts_windows(entry.metadata), line=alert_line(entry.metadata), line_note=budget(entry.metadata),
        made=words.moment(made, now) if made else "", made_note=took(entry.metadata),
        runs_on=words.some_of(on) if on else "nowhere", fault=entry.fault, model_id=entry.model_id, found=found_of(measured),
        false=words.amount(measured["false_incidents_per_host_week"]) if "false_incidents_per_host_week" in measured else "–",
        gate=gate_words(gate), gate_note=checked(gate), note=str(notes[-1].get("text", "")) if notes else "",
    )  # fmt: skip


def sentence_of(entry: ModelEntry) -> str:
    """The first line of a model's page."""
    if entry.fault:
        return f"{entry.version} is damaged and cannot be shipped."
    data = data_of(entry.metadata)
    hosts = sum(count for count in map_of(data.get("hosts")).values() if isinstance(count, int))
    of = f" of {words.counted(hosts, 'host')}" if hosts else ""
    days = days_of(data)
    return (
        f"{entry.version} learnt from {words.counted(days, 'day')}{of}."
        if days
        else f"{entry.version} learnt from {rows_of(entry.metadata)}{of}."
    )


def lead_of(entry: ModelEntry, on: Sequence[str]) -> str:
    """What the first line means."""
    if entry.fault:
        return entry.fault
    data = data_of(entry.metadata)
    left = data.get("left_out_by_guard") or 0
    said = _finding(entry.metadata) or f"It knows {windows_of(entry.metadata)} of normal traffic."
    if left:
        are = "was" if left == 1 else "were"
        said += f" {words.sentence(words.counted(left, 'window'))} looked like an attack and {are} not learnt."
    return f"{said} It runs on {', '.join(on)}." if on else f"{said} It runs on no Pi."


def _finding(metadata: Mapping[str, Any]) -> str:
    """What evaluation found out, in a sentence; empty where nothing was measured."""
    evaluation = map_of(metadata.get("evaluation"))
    measured = map_of(evaluation.get("metrics"))
    if found_of(measured) == "not measured":
        return ""
    what = "known incidents" if evaluation.get("method") == "labels" else "faults that were laid into them"
    false = measured.get("false_incidents", 0)
    rate = f"{words.counted(int(false), 'false alarm')} in {words.amount(measured.get('host_weeks'))} host-weeks"
    return f"On days it had not seen it found {found_of(measured)} {what}, with {rate}."
