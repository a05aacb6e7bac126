"""The Pi's pages: each reads the state, makes values of it, and renders one template."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from flask import Flask, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from inference import agents
from inference.bundles.store import ActiveRow
from inference.keeping import reading as read
from inference.said import mutes, switches
from inference.web import change_words, incident_page, model_words, notify_words, overview, overview_words
from inference.web.incident_words import ListedIncident, listed
from inference.web.pages_models import comparisons
from inference.web.room import Health, Room, this_room
from shared import layout
from shared.clean import clean
from shared.web import words
from shared.web.bundle_words import BundleWords

LIVE_S = 15
OPEN_SHOWN = 5
LIST_FILLED = 3  # with fewer open ones the list goes on with those that ended last
PAGE_ROWS = 50
VERSIONS_SHOWN = 12
STATES = ("open", "ended")
MARKED = ("false", "confirmed", "none")


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/", "overview", overview_page)
    app.add_url_rule("/incidents", "incidents", incidents_page)
    app.add_url_rule("/incidents/<int:incident_id>", "incident", incident)
    app.add_url_rule("/models", "models", models_page)
    app.add_url_rule("/models/<agent>/<version>/activate", "activate", activate_page, methods=["GET", "POST"])


def overview_page() -> ResponseReturnValue:
    """Is it well, and what is new?"""
    room = this_room()
    now, status = room.now(), room.status()
    health = room.health(status)
    span = request.args.get("span", "24h")
    if span not in overview.SLOTS:
        abort(404)
    if not room.has_state:
        return _render_overview(room, status, health, span, now, {})
    db = room.db()
    recent = read.incidents(db, since=now - overview.SLOTS[span][0] - overview.CELL_S, limit=1000)
    links = _listed(room, recent, now)
    open_rows = [link for link in links if link.state == "open"]
    day = overview.day(db, _any_words(room), now)
    strips, totals = day.strips, day.totals
    loud = [strip for strip in strips if strip.is_loud]
    ended = sum(1 for row in recent if row.state == "ended" and row.ended > now - words.DAY_S)
    newest = max((row.started for row in recent if row.state == "open"), default=None)
    return _render_overview(
        room,
        status,
        health,
        span,
        now,
        {
            "headline": overview_words.headline(health, status, len(open_rows), newest, ended, now, _paused(room)),
            "lead": overview_words.lead(health, status, totals, len(strips) - len(loud), now),
            "open_rows": open_rows[:OPEN_SHOWN],
            "recent_rows": links[:OPEN_SHOWN],
            "open_count": len(open_rows),
            "earlier_rows": [link for link in links if link.state == "ended"][: max(0, LIST_FILLED - len(open_rows))],
            "has_windows": bool(strips) and health != "no-model",
            "strips": (loud or strips)[: overview.LOUD_HOSTS],
            "quiet_strips": [strip for strip in strips if strip not in (loud or strips)[: overview.LOUD_HOSTS]],
            "loud_more": max(0, len(loud) - overview.LOUD_HOSTS),
            "timeline": Markup(overview.timeline(db, span, _any_words(room), recent, links, now)),  # noqa: S704  made here
            "as_of": _as_of(health, status),
            "is_calm": not loud,
            "refused": sum(1 for row in room.store().bundles() if row.state in ("refused", "bad")),
        },
    )


def _render_overview(
    room: Room, status: read.Status, health: Health, span: str, now: float, more: dict[str, object]
) -> str:
    empty = read.Totals(0, 0, 0, 0)
    actives = room.store().actives() if room.has_state else []
    plain = {
        "headline": overview_words.headline(health, status, 0, None, 0, now),
        "lead": overview_words.lead(health, status, empty, 0, now),
    }
    trials = {row.agent for row in actives if room.is_on_probation(row)}
    told = notify_words.channel_fact(room, url_for("notifications"))
    paused = _paused(room) if room.has_state else []
    facts = [*overview_words.facts(health, status, actives, trials, now, paused), told]
    return render_template(
        "overview.html",
        at="Overview",
        live=LIVE_S,
        health=health,
        status=status,
        span=span,
        facts=facts,
        paused=paused,
        failing=_failing(room, actives) if room.has_state else {},
        **{**plain, **more},
    )


def _paused(room: Room) -> list[str]:
    """The agents that have a model and judge nothing, because somebody paused them."""
    wanted = switches.switches(room.db())
    return [row.agent for row in room.store().actives() if row.agent in wanted and wanted[row.agent].paused]


def _failing(room: Room, actives: Sequence[ActiveRow]) -> dict[str, str]:
    """The agents whose judging failed last, and why."""
    told = agents.told_agents(room.db())
    found = {row.agent: str(told.get(row.agent, {}).get("error") or "") for row in actives}
    return {agent: why for agent, why in found.items() if why}


def _as_of(health: Health, status: read.Status) -> str | None:
    """The time of what the cards show, where that is not now."""
    if health in ("dead", "stopped"):
        return words.clock(status.updated)
    return words.clock(status.last_run) if health == "no-database" and status.last_run else None


def incidents_page() -> ResponseReturnValue:
    """All incidents, by day, with filters that can be bookmarked."""
    room = this_room()
    if not room.has_state:
        return redirect(url_for("overview"), 303)
    chosen = {
        name: request.args.get(name, "")[:200] for name in ("state", "severity", "type", "host", "since", "marked")
    }
    since = _since(chosen["since"])
    known = chosen["state"] in ("", *STATES) and chosen["marked"] in ("", *MARKED)
    if not known or chosen["severity"] not in ("", *words.SEVERITIES) or since is None:
        abort(400, "The filter has a value that does not exist.")
    db, now = room.db(), room.now()
    page = max(1, request.args.get("page", 1, type=int))
    filters = {name: chosen[name] or None for name in ("state", "severity", "type", "host", "marked")}
    found = read.incidents(db, since=since, now=now, limit=PAGE_ROWS + 1, offset=(page - 1) * PAGE_ROWS, **filters)  # type: ignore[arg-type]
    rows = _listed(room, found[:PAGE_ROWS], now)
    days = [(_day_words(day, now), list(group)) for day, group in groupby(rows, key=lambda row: row.day)]
    counts = {
        state: read.count_incidents(db, since=since, now=now, **{**filters, "state": state or None})  # type: ignore[arg-type]
        for state in ("", *STATES)
    }
    return render_template(
        "incidents.html",
        at="Incidents",
        live=LIVE_S if page == 1 else None,
        days=days,
        chosen=chosen,
        counts=counts,
        everything=read.count_incidents(db),
        shown=len(rows),
        page=page,
        more=len(found) > PAGE_ROWS,
        kinds={**{kind: kind for kind in filter(None, [chosen["type"]])}, **_kinds(room)},
        hosts=sorted({*(h.host for h in read.hosts(db, since=now)), *filter(None, [chosen["host"]])}),
        filtered=any(chosen[name] for name in ("severity", "type", "host", "since", "marked")),
        muted=[(one, _kind(room, one.agent, one.type), words.moment(one.until, now)) for one in mutes.mutes(db, now)],
    )


def incident(incident_id: int) -> ResponseReturnValue:
    """One incident with its evidence."""
    room = this_room()
    detail = read.incident(room.db(), incident_id, room.now()) if room.has_state and incident_id < 2**63 else None
    if detail is None:
        abort(404)
    version = detail.verdicts[-1].model_version if detail.verdicts else None
    known = room.words(detail.incident.agent, version)
    view = incident_page.view(
        room.db(), detail, known, room.now(), lambda other: url_for("incident", incident_id=other)
    )
    return render_template("incident.html", at="Incidents", view=view, known=known, version=version)


def models_page() -> ResponseReturnValue:
    """What serves, what served, what was refused and why."""
    room = this_room()
    store = room.store() if room.has_state else None
    view = model_words.view(store, room.words, room.now()) if store else model_words.NOTHING
    beside = comparisons(room) if store else []
    return render_template("models.html", at="Models", live=LIVE_S, view=view, beside=beside, shown=VERSIONS_SHOWN)


def activate_page(agent: str, version: str) -> ResponseReturnValue:
    """Ask before anything changes; then note the wish, which the daemon takes up."""
    room = this_room()
    if not (room.has_state and layout.is_agent(agent) and layout.is_version(version)):
        abort(404)
    change = change_words.change(room.store(), room.words, agent, version, room.now())
    if change is None:
        abort(404)
    if change.refused:
        abort(409, change.refused)
    if request.method == "GET":
        return render_template("confirm.html", at="Models", change=change)
    why = clean(request.form.get("why", ""), 200)
    room.wish(agent, change.action, version, f"admin page{': ' + why if why else ''}")
    session["notice"] = f"Asked for {agent} {version}. The daemon takes it up between two cycles; reload to see it."
    return redirect(url_for("models"), 303)


def _listed(room: Room, rows: list[read.IncidentRow], now: float) -> list[ListedIncident]:
    known = {agent: room.words(agent) for agent in {row.agent for row in rows}}
    return [listed(row, known[row.agent], now, url_for("incident", incident_id=row.id)) for row in rows]


def _any_words(room: Room) -> BundleWords:
    """The words of the agent whose alert line the charts of all hosts are drawn with: the first that serves."""
    actives = room.store().actives()
    return room.words(actives[0].agent, actives[0].version) if actives else BundleWords()


def _kinds(room: Room) -> dict[str, str]:
    """The kinds that incidents here have, with their titles, for the filter."""
    rows = room.db().execute("SELECT DISTINCT agent, type FROM incidents ORDER BY type LIMIT 100").fetchall()
    return {row["type"]: room.words(row["agent"]).kind(row["type"]) for row in rows}


def _kind(room: Room, agent: str, type_: str) -> str:
    return room.words(agent).kind(type_)


def _since(text: str) -> float | None:
    """The start of a day given as 2026-03-12; 0 for no filter, None for nonsense."""
    if not text:
        return 0.0
    return words.version_time(text.replace("-", "") + "_000000") if len(text) == 10 else None


def _day_words(day: str, now: float) -> str:
    at = _since(day) or 0.0
    if day == words.date_of(now):
        return f"Today, {words.day(at)}"
    return words.day(at) if now - at < 180 * words.DAY_S else f"{words.day(at)} {day[:4]}"
