"""Drift and performance on the pages, and settings: what is in force, with the one thing that may be changed here."""

from __future__ import annotations

import math
from dataclasses import fields

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from inference.config import PREFIX, Settings
from inference.said import budgets as kept
from inference.web import changing, performance_words
from inference.web.api_agents import budget_json
from inference.web.pages_models import known_row
from inference.web.room import this_room
from shared import layout
from shared.setting import known_settings
from shared.web import words

BY = "admin page"
LIVE_S = 60


def add_performance_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/performance", "performance", performance_page)
    app.add_url_rule("/models/<agent>/<version>/measure", "measure", measure, methods=["POST"])
    app.add_url_rule("/settings", "settings", settings_page)
    app.add_url_rule("/settings/budget", "budget", budget, methods=["POST"])


def performance_page() -> ResponseReturnValue:
    """Does the log still look like what the model learnt, and what does judging cost?"""
    room = this_room()
    actives = room.store().actives() if room.has_state else []
    agent, version = request.args.get("agent", ""), request.args.get("version", "")
    if not agent and actives:
        agent, version = actives[0].agent, actives[0].version
    if not agent:
        return render_template("performance.html", at="Drift", view=None, actives=())
    if not version:
        version = next((row.version for row in actives if row.agent == agent), "")
    row = known_row(room, agent, version)
    is_active = any((one.agent, one.version) == (agent, version) for one in actives)
    known = room.words(agent, version)
    view = performance_words.view(room.db(), row.agent, row.version, is_active, known, room.limits, room.now())
    return render_template("performance.html", at="Drift", live=LIVE_S, view=view, actives=actives)


def measure(agent: str, version: str) -> ResponseReturnValue:
    """Measure drift now, in a child of its own."""
    room = this_room()
    row = known_row(room, agent, version)
    found = changing.check_drift(room, row)
    over = (
        f"over {words.figure(found.windows, 'normal window')}" if found.windows else "but no normal window is there yet"
    )
    session["notice"] = f"Measured just now, {over}."
    return redirect(url_for("performance", agent=agent, version=version), 303)


def settings_page() -> ResponseReturnValue:
    """What is in force on this machine, and the alert budgets."""
    return _settings()


def _settings(**more: object) -> str:
    room = this_room()
    own = room.settings
    usual = Settings()
    rows = []
    for name, known in known_settings(Settings, PREFIX).items():
        value = getattr(own, name)
        shown = ("set" if value else "not set") if known.secret else _shown(value)
        rows.append((known.env, shown, known.unit, known.doc, value != getattr(usual, name)))
    actives = room.store().actives() if room.has_state else []
    found = [budget_json(room, row.agent) for row in actives]
    return render_template(
        "settings.html", at="Settings", rows=rows, budgets=found, count=len(fields(Settings)), **more
    )


def _shown(value: object) -> str:
    if value is None or value in ("", ()):
        return "empty"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def budget() -> ResponseReturnValue:
    """Set or clear an agent's alert budget; it counts from the next window on."""
    room = this_room()
    agent = request.form.get("agent", "")
    if not (room.has_state and layout.is_agent(agent) and room.store().active(agent)):
        abort(404)
    if request.form.get("clear"):
        with room.write() as db:
            kept.clear_budget(db, agent)
        session["notice"] = f"{agent} has the budget again that its model was trained for."
        return redirect(url_for("settings"), 303)
    try:
        wanted = float(request.form.get("per_week", "").strip().replace(",", "."))
    except ValueError:
        wanted = math.nan
    if not kept.LEAST <= wanted <= kept.MOST:
        failed = f"Say a number from {kept.LEAST:g} to {kept.MOST:g}: incidents a week and host."
        return _settings(failed=failed, failed_agent=agent, typed=request.form.get("per_week", "")[:40]), 400
    with room.write() as db:
        kept.set_budget(db, agent, wanted, by=BY, now=room.now())
    session["notice"] = f"{agent} may raise {wanted:g} incidents a week and host, from the next window on."
    return redirect(url_for("settings"), 303)
