"""What happened here, as rows: jobs and transfers, and what was trained or measured by a command and so has no job."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.frame import parse_time
from shared.web import words
from trainer.jobs import Job
from trainer.registry import ModelEntry
from trainer.shipping import history
from trainer.shipping.history import Transfer
from trainer.tasks.orders import LANES
from trainer.web import job_words, transfer_words
from trainer.web.model_facts import exports as exports_of
from trainer.web.room import Room

MOST = 10_000
BAD = frozenset({"refused", "returned", "failed"})
EVALUATED = ("Gate passed", "ok", "s-ok"), ("Gate missed", "high", "s-high"), ("Measured", "", "s-off")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. `link`: a job's number; `model`: agent and version of what was trained or measured."""

    at: float
    kind: str
    about: str
    details: str
    took: float | None
    state: tuple[str, str, str]
    by: str
    target: str = ""
    link: int | None = None
    model: tuple[str, str] | None = None


def entries(room: Room) -> list[Entry]:
    """All of them, newest first."""
    jobs = room.jobs.listed(kinds=LANES["work"], limit=MOST)
    found = [*map(_of_transfer, room.transfers(limit=MOST)), *(_of_job(job, room.now()) for job in jobs)]
    found += _without_a_job(room, jobs)
    return sorted(found, key=lambda one: -one.at)


def _of_job(job: Job, now: float) -> Entry:
    kind = "Evaluated" if job.kind == "evaluate" else "Trained"
    about = f"{job.agent} {job.result.get('version', '')}".strip()
    details = job.error or f"from {job.subject}"
    at = job.started or job.created
    return Entry(
        at, kind, about, details, job_words.took(job, now), job_words.state_words(job), job.by, link=job.number
    )


def _of_transfer(one: Transfer) -> Entry:
    kind = "Rolled back" if one.what == history.ROLLBACK else "Shipped"
    kind = "Refused" if one.state in BAD else kind
    beside = ", beside what serves" if one.what == history.CHALLENGE else ""
    details = f"to {one.target}{beside}" + (f": {one.reason}" if one.reason else "")
    return Entry(
        one.at, kind, f"{one.agent} {one.version}", details, one.seconds, transfer_words.state_of(one), one.target,
        one.target,
    )  # fmt: skip


def _without_a_job(room: Room, jobs: Iterable[Job]) -> Iterable[Entry]:
    """Versions that no job made, and measurements that no job took: the registry alone knows of them."""
    made, measured = set(), []
    for job in jobs:
        version = str(job.result.get("version", ""))
        made.add((job.agent, version))
        if job.kind == "evaluate":
            measured.append((job.agent, version, job.started or job.created, job.ended or room.now()))
    kept = room.kept()
    for model in room.models():
        own = (model.agent, model.version)
        if own not in made and "-r" not in model.version:  # a version signed anew stands there as what it was made for
            yield _of_model(model)
        for one in kept.get(model.model_id, {}).get("evaluations") or ():
            at = _time(one.get("at"))
            if not any(
                (agent, version) == own and begun - 1 <= at <= ended + 1 for agent, version, begun, ended in measured
            ):
                yield _of_evaluation(model, one, at)


def _of_model(model: ModelEntry) -> Entry:
    files = ", ".join(row[0] for row in exports_of(model.metadata))
    took = model.metadata.get("training_duration")
    state = ("Damaged", "high", "s-no") if model.fault else (f"Model {model.version}", "ok", "s-ok")
    return Entry(
        words.version_time(model.version) or 0.0, "Trained", f"{model.agent} {model.version}",
        f"from {files}" if files else "", took if isinstance(took, int | float) else None, state, "",
        model=(model.agent, model.version),
    )  # fmt: skip


def _of_evaluation(model: ModelEntry, said: Mapping[str, Any], at: float) -> Entry:
    gate = said.get("gate")
    passed = gate.get("passed") if isinstance(gate, Mapping) else None
    files = ", ".join(map(str, said.get("exports") or ()))
    return Entry(
        at, "Evaluated", f"{model.agent} {model.version}", f"on {files}" if files else "", None,
        EVALUATED[0 if passed else 2 if passed is None else 1], "", model=(model.agent, model.version),
    )  # fmt: skip


def _time(text: object) -> float:
    try:
        return parse_time(str(text))
    except ValueError:
        return 0.0
