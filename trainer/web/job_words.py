"""Jobs in the words of their pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.web import words
from trainer.jobs import CANCELLED, COMPLETED, FAILED, INTERRUPTED, QUEUED, RUNNING, Job

# state → its words, class and icon
STATES = {
    QUEUED: ("Waits", "mid", "s-wait"),
    RUNNING: ("Running", "now", "s-wait"),
    COMPLETED: ("Done", "ok", "s-ok"),
    FAILED: ("Failed", "high", "s-no"),
    CANCELLED: ("Stopped", "", "s-off"),
    INTERRUPTED: ("Cut short", "high", "s-no"),
}
VERBS = {
    "check": ("Looking into", "looked into"),
    "fetch": ("Fetching", "fetched"),
    "train": ("Training", "trained"),
    "tune": ("Searching settings for", "searched settings for"),
    "evaluate": ("Evaluating", "evaluated"),
    "ship": ("Shipping", "shipped"),
    "catchup": ("Catching up", "caught up"),
    "rollback": ("Rolling back", "rolled back"),
}
STEPS = {
    "fetch": "Fetch rows from the database",
    "marks": "Ask the Pis what was said of incidents",
    "validate": "Look into the export",
    "learn": "Read the rows: hosts, names, windows",
    "features": "Rows to windows",
    "guard": "Leave attacks out",
    "calibrate": "Fit, and find the alert line",
    "evaluate": "Evaluate on days it had not seen",
    "golden": "Choose windows that each Pi must reproduce",
    "bundle": "Write the report",
    "sign": "Sign",
    "windows": "Rows to windows, for the search",
    "search": "Search settings",
    "confirm": "Try the best once more, on faults it has not seen",
    "read": "Open model and export",
    "measure": "Measure",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a job: done, current, bad, or to come."""

    title: str
    state: str
    note: str


def state_words(job: Job) -> tuple[str, str, str]:
    """Words, class and icon of a job's state."""
    version = job.result.get("version")
    if job.state == COMPLETED and job.kind in ("train", "tune") and version:
        return f"Model {version}", "ok", "s-ok"
    if job.stopping and job.state == RUNNING:
        return "Stopping", "mid", "s-wait"
    if job.paused and job.is_open:
        return "Paused", "mid", "s-wait"
    return STATES[job.state]


def what(job: Job) -> str:
    """What the job is about: "wifi", or where a version goes."""
    return job.subject if job.lane == "ship" else job.agent or job.subject


def headline(job: Job, position: int, now: float) -> str:
    """The first line of a job's page."""
    doing, done = VERBS[job.kind]
    about = job.subject if job.kind in ("check", "fetch") else what(job)
    if job.state == QUEUED:
        before = f"{words.counted(position, 'job')} before it" if position else "it is next"
        return f"{doing} {about} waits for its turn: {before}."
    if job.state == RUNNING and job.paused:
        return f"{doing} {about} is paused: no further wave begins."
    if job.state == RUNNING:
        step = STEPS.get(job.step, job.step)
        return f"{doing} {about}: {step[:1].lower() + step[1:] if step in STEPS.values() else step or 'starting'}."
    if job.state == COMPLETED and job.result.get("offline"):
        missing = ", ".join(map(str, job.result["offline"][:3]))
        return f"{words.sentence(done)} {about}; {missing} could not be reached."
    if job.state == COMPLETED:
        return f"{words.sentence(done)} {about} in {words.at_length(took(job, now))}."
    ends = {FAILED: "failed", CANCELLED: "was stopped", INTERRUPTED: "was cut short"}
    return f"{doing} {about} {ends[job.state]}."


def took(job: Job, now: float) -> float:
    """How long it has run, or ran."""
    return 0.0 if job.started is None else max(0.0, (job.ended or now) - job.started)


def left(job: Job, earlier: Sequence[Job], now: float) -> str:
    """How much time is left, from how long the last one like it took; empty where nobody can say."""
    same = [one for one in earlier if one.state == COMPLETED and (one.kind, one.order) == (job.kind, job.order)]
    if job.state != RUNNING or not same:
        return ""
    rest = took(same[0], now) - took(job, now)
    return f"about {words.at_length(max(1.0, rest))} left, as long as last time" if rest > 0 else "any moment now"


def steps(job: Job) -> list[Step]:
    """The steps as the page shows them, with what came of each and how long it took."""
    begun = {str(entry[0]): (float(entry[1]), str(entry[2])) for entry in job.trail}
    names = list(job.steps) or list(begun)
    if job.lane == "ship":
        return [_ship_step(job, name, begun) for name in names]
    found = []
    starts = sorted(at for at, _ in begun.values())
    for name in names:
        title = STEPS.get(name, name)
        if name not in begun:
            found.append(Step(title, "done" if job.state == COMPLETED else "", ""))
            continue
        at, said = begun[name]
        after = next((start for start in starts if start > at), job.ended)
        note = "; ".join(
            part for part in (said, words.lasted(after - at) if after and after - at >= 0.5 else "") if part
        )
        found.append(Step(title, _state(job, name), note))
    return found


def _state(job: Job, name: str) -> str:
    if name != job.step or job.state == COMPLETED:
        return "done"
    return "current" if job.state == RUNNING else "bad" if job.state in (FAILED, INTERRUPTED) else ""


def _ship_step(job: Job, name: str, begun: Mapping[str, tuple[float, str]]) -> Step:
    said = begun.get(name, (0.0, ""))[1]
    state = "done" if said in ("sent", "loaded", "good", "challenger") else "bad" if said == "failed" else ""
    if said in ("offline", "skipped"):
        state = ""
    elif said and not state:
        state = "current" if job.state == RUNNING else "bad"
    notes = {
        "shipping": "is being sent and looked at there",
        "loaded": "serves, on probation",
        "good": "serves, probation passed",
        "challenger": "judged beside what serves; alerts nobody",
        "offline": "not reachable; catches up later",
        "skipped": "not asked any more",
        "failed": "said no, and keeps its old model",
        "": "waits for the ones before",
    }
    return Step(name, state, notes.get(said, said))
