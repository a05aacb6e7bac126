"""The agents as values: what each watches, how it is, what it runs and could run. For the page and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference import agents
from inference.agents import About
from inference.bundles.store import GOOD, PROBATION, ActiveRow, BundleRow
from inference.said import switches
from inference.watching import drifting
from inference.web.room import Health, Room
from shared import layout
from shared.web import words

# state → word, class, icon
STATES = {
    "running": ("Running", "ok", "s-ok"),
    "paused": ("Paused", "mid", "s-off"),
    "waiting": ("Waiting", "mid", "s-wait"),
    "failed": ("Failed", "high", "s-no"),
    "no-model": ("No model", "", "s-off"),
    "refused": ("Refused", "high", "s-no"),
}
ORDER = ("failed", "refused", "running", "waiting", "paused", "no-model")


@dataclass(frozen=True, slots=True)
class AgentView:
    """One agent."""

    id: str
    about: About | None
    state: str
    since: float | None
    last_run: float | None
    windows: int
    anomalies: int
    cpu_s: float
    error: str
    error_path: str
    model: str | None
    model_state: str
    challenger: str | None
    versions: tuple[tuple[str, str], ...]  # version, what it is
    known: float | None

    @property
    def is_running(self) -> bool:
        """Whether it judges."""
        return self.state == "running"

    @property
    def title(self) -> str:
        """What it watches."""
        return self.about.title if self.about else "its file cannot be read"

    def as_json(self) -> dict[str, Any]:
        """For the API; times stay numbers."""
        about = self.about
        return {
            "id": self.id, "name": self.id, "title": self.title, "description": about.description if about else "",
            "state": self.state, "is_running": self.is_running, "last_run": self.last_run,
            "windows": self.windows, "anomalies": self.anomalies, "model": self.model,
            "model_id": f"{self.id}_{self.model}" if self.model else None, "model_state": self.model_state,
            "challenger": self.challenger, "capabilities": about.capabilities if about else [],
            "programs": list(about.programs) if about else [], "origin": about.origin if about else self.error_path,
            "events": about.events if about else 0, "features": about.features if about else 0,
            "rules": about.rules if about else 0, "window_s": about.window_s if about else None,
            "known_lines": self.known, "error": self.error, "versions": [version for version, _ in self.versions],
        }  # fmt: skip


def gather(room: Room) -> list[AgentView]:
    """Every agent: the built-in ones, those of bundles, those of the user's files; troubled ones first."""
    store = room.store() if room.has_state else None
    files = {each.agent: each for each in agents.told_files(room.db())} if store else {}
    told = agents.told_agents(room.db()) if store else {}
    wanted = switches.switches(room.db()) if store else {}
    bundles = store.bundles() if store else []
    actives = {row.agent: row for row in store.actives()} if store else {}
    health = room.health(room.status())
    builtin = agents.builtin()
    names = sorted({*builtin, *files, *(row.agent for row in bundles), *actives} - {""})
    found = []
    for name in names:
        active, file = actives.get(name), files.get(name)
        own = [row for row in bundles if row.agent == name]
        about = _about(room, name, active, own, builtin, file.path if file else "")
        found.append(_view(room, name, about, active, own, told.get(name, {}), wanted.get(name), file, health))
    return sorted(found, key=lambda each: (ORDER.index(each.state), each.id))


def _about(
    room: Room, name: str, active: ActiveRow | None, own: list[BundleRow], builtin: Mapping[str, About], path: str
) -> About | None:
    """The words of the copy that serves, else of the newest one here, else of the file."""
    versions = [active.version] if active else []
    for version in (*versions, *(row.version for row in own if row.state in (GOOD, PROBATION))):
        about = agents.of_bundle(layout.bundle_folder(room.store_dir, name, version))
        if about is not None:
            return about
    return builtin.get(name) or (agents.of_path(Path(path)) if path else None)


def _view(
    room: Room,
    name: str,
    about: About | None,
    active: ActiveRow | None,
    own: list[BundleRow],
    told: Mapping[str, Any],
    wanted: switches.Switch | None,
    file: agents.AgentFile | None,
    health: Health,
) -> AgentView:
    challenger = switches.challengers(room.db()).get(name) if room.has_state else None
    drift = drifting.newest(room.db(), name, active.version) if active else None
    states = {row.version: row.state for row in own}
    error = str(told.get("error") or "") or (file.error if file else "")
    return AgentView(
        id=name, about=about, state=_state(active, told, wanted, file, health), since=active.since if active else None,
        last_run=told.get("last_run"), windows=int(told.get("windows") or 0), anomalies=int(told.get("anomalies") or 0),
        cpu_s=float(told.get("cpu_s") or 0.0), error=error, error_path=file.path if file else "",
        model=active.version if active else None, model_state=states.get(active.version, "") if active else "",
        challenger=challenger.version if challenger else None,
        versions=tuple(_versions(own, active, challenger.version if challenger else None)),
        known=drift.known if drift else None,
    )  # fmt: skip


def _state(
    active: ActiveRow | None,
    told: Mapping[str, Any],
    wanted: switches.Switch | None,
    file: agents.AgentFile | None,
    health: Health,
) -> str:
    if file is not None and file.error and active is None:
        return "refused"
    if active is None:
        return "no-model"
    if wanted is not None and wanted.paused:
        return "paused"
    if told.get("error"):
        return "failed"
    return "running" if health in ("well", "failing") else "waiting"


def _versions(own: list[BundleRow], active: ActiveRow | None, challenger: str | None) -> list[tuple[str, str]]:
    """What the agent could run, the active one first."""
    found = []
    for row in sorted(own, key=lambda row: -row.serial):
        is_active = active is not None and row.version == active.version
        if row.state != GOOD and not is_active:  # one replaced on probation has not proved itself: it is shipped again
            continue
        what = "active" if is_active else "previous" if active is not None and row.version == active.previous else ""
        what = what or ("challenger" if row.version == challenger else "kept")
        found.append((row.version, what))
    return sorted(found, key=lambda each: each[1] != "active")


def headline(found: list[AgentView]) -> str:
    """The first line: how many, and which one needs somebody."""
    if not found:
        return "There is no agent here."
    by: dict[str, list[str]] = {}
    for each in found:
        by.setdefault(each.state, []).append(each.id)
    parts = [
        f"{words.joined(by[state])} {say[len(by[state]) > 1]}"
        for state, say in (
            ("running", ("runs", "run")),
            ("waiting", ("waits", "wait")),
            ("paused", ("is paused", "are paused")),
            ("failed", ("has failed", "have failed")),
            ("refused", ("has a mistake in its file", "have mistakes in their files")),
            ("no-model", ("has no model", "have no model")),
        )
        if state in by
    ]
    return f"{words.sentence(words.counted(len(found), 'agent'))}. {'; '.join(parts)}."
