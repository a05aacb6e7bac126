"""Keep what a release makes, for every later one to open: a small signed bundle and the state file of a daemon that served it.

python -m tests.keep_release v0.2        once, just before the release; commit tests/data/bundles/v0.2 and never change it
"""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from inference.sqlite_source import create_table
from tests.daemon_process import ROOT, TRAIN, environment, example_rows

KEPT = ROOT / "tests" / "data" / "bundles"
ROWS = 1500


def keep(release: str) -> Path:
    """Train, ship into an inbox, judge, and keep bundle, signer and state."""
    place = KEPT / release
    place.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train = ["train", str(TRAIN), "--models", str(folder / "inbox"), "--set", "model.n_estimators=20", "--json"]
        _run("trainer", train, TRAINING_STATE_DIR=folder / "trainer")
        bundle = next(path for path in (folder / "inbox" / "wifi").iterdir() if not path.is_symlink())
        link = bundle.parent / "active"
        if not link.is_symlink():
            link.symlink_to(bundle.name)
        log = folder / "state" / "logs.db"
        create_table(log)
        with closing(sqlite3.connect(log)) as db, db:
            insert = "INSERT INTO log_entries (id, timestamp, host, program, pid, severity, message) VALUES (?, ?, ?, ?, ?, ?, ?)"
            db.executemany(insert, example_rows()[:ROWS])
        signers = folder / "trainer" / "allowed_signers"
        once = _run("inference", ["once", "--json"], INFERENCE_STATE_DIR=folder / "state", INFERENCE_INBOX=folder / "inbox",
                    INFERENCE_ALLOWED_SIGNERS=signers, INFERENCE_START="all")  # fmt: skip
        report = json.loads(once)
        assert report["windows"] > 100, report
        with closing(sqlite3.connect(folder / "state" / "state.db", isolation_level=None)) as db:
            db.execute("UPDATE status SET value = ? WHERE key = 'source'", ('"sqlite:////var/lib/pipit/logs.db"',))
            db.execute("VACUUM INTO ?", (str(folder / "state.db"),))
        (place / "state.db.gz").write_bytes(gzip.compress((folder / "state.db").read_bytes(), mtime=0))
        shutil.copytree(bundle, place / "wifi" / bundle.name)
        shutil.copy(signers, place / "allowed_signers")
        facts = {"version": bundle.name, "windows": report["windows"], "anomalies": report["anomalies"]}
        (place / "facts.json").write_text(json.dumps(facts, indent=1) + "\n")
    return place


def _run(service: str, words: list[str], **settings: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", service, *words],
        cwd=ROOT,
        env=environment(**settings),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


if __name__ == "__main__":
    print(f"kept in {keep(sys.argv[1])}")
