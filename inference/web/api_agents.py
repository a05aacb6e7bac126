"""Agents over the API: how each is, pause, go on, another model, a challenger, its alert budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import abort
from flask.typing import ResponseReturnValue

from inference.judging.comparison import compare
from inference.said import budgets as kept
from inference.web import changing
from inference.web.agent_words import gather
from inference.web.answers import answer, need, timed
from inference.web.room import Room, this_room
from shared.layout import model_id

BY = "api"


def agents() -> ResponseReturnValue:
    """Every agent: built in, in files of your own, or brought by a bundle."""
    return answer({"agents": [timed(each.as_json()) for each in gather(this_room())]})


def agent(agent_id: str) -> ResponseReturnValue:
    """One agent."""
    return answer(_told(this_room(), agent_id))


def _told(room: Room, agent_id: str) -> dict[str, Any]:
    return timed(need(next((each for each in gather(room) if each.id == agent_id), None)).as_json())


def set_model(agent_id: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Let an agent run another version; another agent's model answers 409."""
    room = this_room()
    changing.known_agent(room, agent_id)
    reference = body.get("model_id") or body.get("version")
    if not reference:
        abort(400, "say which model: model_id or version")
    own = [row for row in room.store().bundles() if row.agent == agent_id and row.version == reference]
    row = own[0] if own else room.find(reference)
    changing.of_agent(row, agent_id)
    asked = changing.serve(room, row, BY, query["wait_s"])
    if asked.status == 409:
        abort(409, f"{asked.agent} {asked.version}: {asked.outcome}")
    told = {"wish": asked.wish, "agent": asked.agent, "version": asked.version, "action": asked.action}
    return answer({**told, "outcome": asked.outcome or "waiting"}, asked.status)


def enable(agent_id: str) -> ResponseReturnValue:
    """Let an agent go on, from now."""
    room = this_room()
    changing.resume(room, changing.known_agent(room, agent_id), BY)
    return answer(_told(room, agent_id))


def disable(agent_id: str) -> ResponseReturnValue:
    """Pause an agent: its rows are passed, nothing is judged."""
    room = this_room()
    changing.pause(room, changing.known_agent(room, agent_id), BY)
    return answer(_told(room, agent_id))


def challenger(agent_id: str) -> ResponseReturnValue:
    """The challenger against the active version, over the windows that both judged."""
    return answer(_compared(this_room(), agent_id))


def set_challenger(agent_id: str, body: Mapping[str, Any]) -> ResponseReturnValue:
    """Judge a second version beside the active one; it alerts nobody."""
    room = this_room()
    changing.known_agent(room, agent_id)
    row = room.find(body["version"], agent_id)
    changing.challenge(room, row, BY)
    told = {"agent": agent_id, "challenger": row.version, "model_id": model_id(agent_id, row.version)}
    return answer({"done": True, **told}, 202)


def end_challenger(agent_id: str) -> ResponseReturnValue:
    """Compare no longer."""
    room = this_room()
    changing.end_challenge(room, changing.known_agent(room, agent_id), BY)
    return answer({"done": True})


def _compared(room: Room, agent_id: str) -> dict[str, Any]:
    active = room.store().active(agent_id) if room.has_state else None
    found = compare(room.db(), agent_id, active.version, room.now()) if active else None
    if found is None:
        abort(404, f"nothing is judged beside the active version of {agent_id[:60]}")
    return timed(found.as_json())


# --- alert budgets ------------------------------------------------------------------------------------------------------


def budgets() -> ResponseReturnValue:
    """The alert budget of every agent that runs."""
    room = this_room()
    names = [row.agent for row in room.store().actives()] if room.has_state else []
    return answer({"budgets": [budget_json(room, name) for name in names]})


def budget_json(room: Room, name: str) -> dict[str, Any]:
    """What is set, and what the model was trained for."""
    found = kept.budgets(room.db()).get(name)
    thresholds = room.words(name).metadata.get("thresholds") or {}
    own = thresholds.get("alert_budget") if isinstance(thresholds, dict) else None
    told = {"agent": name, "per_week": found.per_week if found else None, "by": found.by if found else None}
    return timed({**told, "at": found.at if found else None, "model_per_week": own})


def set_budget(agent_id: str, body: Mapping[str, Any]) -> ResponseReturnValue:
    """At most so many incidents a week and host, from the next window on; nothing is trained."""
    room = this_room()
    changing.known_agent(room, agent_id)
    with room.write() as db:
        kept.set_budget(db, agent_id, body["per_week"], by=BY, now=room.now())
    return answer(budget_json(room, agent_id))


def clear_budget(agent_id: str) -> ResponseReturnValue:
    """Back to what the model was trained for."""
    room = this_room()
    changing.known_agent(room, agent_id)
    with room.write() as db:
        kept.clear_budget(db, agent_id)
    return answer(budget_json(room, agent_id))
