"""What pages and API change, in one place: every change is a row that the daemon follows, never a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import abort

from inference import bounded
from inference.bundles.reconciling import ACTIVATE, ROLLBACK
from inference.bundles.store import CANDIDATE, GOOD, PROBATION, TRIED, ActiveRow, BundleRow
from inference.monitor import drift_settings
from inference.said import switches
from inference.watching import drifting, validator
from inference.watching.drifting import DriftReport
from inference.watching.validator import Validation
from inference.web.room import Room
from shared import layout
from shared.clean import clean
from shared.errors import RequestError

if TYPE_CHECKING:
    from inference.bundles.trainer_api import TrainerApi


@dataclass(frozen=True, slots=True)
class Asked:
    """A wish and what came of it; outcome None: the daemon has not answered yet."""

    wish: int | None
    agent: str
    version: str
    action: str
    outcome: str | None

    @property
    def status(self) -> int:
        """200: done. 202: not yet. 409: refused."""
        if self.outcome is None:
            return 202
        return 409 if self.outcome.startswith("refused") else 200


def serve(room: Room, row: BundleRow, by: str, wait_s: float, back: bool = False) -> Asked:
    """Let an agent run a version; where it is paused it goes on."""
    active = room.store().active(row.agent)
    _go_on(room, row.agent, by)
    if active is not None and active.version == row.version:
        return Asked(None, row.agent, row.version, ROLLBACK if back else ACTIVATE, "good it runs already")
    why_not(room, row)
    action = ROLLBACK if back or is_back(row, active) else ACTIVATE
    wish = room.wish(row.agent, action, row.version, by)
    return Asked(wish, row.agent, row.version, action, room.outcome_of(wish, wait_s))


def is_back(row: BundleRow, active: ActiveRow | None) -> bool:
    """Whether activating it is a step back."""
    return active is not None and (
        row.version == active.previous or layout.version_order(row.version) < layout.version_order(active.version)
    )


def why_not(room: Room, row: BundleRow) -> None:
    """A 409 for what cannot serve."""
    if row.state not in (GOOD, PROBATION, TRIED, CANDIDATE):
        abort(409, f"{row.agent} {row.version} cannot serve: {row.state} ({row.reason})")
    if row.state != CANDIDATE and not layout.bundle_folder(room.store_dir, row.agent, row.version).is_dir():
        abort(409, f"the copy of {row.agent} {row.version} was cleaned up; ship it again from the trainer")


def pause(room: Room, agent: str, by: str) -> None:
    """Judge nothing for an agent until somebody enables it again."""
    with room.write() as db:
        switches.pause(db, agent, True, by, room.now())


def resume(room: Room, agent: str, by: str) -> None:
    """Let an agent go on, from now."""
    with room.write() as db:
        switches.pause(db, agent, False, by, room.now())


def _go_on(room: Room, agent: str, by: str) -> None:
    own = switches.switches(room.db()).get(agent)
    if own is not None and own.paused:
        resume(room, agent, by)


def challenge(room: Room, row: BundleRow, by: str) -> None:
    """Judge a version beside the active one."""
    active = room.store().active(row.agent)
    if active is None:
        abort(409, f"{row.agent} runs nothing that a challenger could be compared with")
    if active.version == row.version:
        abort(409, f"{row.version} is the active version itself")
    if row.state not in (GOOD, PROBATION, TRIED):
        abort(409, f"{row.version} was never good on this machine ({row.state}); only such a version may challenge")
    why_not(room, row)
    with room.write() as db:
        db.execute("UPDATE challengers SET error = '' WHERE agent = ? AND version = ?", (row.agent, row.version))
        switches.challenge(db, row.agent, row.version, by, room.now())


def end_challenge(room: Room, agent: str, by: str) -> None:
    """Compare no longer."""
    with room.write() as db:
        switches.challenge(db, agent, None, by, room.now())


# --- what takes a model: in a bounded child -----------------------------------------------------------------------------


def validate(room: Room, row: BundleRow, features: list[str] | None = None) -> Validation:
    """Look at a version, and keep what was found (unless a caller asked for features of their own)."""
    folder = validator.copy_of(room.store_dir, row.agent, row.version)
    drift = drifting.newest(room.db(), row.agent, row.version)
    given = {
        "folder": str(folder), "now": room.now(), "max_age_s": room.settings.model_age_days * 86_400.0,
        "features": features or [], "drift": drift.as_json() if drift else None,
    }  # fmt: skip
    found = Validation.from_json(bounded.run("validate", given))
    if not features:
        with room.write() as db:
            validator.save(db, found)
    return found


def check_drift(room: Room, row: BundleRow) -> DriftReport:
    """Measure the drift of a version now, and keep it."""
    validator.copy_of(room.store_dir, row.agent, row.version)
    own = drift_settings(room.settings)
    given = {
        "state": str(room.state_file), "store": str(room.store_dir), "agent": row.agent, "version": row.version,
        "now": room.now(), "settings": {name: getattr(own, name) for name in own.__slots__},
    }  # fmt: skip
    found = DriftReport.from_json(bounded.run("check-drift", given))
    with room.write() as db:
        drifting.save(db, found)
    return found


def analyze(room: Room, row: BundleRow, rows: list[dict[str, Any]], budget: float | None) -> dict[str, Any]:
    """Rows through a version that is here."""
    if len(rows) > bounded.ROWS_MOST:
        abort(413, f"at most {bounded.ROWS_MOST:,} rows; this were {len(rows):,}. Replay an export for more.")
    folder = validator.copy_of(room.store_dir, row.agent, row.version)
    return bounded.run("analyze", {"folder": str(folder), "rows": rows, "budget": budget})


# --- the trainer --------------------------------------------------------------------------------------------------------


def trainer(room: Room) -> TrainerApi:
    """The trainer that the settings name. Raises ConfigError (409 here) where they name none."""
    from inference.bundles.trainer_api import TrainerApi  # TLS and all: 3 MB that most Pis never need

    return TrainerApi(room.settings.trainer_url, room.settings.trainer_token)


def bring(room: Room, reference: str, agent: str | None, by: str, wait_s: float) -> Asked:
    """Fetch a version from the trainer into the inbox, and ask for it to serve."""
    from inference.pull import choose, fetch

    api = trainer(room)
    offer = choose(api.offers(), reference, agent)
    row, active = room.store().known(offer.agent, offer.version), room.store().active(offer.agent)
    if row and active and active.version == offer.version and row.serial == offer.serial:
        return Asked(None, offer.agent, offer.version, ACTIVATE, "good it runs already")
    fetch(api, offer, room.settings.inbox_folder)
    wish = room.wish(offer.agent, ACTIVATE, offer.version, by)
    return Asked(wish, offer.agent, offer.version, ACTIVATE, room.outcome_of(wish, wait_s))


def author(way: str, why: str = "") -> str:
    """Who did it, for the history."""
    told = clean(why, 200)
    return f"{way}: {told}" if told else way


def of_agent(row: BundleRow, agent: str) -> None:
    """A 409 for another agent's model."""
    if row.agent != agent:
        abort(409, f"{row.version} is a model of agent {row.agent}; {agent} cannot run it")


def known_agent(room: Room, agent: str) -> str:
    """The agent's name. Raises RequestError where there is none of that name."""
    from inference.web.agent_words import gather

    if not any(each.id == agent for each in gather(room)):
        raise RequestError(f"there is no agent called {agent[:60]!r} here", missing=True)
    return agent
