"""What happens is told of: rows come into PostgreSQL, the daemon judges them, apprise calls a web hook."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from psycopg2.extras import execute_values

from inference.web.app import create_app
from shared import layout
from shared.values import Row, iso
from tests import web_client
from tests.daemon_process import TABLE, DaemonProcess, Trained, daemon, trained
from tests.flow.test_notify import Hook, hook
from tests.flow.test_two_real_models import incidents, wrong_passwords
from tests.postgres_server import PostgresServer
from tests.rows import STATION
from tests.services import wait_until

__all__ = ["hook", "trained"]

BROKEN = "20300101_000000"
INTERVAL_S = 0.5
NEWEST = "Group rekeying completed with 02:00:00:00:00:01 [GTK=CCMP]"


def insert(dsn: str, rows: Iterable[Row]) -> float:
    """Put rows into the table; when that was done."""
    db = psycopg2.connect(dsn)
    statement = "INSERT INTO log_entries (timestamp, host, program, pid, severity, message) VALUES %s"
    execute_values(db.cursor(), statement, [(iso(row[1]), *row[2:]) for row in rows])
    db.commit()
    db.close()
    return time.monotonic()


def quiet_hours(now: float) -> list[Row]:
    """Stations that say the same every minute, until a quarter of an hour ago: nothing like what was learnt."""
    return [
        (0, now - 900 - 60 * n, f"station-{k}", STATION, "", 6, f"wlan0: WPA: {NEWEST}")
        for n in range(60)
        for k in range(4)
    ]


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    dsn = postgres.create_database()
    db = psycopg2.connect(dsn)
    db.cursor().execute(TABLE)
    db.commit()
    db.close()
    return dsn


@pytest.fixture
def pi(trained: Trained, dsn: str, hook: Hook, tmp_path: Path) -> Iterator[DaemonProcess]:
    inbox = tmp_path / "inbox"
    shutil.copytree(trained.models, inbox, symlinks=True)
    settings: dict[str, Any] = {
        "INBOX": inbox, "ALLOWED_SIGNERS": trained.allowed_signers, "DATABASE_URL": dsn, "NOTIFY_URLS": hook.url,
        "INTERVAL_S": INTERVAL_S, "GRACE_S": 0.1, "SILENT_MINUTES": 10, "DRIFT_EVERY_S": 1, "DRIFT_WINDOWS": 10,
    }  # fmt: skip
    insert(dsn, quiet_hours(time.time()))
    with daemon(tmp_path / "pi", **settings) as process:
        process.start()
        yield process


def ship_broken(inbox: Path, good: Path) -> None:
    """A bundle whose scorer is not what was signed."""
    shutil.copytree(good, inbox / "wifi" / BROKEN)
    (inbox / "wifi" / BROKEN / "scorer.npz").write_bytes(b"x")
    layout.swap_link(inbox / "wifi" / layout.ACTIVE, BROKEN)


def test_silence_drift_refusals_and_anomalies_are_told_of_and_a_budget_of_the_page_is_taken_up(
    pi: DaemonProcess, dsn: str, hook: Hook, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    def told(pattern: str) -> int:
        return sum(bool(re.search(pattern, one["title"])) for one in hook.got)

    wait_until(lambda: told(r"no logs for \d+ minutes") > 0, "to be told that no row comes", 60)
    wait_until(lambda: told("drift: wifi is not what") > 0, "to be told of drift", 60)

    ship_broken(pi.settings["INBOX"], trained.bundle)
    wait_until(lambda: told(f"model wifi {BROKEN} was refused") > 0, "to be told of a refused model", 60)

    done = insert(dsn, wrong_passwords(time.time() - 700))
    wait_until(lambda: told("psk bruteforce on ap1") > 0, "to be told of the anomaly", 60)
    took = time.monotonic() - done
    assert incidents(pi)["wifi"].state == "open"
    with capsys.disabled():
        print(f"\nrow inserted to web hook called: {took:.2f} s (interval {INTERVAL_S} s, grace 0.1 s)")

    browser = web_client.signed_in(create_app(pi.folder))
    web_client.post(browser, "/settings/budget", "/settings", agent="wifi", per_week="0.05")
    pi.wait("alert budgets are now {'wifi': 0.05}")
    assert told("psk bruteforce on ap1") == 1, json.dumps(hook.got)
    assert "Traceback" not in pi.log()
