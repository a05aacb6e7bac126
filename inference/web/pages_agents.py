"""Agents on the pages: how each is, pause it, let it go on, change its model."""

from __future__ import annotations

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from inference.web import agent_words, changing
from inference.web.room import this_room
from shared import layout

BY = "admin page"
LIVE_S = 15


def add_agent_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/agents", "agents", agents_page)
    app.add_url_rule("/agents/<agent>/pause", "agent_pause", pause, methods=["POST"])
    app.add_url_rule("/agents/<agent>/resume", "agent_resume", resume, methods=["POST"])
    app.add_url_rule("/agents/<agent>/change", "agent_change", change)


def agents_page() -> ResponseReturnValue:
    """Every agent: what it watches, how it is, what it runs."""
    room = this_room()
    found = agent_words.gather(room)
    return render_template(
        "agents.html", at="Agents", live=LIVE_S, found=found, headline=agent_words.headline(found),
        states=agent_words.STATES, folder=room.settings.agents_dir,
    )  # fmt: skip


def pause(agent: str) -> ResponseReturnValue:
    """Judge nothing for an agent until further notice."""
    _known(agent)
    changing.pause(this_room(), agent, BY)
    session["notice"] = (
        f"{agent} pauses from the next cycle on. Its rows are passed; nothing is judged until it goes on."
    )
    return redirect(url_for("agents"), 303)


def resume(agent: str) -> ResponseReturnValue:
    """Let an agent go on."""
    _known(agent)
    changing.resume(this_room(), agent, BY)
    session["notice"] = f"{agent} goes on from the next cycle, with the rows that come from now on."
    return redirect(url_for("agents"), 303)


def change(agent: str) -> ResponseReturnValue:
    """From the list of versions to the page that asks."""
    version = request.args.get("version", "")
    if not (layout.is_agent(agent) and layout.is_version(version)):
        abort(404)
    return redirect(url_for("activate", agent=agent, version=version), 303)


def _known(agent: str) -> None:
    room = this_room()
    if not (room.has_state and any(each.id == agent and each.model for each in agent_words.gather(room))):
        abort(404)
