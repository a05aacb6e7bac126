"""The trainer's pages of models: all, one, its report, two side by side, cleaning up."""

from __future__ import annotations

from flask import Flask, Response, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.web import words
from shared.web.bundle_words import words_of
from shared.web.headers import REPORT_POLICY
from trainer import catalogue, registry
from trainer.jobs import OPEN
from trainer.registry import ModelEntry
from trainer.tasks.orders import LANES, EvaluateOrder
from trainer.web import gate_words, job_words, model_facts, model_words, transfer_words
from trainer.web.comparison import compared
from trainer.web.room import this_room

LIVE_S = 15
VERSIONS_SHOWN = 12
TRANSFERS_SHOWN = 20
KEEP = 5
BY = "admin"


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/", "models", models)
    app.add_url_rule("/models/<agent>/<version>", "model", model)
    app.add_url_rule("/models/<agent>/<version>/report", "report", report)
    app.add_url_rule("/models/<agent>/<version>/note", "model_note", model_note, methods=["POST"])
    app.add_url_rule("/models/<agent>/<version>/evaluate", "model_evaluate", model_evaluate, methods=["POST"])
    app.add_url_rule("/compare", "compare", compare)
    app.add_url_rule("/clean-up", "clean_up", clean_up, methods=["GET", "POST"])


def models() -> ResponseReturnValue:
    """All models on this machine, newest first."""
    room = this_room()
    listed, serving, now, kept = room.models(), room.serving(), room.now(), room.kept()
    groups = [
        (agent, words_of(room.models_dir, agent, rows[0].version).title, rows)
        for agent, rows in model_words.by_agent(listed, serving, now, kept)
    ]
    jobs = room.jobs.listed(kinds=LANES["work"], states=OPEN, limit=20)
    return render_template(
        "models.html", at="Models", live=LIVE_S, groups=groups, count=len(listed), shown=VERSIONS_SHOWN,
        size_bytes=sum(entry.size_bytes for entry in listed),
        headline=model_words.headline(listed, serving, len(room.targets()), room.gate(listed[0]) if listed else {}),
        running=[(job, job_words.headline(job, room.jobs.position(job), now)) for job in reversed(jobs)],
    )  # fmt: skip


def model(agent: str, version: str) -> ResponseReturnValue:
    """One model: what it learnt from, what it takes for normal, where it runs."""
    room, entry = this_room(), _found(agent, version)
    known, now = words_of(room.models_dir, agent, version), room.now()
    on = sorted(name for (name, which), runs in room.serving().items() if (which, runs) == (agent, version))
    sent = [row for row in room.transfers(agent, 1000) if row.version == version]
    kept = catalogue.kept_of(room.models_dir, agent, version)
    return render_template(
        "model.html", at="Models", entry=entry, known=known, headline=model_words.sentence_of(entry),
        lead=model_words.lead_of(entry, on), facts=model_facts.facts(entry, now), ranges=model_facts.ranges(known),
        metrics=model_facts.metrics(entry.metadata), exports=model_facts.exports(entry.metadata),
        made_of=model_facts.made_of(entry), sent=transfer_words.transfers(sent[:TRANSFERS_SHOWN], now),
        warnings=[str(one) for one in entry.metadata.get("warnings", ()) or ()], shown=model_facts.FEATURES_SHOWN,
        has_report=room.report(entry) is not None, api=url_for("api_model", reference=entry.model_id),
        gate=room.gate(entry), checks=gate_words.checks(room.gate(entry)), notes=kept["notes"],
        evaluations=list(reversed(kept["evaluations"])), files=room.exports(),
    )  # fmt: skip


def report(agent: str, version: str) -> ResponseReturnValue:
    """The training report as it lies in the bundle: self-contained, so with a policy of its own."""
    text = this_room().report(_found(agent, version))
    if text is None:
        abort(404)
    return Response(text, mimetype="text/html", headers={"Content-Security-Policy": REPORT_POLICY})


def model_note(agent: str, version: str) -> ResponseReturnValue:
    """Write something down about a version."""
    room, entry = this_room(), _found(agent, version)
    text = request.form.get("text", "").strip()
    if text:
        catalogue.add_note(room.models_dir, room.state_dir, entry.agent, entry.version, text, room.now(), BY)
        session["notice"] = "The note is kept with the model, outside of its bundle."
    return redirect(url_for("model", agent=agent, version=version), 303)


def model_evaluate(agent: str, version: str) -> ResponseReturnValue:
    """Score a version against an export."""
    room, entry = this_room(), _found(agent, version)
    name = request.form.get("export", "")
    if entry.fault or name not in {one.name for one in room.exports()}:
        abort(404)
    job = room.submit(EvaluateOrder(agent, version, name), BY)
    return redirect(url_for("job", number=job.number), 303)


def compare() -> ResponseReturnValue:
    """Two versions side by side."""
    room = this_room()
    chosen = [entry for reference in request.args.getlist("v")[:2] if (entry := room.model(reference)) is not None]
    listed = [entry for entry in room.models() if not entry.fault]
    if len(chosen) < 2:
        chosen = (chosen + [entry for entry in listed if entry not in chosen])[:2]
    pairs = compared(*chosen) if len(chosen) == 2 else []
    return render_template(
        "compare.html", at="Models", chosen=chosen, pairs=gate_words.pairs(pairs), models=listed,
        headline=gate_words.comparison(chosen, pairs),
    )  # fmt: skip


def clean_up() -> ResponseReturnValue:
    """What would go, asked for once more; then it goes. What is active, here or on a Pi, stays."""
    room = this_room()
    text = request.values.get("keep", "")
    keep = min(10_000, max(1, int(text))) if text.isascii() and text.isdigit() and len(text) < 6 else KEEP
    if request.method == "POST":
        gone = registry.prune(room.models_dir, keep, held=room.held())
        catalogue.refresh_or_warn(room.models_dir, room.state_dir, room.now())
        session["notice"] = f"{words.sentence(words.counted(len(gone), 'model'))} removed."
        return redirect(url_for("models"), 303)
    ids = set(registry.prunable(room.models_dir, keep, held=room.held()))
    rows = [entry for entry in room.models() if entry.model_id in ids]
    return render_template(
        "clean_up.html", at="Models", rows=rows, keep=keep, size_bytes=sum(e.size_bytes for e in rows)
    )


def _found(agent: str, version: str) -> ModelEntry:
    entry = this_room().model(version, agent)
    if entry is None:
        abort(404)
    return entry
