"""What a Pi knows besides its windows: performance, drift, a challenger, validations, marks, mutes, agent files."""

from __future__ import annotations

import json
import random
import sqlite3
from dataclasses import replace
from pathlib import Path

from inference import agents, state
from inference.cycle import CycleReport, Judged
from inference.said import marks, mutes, switches
from inference.telling import channels, outbox
from inference.watching import drifting, performance, validator
from inference.watching.drifting import DriftReport, FeatureDrift
from inference.watching.performance import Performance
from inference.watching.validator import Check, Validation
from tests import web_data

NAMES = ("psk_attempts", "lines", "joins", "devices", "kicks", "unfinished_joins", "rejoins", "most_joins", "unknown_lines",
         "beacon_losses", "wrong_keys", "timeouts")  # fmt: skip


def fill_more(state_dir: Path, now: float = web_data.NOW, seed: int = 3) -> None:
    """Add it all to a state folder that `web_data.fill` made."""
    db = state.connect(state_dir / "state.db")
    chance = random.Random(seed)
    _performance(Performance(db), chance, now)
    drifting.save(db, a_drift(now))
    for days in range(6):
        drifting.save(db, replace(a_drift(now - 86400.0 * (6 - days))))
    drifting.save(db, a_drift(now))
    validator.save(db, a_validation(now))
    _challenger(db, now)
    marks.mark(db, 1, marks.FALSE, by="admin page", now=now - 3000, note="a planned restart")
    marks.mark(db, 5, marks.CONFIRMED, by="admin page", now=now - 2000)
    mutes.mute(
        db, "wifi", "sta_flapping", "sensor-hvac", by="admin page", now=now - 1000, seconds=7 * 86400.0, note="roof"
    )
    _messages(db, now)
    told = {
        agents.AGENTS_KEY: {"wifi": {"version": web_data.ACTIVE, "paused": False, "error": "", "last_run": now - 28.0,
                                     "windows": 9, "anomalies": 0, "cpu_s": 0.0021}},
        agents.FILES_KEY: [{"path": "/etc/pipit/agents/dhcp.yaml", "agent": "dhcp",
                            "error": "features[3].formula: “lease” is not an event of this file"}],
    }  # fmt: skip
    state.State(db).set_status(told, now - 5)
    db.close()


NOTIFY_URLS = (
    "mailto://pi:secret@mail.riverside.lan?to=it@riverside.lan ntfy://a-secret-topic jsons://hook.riverside.lan/door"
)


def _messages(db: sqlite3.Connection, now: float) -> None:
    """Some that were sent, one that waits, one that was given up; one channel that fails, one never tried."""
    mail, chat, _ = channels.channels(NOTIFY_URLS)
    for n, (kind, severity, title) in enumerate((
        ("incident", "critical", "critical: psk bruteforce on ap1"),
        ("model", "warning", f"model wifi {web_data.REFUSED} was refused"),
        ("incident", "info", "info: sta flapping on sensor-hvac"),
        ("raised", "critical", "critical: mac spoofing on ap1 (now more severe)"),
        ("source", "warning", "no answer from the log database for 61 minutes"),
    )):  # fmt: skip
        outbox.put(
            db,
            kind,
            f"example/{n}",
            severity,
            title,
            "What happened, in a sentence.\nsince then, 3 windows",
            now - 7e4 + n,
        )
    sent, lost, held, *_ = sorted(outbox.newest(db), key=lambda one: one.id)
    outbox.note_sent(db, sent, now - 60_000)
    outbox.note_failed(db, lost, "not taken by ntfy", now + 90_000)
    outbox.postpone(db, held, now + 7200)
    outbox.note_failed(db, outbox.newest(db, 1)[0], "not taken by ntfy", now - 30)
    channels.note(db, mail, "", now - 60_000)
    channels.note(db, chat, "", now - 60_000)
    channels.note(db, chat, "Failed to send ntfy notification: error=503.", now - 30)


def fill_performance(db: sqlite3.Connection, now: float) -> None:
    """A week of figures."""
    _performance(Performance(db), random.Random(3), now)


def _performance(book: Performance, chance: random.Random, now: float) -> None:
    for hour in range(7 * 24, -1, -1):
        report = CycleReport(
            seen=7200, bad=3, late=1, seconds=0.02 + 0.006 * chance.random(), cpu_seconds=0.012,
            agents={"wifi": Judged(chance.randint(60, 120), int(chance.random() < 0.2), cpu_seconds=0.05)},
        )  # fmt: skip
        for _ in range(4):
            book.note(report, {"wifi": web_data.ACTIVE}, 47 + 3 * chance.random(), now - 3600.0 * hour)
    book.flush(now)


def a_drift(at: float) -> DriftReport:
    """A measurement in which one feature is worth watching."""
    chance = random.Random(at)
    features = tuple(
        FeatureDrift(name, role, 0.17 if (name, role) == ("devices", "ap") else round(0.08 * chance.random() ** 2, 4),
                     round(0.1 * chance.random(), 4), 2400 if role == "ap" else 5200, (0.0, 8.0), (0.0, 9.0),
                     "watch" if (name, role) == ("devices", "ap") else "steady")
        for role in ("ap", "station") for name in NAMES
    )  # fmt: skip
    grid = tuple(0.298 + 0.1 * (n / 20) ** 6 for n in range(21))
    return DriftReport(
        agent="wifi", version=web_data.ACTIVE, at=at - 1200, since=at - 1200 - 3 * 86400.0, windows=7600, word="watch",
        features=tuple(sorted(features, key=lambda one: -(one.psi or 0.0))),
        scores=tuple(
            FeatureDrift("score", role, 0.04, 0.03, 2400, (0.3, 0.34), (0.3, 0.35), "steady") for role in ("ap", "station")
        ),
        known=0.992, known_then=0.998, least=200, watch=0.1, drifted=0.25,
        curves=tuple((role, grid, tuple(q + 0.004 * n / 20 for n, q in enumerate(grid))) for role in ("ap", "station")),
    )  # fmt: skip


def a_validation(at: float) -> Validation:
    """A validation that found the model old."""
    return Validation("wifi", web_data.ACTIVE, at - 900, (
        Check("quality", "files", "good", "7 files, sizes and hashes as signed"),
        Check("quality", "golden rows", "good", "reproduced exactly (allowed: 1e-09)"),
        Check("compatibility", "agent", "good", "agent wifi, file version 1, as this release"),
        Check("age", "age", "odd", "made 61 days ago; more than 45 days", "train on newer logs and ship"),
        Check("drift", "drift", "odd", "watch: devices of ap 0.17 (PSI); 7,600 windows", "look again tomorrow"),
    ))  # fmt: skip


def _challenger(db, now: float) -> None:  # type: ignore[no-untyped-def]  # a connection
    """The previous version judged beside the active one for half a day."""
    switches.challenge(db, "wifi", web_data.PREVIOUS, "admin page", now - 40_000)
    switches.begin_challenger(db, "wifi", web_data.PREVIOUS, now - 40_000)
    rows = db.execute(
        "SELECT host, window_start, window_end, rarity, is_anomaly, type, severity FROM verdicts WHERE window_end > ?"
        " ORDER BY window_end", (now - 40_000,),
    ).fetchall()  # fmt: skip
    for n, row in enumerate(rows):
        loud = bool(row["is_anomaly"]) if n % 97 else True
        db.execute(
            "INSERT INTO challenger_verdicts VALUES ('wifi',?,?,?,?,?,?,?,?,?,?)",
            (row["host"], row["window_start"], row["window_end"], web_data.PREVIOUS, 0.3, row["rarity"], int(loud and n % 5 > 0),
             row["type"] or ("unusual" if loud else None), row["severity"], "model" if loud else ""),
        )  # fmt: skip


def text_of(state_dir: Path, key: str) -> object:
    """A value of the status table."""
    db = state.connect(state_dir / "state.db")
    row = db.execute("SELECT value FROM status WHERE key = ?", (key,)).fetchone()
    db.close()
    return None if row is None else json.loads(row[0])


__all__ = ["a_drift", "a_validation", "fill_more", "performance", "text_of"]
