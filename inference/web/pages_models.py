"""Models on the pages: one version with its checks, the challenger, what became of bundles, what the trainer has."""

from __future__ import annotations

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from inference.bundles.store import BundleRow
from inference.judging.comparison import compare
from inference.watching import validator
from inference.web import change_words, changing, version_words
from inference.web.room import Room, this_room
from shared import layout
from shared.errors import ConfigError, PipitError, ShipError
from shared.web import words

BY = "admin page"
LIVE_S = 15
TRANSFERS = 50


def add_model_pages(app: Flask) -> None:
    """Attach the routes."""
    one = "/models/<agent>/<version>"
    app.add_url_rule(one, "model", model_page)
    app.add_url_rule(f"{one}/validate", "model_validate", validate, methods=["POST"])
    app.add_url_rule(f"{one}/challenge", "challenge", challenge_page, methods=["GET", "POST"])
    app.add_url_rule("/agents/<agent>/challenger/end", "challenge_end", challenge_end, methods=["POST"])
    app.add_url_rule("/transfers", "transfers", transfers_page)
    app.add_url_rule("/transfers/trainer", "trainer_look", trainer_look, methods=["POST"])
    app.add_url_rule("/transfers/import", "trainer_import", trainer_import, methods=["POST"])


def known_row(room: Room, agent: str, version: str) -> BundleRow:
    """The version of an address, or a 404."""
    fits = room.has_state and layout.is_agent(agent) and layout.is_version(version)
    row = room.store().known(agent, version) if fits else None
    if row is None:
        abort(404)
    return row


def model_page(agent: str, version: str) -> ResponseReturnValue:
    """One version: what it is, whether it is fit to serve, what became of it."""
    room = this_room()
    row = known_row(room, agent, version)
    found = validator.newest(room.db(), agent, version)
    view = version_words.one(room, row, found, room.now())
    return render_template("model.html", at="Models", view=view)


def validate(agent: str, version: str) -> ResponseReturnValue:
    """Look at a version now, in a child of its own."""
    room = this_room()
    row = known_row(room, agent, version)
    found = changing.validate(room, row)
    session["notice"] = {
        "good": "Looked at just now: nothing is wrong.",
        "odd": "Looked at just now: it works, but look at what is marked.",
        "wrong": "Looked at just now: something is wrong.",
    }[found.state]
    return redirect(url_for("model", agent=agent, version=version), 303)


def challenge_page(agent: str, version: str) -> ResponseReturnValue:
    """Ask before a second version is judged beside the active one."""
    room = this_room()
    row = known_row(room, agent, version)
    active = room.store().active(agent)
    if request.method == "POST":
        changing.challenge(room, row, BY)
        session["notice"] = f"{version} is judged beside the active version from the next cycle on. It alerts nobody."
        return redirect(url_for("models"), 303)
    if active is None or active.version == version:
        abort(409, "There is nothing to compare it with.")
    changing.why_not(room, row)
    known = room.words(agent, version), room.words(agent)
    facts = change_words.differences(known[1], known[0], active.version, version, room.now())
    return render_template("challenge.html", at="Models", row=row, active=active, facts=facts)


def challenge_end(agent: str) -> ResponseReturnValue:
    """Compare no longer."""
    room = this_room()
    if not (room.has_state and layout.is_agent(agent) and room.store().bundles(agent)):
        abort(404)
    changing.end_challenge(room, agent, BY)
    session["notice"] = "The comparison has ended. The active version goes on as before."
    return redirect(url_for("models"), 303)


def comparisons(room: Room) -> list[version_words.ComparisonView]:
    """Every challenger against its active version."""
    found = []
    for active in room.store().actives():
        compared = compare(room.db(), active.agent, active.version, room.now())
        if compared is not None:
            found.append(version_words.comparison(compared, room.words(active.agent), room.now()))
    return found


def transfers_page() -> ResponseReturnValue:
    """What became of every bundle that came here."""
    return _transfers()


def _transfers(**more: object) -> str:
    room = this_room()
    page = max(1, request.args.get("page", 1, type=int) or 1)
    rows = room.store().transfers(None, min(page, 1000) * TRANSFERS + 1) if room.has_state else []
    shown = rows[(page - 1) * TRANSFERS : page * TRANSFERS]
    listed = [version_words.transfer(row, room.now()) for row in shown]
    return render_template(
        "transfers.html", at="Models", rows=listed, page=page, more=len(rows) > page * TRANSFERS,
        headline=version_words.transfers_headline(rows[0] if rows else None, room.now()),
        trainer=room.settings.trainer_url, **more,
    )  # fmt: skip


def trainer_look() -> ResponseReturnValue:
    """Ask the trainer what it has, and whether it takes the token."""
    room = this_room()
    try:
        offers = changing.trainer(room).offers()
    except (ConfigError, ShipError) as error:
        return _transfers(failed=str(error))
    states = {(row.agent, row.version): row.state for row in (room.store().bundles() if room.has_state else [])}
    actives = {(row.agent, row.version) for row in (room.store().actives() if room.has_state else [])}
    told = [
        {
            "agent": offer.agent, "version": offer.version, "size": offer.size_bytes, "fault": offer.fault,
            "here": "runs here" if (offer.agent, offer.version) in actives else states.get((offer.agent, offer.version), ""),
            "age": words.age(room.now() - made) if (made := words.version_time(offer.version)) else "",
        }
        for offer in offers
    ]  # fmt: skip
    return _transfers(offers=told)


def trainer_import() -> ResponseReturnValue:
    """Fetch one version and ask the daemon for it."""
    room = this_room()
    agent, version = request.form.get("agent", ""), request.form.get("version", "")
    if not (layout.is_agent(agent) and layout.is_version(version)):
        abort(400, "Choose one of the versions that the trainer has.")
    try:
        asked = changing.bring(room, version, agent, f"{BY}, pulled", 10.0)
    except PipitError as error:
        return _transfers(failed=str(error))
    if asked.status == 409:
        return _transfers(failed=asked.outcome)
    said = "it serves" if asked.status == 200 else "the daemon takes it up between two cycles"
    session["notice"] = f"Fetched {agent} {version}; {said}."
    return redirect(url_for("models"), 303)
