"""The overview's first sentence and its facts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from inference.bundles.store import ActiveRow
from inference.keeping import reading as read
from inference.web.room import Health
from shared.web import words
from shared.web.fact import Fact

LAGGING_S = 300.0


def headline(
    health: Health,
    status: read.Status,
    open_count: int,
    newest: float | None,
    ended: int,
    now: float,
    paused: Sequence[str] = (),
) -> str:
    """The first line: the worst thing that is true. `paused`: agents that serve, and judge nothing just now."""
    if health == "never":
        return "The daemon has not run on this machine yet."
    if health == "stopped":
        return f"The daemon was stopped {words.ago(status.updated, now)}."
    if health == "dead":
        return f"The daemon has not been heard for {words.at_length(now - status.updated)}."
    if health == "no-database":
        since = f" for {words.at_length(now - status.last_run)}" if status.last_run else " yet"
        return f"The log database has not answered{since}."
    if health == "no-model":
        return "Pipit is running, but it has no model yet."
    if paused:
        whose = "is paused: its" if len(paused) == 1 else "are paused: their"
        more = f" {words.sentence(words.counted(open_count, 'incident'))} open." if open_count else ""
        return f"{words.joined(paused)} {whose} lines are not judged.{more}"
    if open_count and newest is not None:
        are = "is" if open_count == 1 else "are"
        began = "It" if open_count == 1 else "The newest"
        count = words.sentence(words.counted(open_count, "incident"))
        return f"{count} {are} open. {began} began {words.ago(newest, now)}."
    if ended:
        return f"No incident is open. {words.sentence(words.counted(ended, 'incident'))} ended in the last 24 hours."
    return "All is well. Nothing unusual in the last 24 hours."


def lead(health: Health, status: read.Status, totals: read.Totals, quiet: int, now: float) -> str:
    """What the first line means."""
    if health == "never":
        return "Three steps, and this page fills by itself."
    if health in ("stopped", "dead"):
        return f"What you see below is the state of {words.moment(status.updated, now)}. Nothing is scored meanwhile."
    if health == "no-database":
        state = f"the state of {words.moment(status.last_run, now)}" if status.last_run else "older"
        return f"What you see below is {state}. Pipit keeps trying and will catch up by itself."
    if health == "no-model":
        return "It reads the log and waits. Nothing is scored until a model arrives; no row is lost meanwhile."
    looked = f"Pipit looked at {words.counted(totals.windows, 'window')} of {words.counted(totals.hosts, 'host')} today"
    if totals.anomalies and totals.hosts:
        return f"{looked}; {quiet} of {words.counted(totals.hosts, 'host')} were normal all the time."
    return f"{looked}, and all of them look like the days it learnt from."


def facts(
    health: Health,
    status: read.Status,
    actives: Sequence[ActiveRow],
    trials: Collection[str],
    now: float,
    paused: Collection[str] = (),
) -> list[Fact]:
    """Daemon, log database, model, last cycle; `trials` are the agents whose model is on probation."""
    return [
        _daemon(health, status, now),
        _database(health, status, now),
        _model(actives, trials, paused, now),
        _cycle(health, status, now),
    ]


def _daemon(health: Health, status: read.Status, now: float) -> Fact:
    if health == "never":
        return Fact("Daemon", "Never ran", "no state file yet", "high")
    heard = f"last heard {words.ago(status.updated, now)}"
    if health in ("stopped", "dead"):
        return Fact("Daemon", "Stopped" if health == "stopped" else "No sign of life", heard, "high")
    return Fact("Daemon", "Running", f"since {words.moment(status.started, now)}" if status.started else heard, "ok")


def _database(health: Health, status: read.Status, now: float) -> Fact:
    if health == "no-database":
        return Fact(
            "Log database",
            "No answer",
            f"last read {words.ago(status.last_run, now)}" if status.last_run else "",
            "high",
        )
    if status.lag_s is not None and health in ("dead", "stopped"):
        newest = words.clock(status.updated - status.lag_s, seconds=True)
        return Fact("Log database", "Not read", f"newest row then {newest}", "off")
    if status.lag_s is None:
        return Fact("Log database", "No rows yet", status.source or "not connected", "mid" if status.updated else "off")
    late = status.lag_s > LAGGING_S
    newest = words.clock(status.updated - status.lag_s, seconds=True)
    return Fact("Log database", f"{words.lasted(status.lag_s)} behind", f"newest row {newest}", "mid" if late else "ok")


def _model(actives: Sequence[ActiveRow], trials: Collection[str], paused: Collection[str], now: float) -> Fact:
    if not actives:
        return Fact("Model", "None", "waiting for the first", "mid")
    newest = actives[0]
    made = words.version_time(newest.version)
    note = words.age(now - made) if made else f"since {words.moment(newest.since, now)}"
    state = "paused" if newest.agent in paused else "on probation" if newest.agent in trials else "good"
    more = f"; {words.figure(len(actives) - 1, 'agent')} more" if len(actives) > 1 else ""
    return Fact(
        "Model", f"{newest.agent} {newest.version}", f"{note} · {state}{more}", "mid" if trials or paused else "ok"
    )


def _cycle(health: Health, status: read.Status, now: float) -> Fact:
    if status.last_run is None:
        return Fact("Last cycle", "None yet", "", "mid" if status.updated else "off")
    rows, windows = int(status.cycle.get("rows", 0)), int(status.cycle.get("windows", 0))
    took = float(status.cycle.get("seconds", 0.0)) * 1000
    note = f"{words.figure(rows, 'row')}, {words.figure(windows, 'window')}, {took:.0f} ms"
    if health == "failing":
        return Fact("Last cycle", words.clock(status.last_run, seconds=True), "failed since; see below", "high")
    at = (
        words.clock(status.last_run, seconds=True)
        if now - status.last_run < words.DAY_S
        else words.moment(status.last_run, now)
    )
    return Fact("Last cycle", at, note, "ok" if health == "well" else "mid")
