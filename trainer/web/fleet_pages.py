"""The fleet: who runs what, shipping and going back (each asked for once more), adding and forgetting Pis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.errors import ConfigError, StoreError
from trainer import targets
from trainer.jobs import OPEN
from trainer.registry import ModelEntry
from trainer.shipping.deliver import forget_target
from trainer.targets import Target
from trainer.tasks.orders import LANES, RollbackOrder, ShipOrder
from trainer.web import api_fleet, catch_up_page, fleet_words, job_words, model_facts, transfer_words
from trainer.web.room import Room, this_room

LIVE_S = 15
LIVE_SHIPPING_S = 2
TRANSFERS_SHOWN = 10
PIS_SHOWN = 12
WAVES_SHOWN = 4
BY = "admin"
UNKNOWN_PI = "No Pi of that name is in the list."
TARGET_FIELDS = ("name", "url", "identity", "known_hosts", "groups")


@dataclass(frozen=True, slots=True)
class Wave:
    """Who gets a version at the same time, and what they run now."""

    name: str
    members: Sequence[tuple[str, str]]


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/fleet", "fleet", fleet)
    app.add_url_rule("/fleet/targets", "target_add", target_add, methods=["POST"])
    app.add_url_rule("/fleet/targets/<name>/remove", "target_remove", target_remove, methods=["POST"])
    app.add_url_rule("/ship", "ship", ship, methods=["GET", "POST"])
    app.add_url_rule("/rollback", "rollback", rollback, methods=["GET", "POST"])


def fleet() -> ResponseReturnValue:
    """The known Pis, what they were last heard to run, and what became of the last transfer."""
    chosen = this_room().targets().get(request.args.get("change", ""))
    return _fleet_page(_as_typed(chosen) if chosen else {}, {})


def target_add() -> ResponseReturnValue:
    """Add a Pi, or change one."""
    room, given = this_room(), {name: request.form.get(name, "").strip() for name in TARGET_FIELDS}
    groups = tuple(part.strip() for part in given["groups"].split(",") if part.strip())
    was_there = given["name"] in room.targets()
    try:
        one = api_fleet.parse(given["name"], given["url"], given["identity"], given["known_hosts"], groups)
        targets.add_target(room.state_dir, one)
    except ConfigError as error:
        said = str(error)
        field = next((name for name in ("identity", "known_hosts", "url") if said.startswith(f"{name}:")), "")
        field = field or ("name" if "a name has" in said else "url")
        return _fleet_page(given, {field: said.removeprefix(f"{field}: ")}), 400
    became = "was changed. What it runs stays as it is." if was_there else "is in the list. Nothing was sent to it yet."
    session["notice"] = f"{one.name} {became}"
    return redirect(url_for("fleet"), 303)


def target_remove(name: str) -> ResponseReturnValue:
    """Forget a Pi; what it runs stays as it is."""
    try:
        forget_target(this_room().state_dir, name, this_room().now())
    except ConfigError:
        abort(404, UNKNOWN_PI)
    session["notice"] = f"{name} is no longer in the list. What it runs stays as it is."
    return redirect(url_for("fleet"), 303)


def ship() -> ResponseReturnValue:
    """Who gets a version and when: asked for once more, then started."""
    room = this_room()
    if not request.values.get("model"):
        return _to_fleet("Choose here what is shipped, and to whom.")
    entry = room.model(request.values["model"])
    if entry is None:
        abort(404, "This model is not on this machine any more: the page Models lists what is.")
    if entry.fault:
        abort(409, f"{entry.version} is damaged and cannot be shipped: {entry.fault}")
    to = request.values.get("to", "all")
    members = _members(room, to)
    if request.method == "GET":
        return _ship_page(room, entry, to, members, "")
    missed = room.gate(entry).get("passed") is False
    reason = request.form.get("reason", "").strip()[:400]
    if missed and not reason:
        return _ship_page(room, entry, to, members, "Say why it is shipped although it missed its gate."), 400
    alone = to in room.targets()
    order = ShipOrder(
        entry.agent, entry.version, to if alone else None, None if alone else to, wait="loaded" if alone else "good",
        timeout_s=180.0 if alone else 7200.0, canaries=_canaries(), force=missed, reason=reason, challenger=_is_beside(),
    )  # fmt: skip
    try:
        api_fleet.check_ship(room, order)
        job = room.submit(order, BY)
    except (ConfigError, StoreError) as error:
        return _ship_page(room, entry, to, members, str(error)), 400
    return redirect(url_for("job", number=job.number), 303)


def rollback() -> ResponseReturnValue:
    """Back to a former version on one Pi: asked for once more, then started."""
    room, name = this_room(), request.values.get("target", "")
    agent = request.values.get("agent", "")
    if not name:
        return _to_fleet("Choose here which Pi goes back: the button stands in its row.")
    if name not in room.targets():
        abort(404, UNKNOWN_PI)
    if request.method == "POST":
        version = request.form.get("version", "")
        if version and room.model(version, agent or None) is None:
            abort(404, "That version is not on this machine any more: choose another one.")
        job = room.submit(RollbackOrder(name, agent or None, version or None), BY)
        return redirect(url_for("job", number=job.number), 303)
    running = room.serving().get((name, agent), "")
    former = [entry for entry in room.models() if entry.agent == agent and not entry.fault and entry.version != running]
    return render_template(
        "rollback.html", at="Fleet", target=room.targets()[name], agent=agent, running=running, former=former[:10]
    )


def _to_fleet(said: str) -> ResponseReturnValue:
    """To the page where the choice is made, for an address without one."""
    session["notice"] = said
    return redirect(url_for("fleet"), 303)


def _fleet_page(given: Mapping[str, str], errors: Mapping[str, str]) -> str:
    room = this_room()
    now, models = room.now(), [entry for entry in room.models() if not entry.fault]
    newest: dict[str, str] = {}
    for entry in models:
        newest.setdefault(entry.agent, entry.version)
    table = fleet_words.rows(room.targets(), room.latest(), room.serving(), now)
    beside = {key: one.version for key, one in room.beside().items()}
    shipping = list(reversed(room.jobs.listed(kinds=LANES["ship"], states=OPEN, limit=20)))
    groups = sorted({group for target in room.targets().values() for group in target.groups})
    return render_template(
        "fleet.html", at="Fleet", live=LIVE_SHIPPING_S if shipping else LIVE_S, table=table, newest=newest, models=models[:30],
        groups=groups, names=list(room.targets()), given=given, errors=errors,
        sent=transfer_words.transfers(room.transfers(limit=TRANSFERS_SHOWN), now),
        shipping=[(job, job_words.headline(job, room.jobs.position(job), now), job_words.steps(job)) for job in shipping],
        headline=fleet_words.headline(table, newest), beside=beside, shown=PIS_SHOWN, behind=catch_up_page.lacking(room, "all"),
    )  # fmt: skip


def _as_typed(one: Target) -> dict[str, str]:
    """A Pi as its form was filled in."""
    paths = {"identity": one.identity or "", "known_hosts": one.known_hosts or ""}
    return {"name": one.name, "url": one.url, "groups": ", ".join(one.groups)} | {k: str(v) for k, v in paths.items()}


def _members(room: Room, to: str) -> list[Target]:
    known = room.targets()
    if to in known:
        return [known[to]]
    return [target for target in known.values() if to == "all" or to in target.groups]


def _is_beside() -> bool:
    return request.values.get("how") == "challenger"


def _canaries() -> int:
    text = request.values.get("canaries", "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 else 1


def _ship_page(room: Room, entry: ModelEntry, to: str, members: Sequence[Target], error: str) -> str:
    serving, gate = room.serving(), room.gate(entry)
    runs = [(target.name, serving.get((target.name, entry.agent), "not known")) for target in members]
    offline = [t.name for t in members if (last := room.latest().get((t.name, entry.agent))) and last.code == "offline"]
    ahead = [] if _is_beside() else [name for name, version in runs if _is_later(room, entry, version)]
    return render_template(
        "ship.html", at="Fleet", entry=entry, to=to, waves=_waves(runs, _canaries(), to in room.targets()), count=len(members),
        ahead=ahead, shown=WAVES_SHOWN, offline=offline, gate=gate, missed=gate.get("passed") is False, error=error,
        canaries=_canaries(), beside=_is_beside(), learnt=model_facts.span_learnt(entry.metadata), alone=to in room.targets(),
    )  # fmt: skip


def _is_later(room: Room, entry: ModelEntry, running: str) -> bool:
    """Whether what a Pi runs was signed after this version: it takes no older one but by going back."""
    there = None if running in (entry.version, "not known") else room.model(running, entry.agent)
    return there is not None and there.serial > entry.serial


def _waves(runs: Sequence[tuple[str, str]], canaries: int, alone: bool, batch: int = 5) -> list[Wave]:
    if alone:
        return [Wave("Now", runs)]
    first, rest = runs[:canaries], runs[canaries:]
    waves = [Wave("Canary", first)] if first else []
    return waves + [Wave(f"Wave {n // batch + 1}", rest[n : n + batch]) for n in range(0, len(rest), batch)]
