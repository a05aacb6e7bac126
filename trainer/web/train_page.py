"""The page that trains: choose or upload an export, see what is in it, choose settings, start."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml
from flask import Flask, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from shared.errors import ConfigError, ExportError, StoreError
from shared.web import words
from shared.web.fact import Fact
from trainer import exports
from trainer.exports import ExportFile, UploadTooLargeError
from trainer.jobs import OPEN, Job
from trainer.labels import parse_labels
from trainer.shipping.marks import kept
from trainer.tasks.orders import LANES, CheckOrder, TrainOrder, TuneOrder
from trainer.web import job_pages, job_words
from trainer.web.api_exports import user_of
from trainer.web.api_training import check_settings, moment
from trainer.web.room import Room, this_room
from trainer.web.train_form import LISTS, OFFERED, TIMES, Typed

LIVE_S = 2
BY = "admin"
SHAPES = 8
LABELS_BYTES = 2_000_000
HERE = (*LANES["work"], *LANES["fetch"])  # kinds of job that begin on this page


def add_pages(app: Flask) -> None:
    """Attach the routes."""
    app.add_url_rule("/train", "train", train, methods=["GET", "POST"])
    app.add_url_rule("/exports/<name>/delete", "export_delete", export_delete, methods=["POST"])


def train() -> ResponseReturnValue:
    """The form; a POST uploads, looks into an export, or starts, by the button that was pressed."""
    if request.method == "GET":
        return _page(Typed(request.args.to_dict()), request.args.get("export"))
    typed = Typed(request.form.to_dict())
    chosen = _uploaded(typed) or typed.values.get("export")
    do = typed.values.get("do", "check")
    if typed.errors:
        return _page(typed, chosen), 400
    if do == "start":
        return _start(typed, chosen)
    if do == "yaml":
        return _page(typed, chosen, as_yaml=True)
    if chosen:
        _look(chosen, typed.values.get("agent", "wifi"), typed)
    kept: dict[str, Any] = {
        k: v for k, v in typed.values.items() if v and (k in OFFERED or k in TIMES or k in ("agent", "search", "marks"))
    }
    return _page(typed, chosen) if typed.errors else redirect(url_for("train", export=chosen, **kept), 303)


def export_delete(name: str) -> ResponseReturnValue:
    """Take an export away; not while a job needs it."""
    room = this_room()
    needed = user_of(name)
    if needed is not None:
        session["notice"] = f"{name} stays: job {needed} needs it."
    else:
        try:
            exports.delete(room.settings.exports_dir, name, room.state_dir)
            session["notice"] = f"{name} is deleted. Models that learnt from it stay."
        except ExportError as error:
            session["notice"] = f"{error}."
    return redirect(url_for("train"), 303)


def _uploaded(typed: Typed) -> str | None:
    """The name of the file that came with the form, taken in; None where none came."""
    file, settings = request.files.get("upload"), this_room().settings
    if file is None or not file.filename:
        return None
    try:
        return exports.take_in(
            settings.exports_dir, file.filename, file.stream.read, settings.max_upload * 1_000_000
        ).name
    except (ExportError, StoreError, UploadTooLargeError) as error:
        typed.errors["upload"] = str(error)
        return None


def _look(name: str, agent: str, typed: Typed) -> None:
    room = this_room()
    try:
        one = exports.find_export(room.settings.exports_dir, name)
        check_settings(room, agent, {})
        if exports.read_check(room.state_dir, one, agent) is None:
            room.submit(CheckOrder(one.name, agent), BY)
    except (ExportError, ConfigError, StoreError) as error:
        typed.errors["export"] = str(error)


def _start(typed: Typed, chosen: str | None) -> ResponseReturnValue:
    room = this_room()
    order = _order(typed, chosen, room)
    if order is None or typed.errors:
        return _page(typed, chosen), 400
    try:
        job = room.submit(order, BY)
    except StoreError as error:
        typed.errors[""] = str(error)
        return _page(typed, chosen), 503
    return redirect(url_for("job", number=job.number), 303)


def _order(typed: Typed, chosen: str | None, room: Room) -> TrainOrder | None:
    """What is to be done; None, and the faults beside their fields, where it cannot be."""
    agent, values = typed.values.get("agent", "wifi"), typed.values
    try:
        one = exports.find_export(room.settings.exports_dir, chosen or "")
    except ExportError as error:
        typed.errors["export"] = str(error) if chosen else "Choose an export, or upload one."
        return None
    overrides, times, labels = typed.overrides(), {}, _labels(typed)
    for part in (overrides, {key: value for key, value in overrides.items() if key in LISTS}):
        try:  # lists of names are looked at once more: among other faults they are not got to
            check_settings(room, agent, part)
        except ConfigError as error:
            typed.blame(error)
    for name in TIMES:
        try:
            times[name] = moment(name, values.get(name))
        except ConfigError as error:
            typed.errors[name] = str(error).removeprefix(f"{name} ")
    if typed.errors:
        return None
    same: dict[str, Any] = {"exports": (one.name,), "agent": agent, "overrides": overrides, "labels": labels}
    same["marks"] = values.get("marks") == "yes" and bool(room.targets())
    same |= {"start": times["start_date"], "end": times["end_date"]}
    trials = {"quick": 8, "thorough": 60}.get(values.get("search", ""))
    return TuneOrder(**same, trials=trials) if trials else TrainOrder(**same)


def _labels(typed: Typed) -> tuple[Mapping[str, Any], ...]:
    file = request.files.get("labels")
    if file is None or not file.filename:
        return ()
    try:
        listed = json.loads(file.stream.read(LABELS_BYTES))
        parse_labels(listed, "the file")
        return tuple(listed)
    except (ValueError, RecursionError) as error:
        typed.errors["labels"] = f"This is no JSON: {error}"
    except ExportError as error:
        typed.errors["labels"] = str(error)
    return ()


def _page(typed: Typed, chosen: str | None, as_yaml: bool = False) -> str:
    room = this_room()
    listed, now = room.exports(), room.now()
    agent = typed.values.get("agent") or "wifi"
    if chosen is None and listed:
        fit = [one for one in listed if not one.name.endswith(".json")]  # beside CSV, .json is often a list of episodes
        chosen = (fit or listed)[0].name
    one = next((export for export in listed if export.name == chosen), None)
    report = exports.read_check(room.state_dir, one, agent) if one else None
    running = room.jobs.listed(kinds=HERE, states=OPEN, limit=50)
    looking = _looks_into(room, chosen, agent)
    return render_template(
        "train.html", at="Train", live=LIVE_S if looking else None, exports=[_export_row(each, agent, now) for each in listed],
        chosen=chosen, report=report, facts=_facts(report, now) if report else [], shapes=_shapes(report), looking=looking,
        look_failed=_failed_look(room, one, agent) if one and not report and not looking else None,
        agent=agent, agents=sorted(room.agents()), typed=typed, errors=typed.errors, fields=typed.fields(),
        running=[(job, job_words.headline(job, room.jobs.position(job), now)) for job in reversed(running)],
        earlier=job_pages.rows(6, HERE), max_upload=room.settings.max_upload * 1_000_000, times=TIMES,
        limit_s=room.settings.max_training_time, limit_bytes=room.settings.max_memory_usage * 1_000_000,
        as_yaml=_yaml(typed) if as_yaml else "", marks=_marks_known(room, agent), expected=_expected(room, chosen, now),
    )  # fmt: skip


def _export_row(one: ExportFile, agent: str, now: float) -> tuple[ExportFile, str]:
    report = exports.read_check(this_room().state_dir, one, agent)
    known = f"{words.figure(report['valid_rows'], 'row')}, {_span(report)}, " if report else ""
    return one, f"{known}{words.size(one.size_bytes)}, {words.moment(one.changed, now)}"


def _looks_into(room: Room, chosen: str | None, agent: str) -> Job | None:
    for job in room.jobs.listed(kinds=LANES["look"], states=OPEN, limit=50):
        if job.agent == agent and chosen in job.exports:
            return job
    return None


def _failed_look(room: Room, one: ExportFile, agent: str) -> Job | None:
    """The last look into this export, where it could not be finished."""
    jobs = room.jobs.listed(kinds=LANES["look"], limit=20)
    last = next((job for job in jobs if job.agent == agent and job.subject == one.name), None)
    return last if last is not None and last.error and last.created > one.changed else None


def _expected(room: Room, chosen: str | None, now: float) -> str:
    """How long it took last time with this export."""
    done = room.jobs.listed(kinds=LANES["work"], states=["completed"], limit=50)
    last = next((job for job in done if chosen in job.exports), None)
    if last is None:
        return ""
    return (
        f"Last time it took {words.at_length(job_words.took(last, now))} and {words.size(last.memory_bytes)} of memory."
    )


def _marks_known(room: Room, agent: str) -> str:
    """What is known of the Pis' marks; empty where no Pi is."""
    if not room.targets():
        return ""
    heard = [kept(room.state_dir, name) for name in room.targets()]
    times = [each.at for each in heard if each.at is not None]
    count = sum(len(each.of(agent)) for each in heard)
    said = (
        f"{words.figure(count, 'mark')} known, heard {words.moment(max(times), room.now())}"
        if times
        else "not asked yet"
    )
    return f"false alarms are learnt from, confirmed ones are not; every Pi is asked first ({said})"


def _facts(report: Mapping[str, Any], now: float) -> list[Fact]:
    bad = report["bad_rows"]
    span = ""
    if report["start"] and report["end"]:
        span = f"{report['start'][:16].replace('T', ' ')} to {report['end'][:16].replace('T', ' ')}"
    return [
        Fact("Rows", f"{report['valid_rows']:,} good", f"{bad:,} bad, left out" if bad else "none bad"),
        Fact("Time", _span(report), span),
        Fact(
            "Hosts",
            f"{report['host_count']:,}",
            f"{words.percent(report['agent_share'])} of the rows are {report['agent']}'s",
        ),
        Fact("Known lines", words.plain_share(1 - report["unknown_share"]), "of the agent's rows fit a pattern"),
    ]


def _span(report: Mapping[str, Any]) -> str:
    """How long a time it covers: "7 days", "13 min"."""
    return (
        words.figure(round(report["days"]), "day")
        if report["days"] >= 2
        else words.lasted(report["days"] * words.DAY_S)
    )


def _shapes(report: Mapping[str, Any] | None) -> list[tuple[str, int]]:
    return list((report or {}).get("unknown_shapes", {}).items())[:SHAPES]


def _yaml(typed: Typed) -> str:
    nested: dict[str, dict[str, Any]] = {}
    for key, value in typed.overrides().items():
        section, _, name = key.partition(".")
        nested.setdefault(section, {})[name] = yaml.safe_load(value) if isinstance(value, str) else value
    return yaml.safe_dump(nested, sort_keys=False) if nested else "# every setting has its default\n"
