"""Models over the API: what is here, what serves, change it, look at it, fetch it from the trainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import abort
from flask.typing import ResponseReturnValue

from inference.bundles.store import BundleRow
from inference.said import switches
from inference.watching import drifting, performance, validator
from inference.watching.drifting import DriftReport
from inference.watching.report import report as full_report
from inference.watching.report import summary
from inference.watching.validator import COMPATIBILITY, WRONG, Validation
from inference.web import changing
from inference.web.answers import answer, need, plain, timed
from inference.web.changing import Asked
from inference.web.room import Room, this_room
from shared import layout
from shared.errors import ShipError

BY = "api"
DAY_S = 86_400.0


def models() -> ResponseReturnValue:
    """Every bundle that is known here, what serves, and wishes that are still open."""
    room = this_room()
    if not room.has_state:
        return answer({"models": [], "wishes": []})
    store = room.store()
    told = [_told(room, row) for row in store.bundles()]
    return answer({"models": told, "wishes": [plain(wish) for wish in store.open_wishes()]})


def _told(room: Room, row: BundleRow) -> dict[str, Any]:
    active, beside = room.store().active(row.agent), switches.challengers(room.db()).get(row.agent)
    return {
        **plain(row),
        "model_id": layout.model_id(row.agent, row.version),
        "active": active is not None and active.version == row.version,
        "previous": active is not None and active.previous == row.version,
        "challenger": beside is not None and beside.version == row.version,
    }


def current(query: Mapping[str, Any]) -> ResponseReturnValue:
    """What serves an agent; the only one where none is named."""
    return answer(_info(this_room(), _active(this_room(), query.get("agent"))))


def info(version: str) -> ResponseReturnValue:
    """One version with its metadata."""
    room = this_room()
    return answer(_info(room, room.find(version)))


def _info(room: Room, row: BundleRow) -> dict[str, Any]:
    """A version, with what happened to it after it was signed merged into its metadata."""
    told = _told(room, row)
    metadata = dict(room.words(row.agent, row.version).metadata)
    drift, active = drifting.newest(room.db(), row.agent, row.version), room.store().active(row.agent)
    since = active.since if active and told["active"] else None
    metadata["deployment_info"] = {
        **(metadata.get("deployment_info") or {}), "status": "deployed" if told["active"] else row.state,
        "deployed_at": timed({"at": since})["at"] if since else None,
    }  # fmt: skip
    if drift is not None:
        scores = {"features": drift.worst, "predictions": drift.score}
        metadata["monitoring_info"] = {"drift_scores": scores, "last_monitoring_check": timed({"at": drift.at})["at"]}
    return {**told, "metadata": metadata, "performance": _summary(room, row)}


def _active(room: Room, agent: str | None) -> BundleRow:
    actives = [row for row in (room.store().actives() if room.has_state else []) if agent in (None, row.agent)]
    if not actives:
        abort(404, "no model serves here")
    if len(actives) > 1:
        abort(409, f"several agents run: {', '.join(row.agent for row in actives)}; say ?agent=NAME")
    return room.find(actives[0].version, actives[0].agent)


def deploy(version: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Let the version's agent run it; a paused agent goes on."""
    room = this_room()
    row = room.find(version, query.get("agent"))
    return _asked(changing.serve(room, row, changing.author(BY, body["why"]), query["wait_s"]))


def rollback(version: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Let the agent run a version that was good here before."""
    room = this_room()
    row = room.find(version, query.get("agent"))
    return _asked(changing.serve(room, row, changing.author(BY, body["why"]), query["wait_s"], back=True))


def deactivate(version: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Pause the agent whose active model this is; nothing is judged until it is activated again."""
    room = this_room()
    row = room.find(version, query.get("agent"))
    active = room.store().active(row.agent)
    if active is None or active.version != row.version:
        abort(409, f"{row.agent} {row.version} does not serve; there is nothing to deactivate")
    changing.pause(room, row.agent, changing.author(BY, body["why"]))
    return answer({"agent": row.agent, "version": row.version, "state": "paused", "done": True})


def _asked(asked: Asked) -> ResponseReturnValue:
    if asked.status == 409:
        abort(409, f"{asked.agent} {asked.version}: {asked.outcome}")
    told = {"wish": asked.wish, "agent": asked.agent, "version": asked.version, "action": asked.action}
    return answer({**told, "outcome": asked.outcome or "waiting"}, asked.status)


def wish(wish_id: int) -> ResponseReturnValue:
    """What came of a wish."""
    room = this_room()
    known = room.has_state and wish_id < 2**63
    row = room.db().execute("SELECT id, outcome FROM wishes WHERE id = ?", (wish_id,)).fetchone() if known else None
    found = need(row)
    return answer({"wish": found[0], "outcome": found[1] or "waiting"})


def analyze(query: Mapping[str, Any], body: list[dict[str, Any]]) -> ResponseReturnValue:
    """Judge rows that you send, as the daemon would; nothing is stored, nobody is alerted."""
    room = this_room()
    version, agent = query.get("version"), query.get("agent")
    row = room.find(version, agent) if version else _active(room, agent)
    if not body:
        abort(400, "send a list of log rows, each with timestamp and message")
    return answer(changing.analyze(room, row, body, query.get("budget")))


# --- looking at a version -----------------------------------------------------------------------------------------------


def validate(version: str, query: Mapping[str, Any]) -> ResponseReturnValue:
    """Look at a version now: files, golden rows, agent, age, drift."""
    room = this_room()
    return answer(validation_json(changing.validate(room, room.find(version, query.get("agent")))))


def validation_report(version: str, query: Mapping[str, Any]) -> ResponseReturnValue:
    """The newest validation of a version; made now where there is none."""
    room = this_room()
    row = room.find(version, query.get("agent"))
    found = validator.newest(room.db(), row.agent, row.version) or changing.validate(room, row)
    return answer(validation_json(found))


def validation_json(found: Validation) -> dict[str, Any]:
    """A validation, for the API."""
    return {
        **timed(found.as_json()), "model_id": layout.model_id(found.agent, found.version), "is_valid": found.is_valid,
        "state": found.state, "recommendations": found.recommendations(),
    }  # fmt: skip


def compatibility(version: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Whether a version fits its agent, this release, and the features that you name."""
    room = this_room()
    found = changing.validate(room, room.find(version, query.get("agent")), list(body["target_features"]))
    checks = [check for check in found.checks if check.section == COMPATIBILITY or check.state == WRONG]
    return answer(
        {
            "model_id": layout.model_id(found.agent, found.version), "agent": found.agent, "version": found.version,
            "is_compatible": all(check.state != WRONG for check in checks), "checks": [plain(check) for check in checks],
        }
    )  # fmt: skip


# --- performance and drift ----------------------------------------------------------------------------------------------


def performances() -> ResponseReturnValue:
    """Every version that judged in the last 7 days, or serves."""
    room = this_room()
    if not room.has_state:
        return answer({"performance": []})
    judged = {(hour.agent, hour.version) for hour in performance.model_hours(room.db(), room.now() - 7 * DAY_S)}
    pairs = sorted(judged | {(row.agent, row.version) for row in room.store().actives()})
    rows = [row for agent, version in pairs if (row := room.store().known(agent, version)) is not None]
    return answer({"performance": [_summary(room, row) for row in rows]})


def performance_of(version: str, query: Mapping[str, Any]) -> ResponseReturnValue:
    """How a version does: time, anomaly rate, scores, false alarms, memory, drift."""
    room = this_room()
    return answer(_summary(room, room.find(version, query.get("agent"))))


def performance_report(version: str, query: Mapping[str, Any]) -> ResponseReturnValue:
    """The same, day by day, with drift feature by feature, and what to do."""
    room = this_room()
    row = room.find(version, query.get("agent"))
    found = full_report(room.db(), row.agent, row.version, room.limits, room.now(), query["days"])
    return answer({"model_id": layout.model_id(row.agent, row.version), **timed(found.as_json())})


def _summary(room: Room, row: BundleRow) -> dict[str, Any]:
    found = summary(room.db(), row.agent, row.version, room.limits, room.now())
    return {"model_id": layout.model_id(row.agent, row.version), **timed(found.as_json())}


def check_drift(version: str, query: Mapping[str, Any]) -> ResponseReturnValue:
    """Measure the drift of a version now, from the windows of the last days."""
    room = this_room()
    return answer(drift_json(changing.check_drift(room, room.find(version, query.get("agent")))))


def drift_json(found: DriftReport) -> dict[str, Any]:
    """A measurement, for the API."""
    model_id = layout.model_id(found.agent, found.version)
    return {**timed(found.as_json()), "model_id": model_id, "drift_detected": found.word == drifting.DRIFTED}


def performance_cleanup(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Remove old figures of performance and drift."""
    room = this_room()
    before = room.now() - query["days_to_keep"] * DAY_S
    with room.write() as db:
        return answer({"removed": performance.forget(db, before) + drifting.forget(db, before)})


# --- transfers and the trainer ------------------------------------------------------------------------------------------


def transfers(query: Mapping[str, Any]) -> ResponseReturnValue:
    """What became of bundles, newest first."""
    room = this_room()
    rows = room.store().transfers(query.get("agent"), query["limit"]) if room.has_state else []
    return answer({"transfers": [plain(row) for row in rows]})


def transfers_cleanup(query: Mapping[str, Any]) -> ResponseReturnValue:
    """Remove old transfers; those whose receipt is still due stay."""
    from inference.bundles.ledger import Ledger

    room = this_room()
    with room.write() as db:
        return answer({"removed": Ledger(db).forget_transfers(room.now() - query["days_to_keep"] * DAY_S)})


def trainer_models() -> ResponseReturnValue:
    """What the trainer has, newest first, and how each version stands here."""
    room = this_room()
    offers = changing.trainer(room).offers()
    states = {(row.agent, row.version): row.state for row in (room.store().bundles() if room.has_state else [])}
    told = [
        {**plain(offer), "model_id": offer.model_id, "state": states.get((offer.agent, offer.version), "new")}
        for offer in offers
    ]
    return answer({"models": told})


def trainer_connection() -> ResponseReturnValue:
    """Whether the trainer answers and takes the token; a 200 either way."""
    room = this_room()
    url = room.settings.trainer_url
    if not url:
        return answer({"connected": False, "url": "", "detail": "no trainer is known; set INFERENCE_TRAINER_URL"})
    try:
        api = changing.trainer(room)
        release, count = api.release(), len(api.offers())
    except ShipError as error:
        return answer({"connected": False, "url": url, "detail": str(error)})
    return answer({"connected": True, "url": url, "detail": f"Pipit {release}, {count} models", "models": count})


def import_latest(query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Fetch the trainer's newest version, and let it serve once it has passed its checks."""
    return _bring(layout.LATEST, query)


def import_one(model_path: str, query: Mapping[str, Any], body: Mapping[str, Any]) -> ResponseReturnValue:
    """Fetch a named version from the trainer: a version, `<agent>_<version>` or `<agent>/<version>`."""
    reference = model_path.removesuffix("/model.joblib").rstrip("/")
    return _bring(reference, query)


def _bring(reference: str, query: Mapping[str, Any]) -> ResponseReturnValue:
    room = this_room()
    if not room.has_state:
        abort(503, "the daemon has not run on this machine yet; start `pipit-inference run`")
    return _asked(
        changing.bring(room, reference, query.get("agent"), changing.author(f"{BY}, pulled"), query["wait_s"])
    )
