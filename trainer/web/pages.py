"""The trainer's pages: models, one model, its report, the fleet."""

from __future__ import annotations

from flask import Flask, Response, abort, render_template, url_for
from flask.typing import ResponseReturnValue

from shared.web.bundle_words import words_of
from shared.web.headers import REPORT_POLICY
from trainer.web import fleet_words, model_words
from trainer.web.room import Room, this_room

LIVE_S = 15
TRANSFERS_SHOWN = 20


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/", "models", models)
    app.add_url_rule("/models/<agent>/<version>", "model", model)
    app.add_url_rule("/models/<agent>/<version>/report", "report", report)
    app.add_url_rule("/fleet", "fleet", fleet)


def models() -> ResponseReturnValue:
    """All models on this machine, newest first."""
    room = this_room()
    listed, serving, now = room.models(), room.serving(), room.now()
    groups = [
        (agent, words_of(room.models_dir, agent, rows[0].version).title, rows)
        for agent, rows in model_words.by_agent(listed, serving, now)
    ]
    return render_template(
        "models.html", at="Models", live=LIVE_S, groups=groups, count=len(listed),
        size_bytes=sum(entry.size_bytes for entry in listed),
        headline=model_words.headline(listed, serving, len(room.targets())),
    )  # fmt: skip


def model(agent: str, version: str) -> ResponseReturnValue:
    """One model: what it learnt from, what it takes for normal, where it runs."""
    room = this_room()
    entry = room.model(version, agent)
    if entry is None:
        abort(404)
    known, now = words_of(room.models_dir, agent, version), room.now()
    on = sorted(name for (name, which), runs in room.serving().items() if (which, runs) == (agent, version))
    sent = [row for row in room.transfers(agent, 1000) if row.version == version]
    return render_template(
        "model.html", at="Models", entry=entry, known=known, headline=model_words.sentence_of(entry),
        lead=model_words.lead_of(entry, on), facts=model_words.facts(entry, now), ranges=model_words.ranges(known),
        metrics=model_words.metrics(entry.metadata), exports=model_words.exports(entry.metadata),
        made_of=model_words.made_of(entry), sent=model_words.transfers(sent[:TRANSFERS_SHOWN], now),
        warnings=[str(one) for one in entry.metadata.get("warnings", ()) or ()], shown=model_words.FEATURES_SHOWN,
        has_report=room.report(entry) is not None, api=url_for("api_model", reference=entry.model_id),
    )  # fmt: skip


def report(agent: str, version: str) -> ResponseReturnValue:
    """The training report as it lies in the bundle: self-contained, so with a policy of its own."""
    room = this_room()
    entry = room.model(version, agent)
    text = room.report(entry) if entry is not None else None
    if text is None:
        abort(404)
    return Response(text, mimetype="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def fleet() -> ResponseReturnValue:
    """The known Pis, what they were last heard to run, and what became of the last transfer."""
    room = this_room()
    table = fleet_words.rows(room.targets(), room.latest(), room.serving(), room.now())
    sent = model_words.transfers(room.transfers(limit=TRANSFERS_SHOWN), room.now())
    return render_template(
        "fleet.html",
        at="Fleet",
        live=LIVE_S,
        table=table,
        sent=sent,
        headline=fleet_words.headline(table, _newest(room)),
    )


def _newest(room: Room) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in room.models():
        found.setdefault(entry.agent, entry.version)
    return found
