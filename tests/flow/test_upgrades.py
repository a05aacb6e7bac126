"""What any former release made is opened by this one, or refused with a reason; and state files only move forward."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from inference import probe, state
from inference.keeping import reading as read
from inference.keeping import schema
from shared import bundle, forms
from shared.errors import BundleError, StoreError
from tests.daemon_process import ROOT, daemon
from trainer import jobs
from trainer.shipping import history
from trainer.tasks.orders import CheckOrder

RELEASES = sorted((ROOT / "tests" / "data" / "bundles").iterdir())
# What this release no longer serves, and the code of the refusal. Empty: everything loads.
REFUSED: dict[str, str] = {}


def facts(release: Path) -> dict[str, Any]:
    return dict(json.loads((release / "facts.json").read_text()))


def unpacked(release: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.db").write_bytes(gzip.decompress((release / "state.db.gz").read_bytes()))
    shutil.copytree(release / "wifi", folder / "store" / "wifi")
    return folder


def inbox_of(release: Path, folder: Path) -> Path:
    shutil.copytree(release / "wifi", folder / "wifi")
    (folder / "wifi" / "active").symlink_to(facts(release)["version"])
    return folder


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_bundle_of_a_former_release_loads_or_is_refused_with_a_reason(release: Path, tmp_path: Path) -> None:
    inbox = inbox_of(release, tmp_path / "inbox")
    with daemon(tmp_path / "pi", INBOX=inbox, ALLOWED_SIGNERS=release / "allowed_signers") as pi:
        done = pi.cli("once", "--json")
    report = json.loads(done.stdout)
    if release.name in REFUSED:
        assert [each["code"] for each in report["bundles"]] == [REFUSED[release.name]]
        assert report["bundles"][0]["reason"]
    else:
        assert report["models"] == {"wifi": facts(release)["version"]}, report["bundles"]


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_the_golden_rows_of_a_former_release_come_out_the_same(release: Path) -> None:
    if release.name in REFUSED:
        pytest.skip("this release is refused")
    files = bundle.open_bundle(release / "wifi" / facts(release)["version"])
    bundle.verify(files, None)
    assert probe.try_model(files) <= 1e-9


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_state_file_of_a_former_release_keeps_everything_and_goes_on(release: Path, tmp_path: Path) -> None:
    folder = unpacked(release, tmp_path / "pi")
    with closing(state.connect(folder / "state.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == forms.FIRST + len(schema.STEPS)
        assert read.totals(db).windows == facts(release)["windows"]
        assert state.State(db).cursor() is not None
        incidents = read.incidents(db)
        detail = read.incident(db, incidents[0].id)
        assert detail is not None
        assert detail.verdicts
    with daemon(folder, INBOX=inbox_of(release, tmp_path / "inbox"), ALLOWED_SIGNERS=release / "allowed_signers") as pi:
        done = pi.cli("once", "--json")
        assert done.returncode == 0, done.stderr.decode()
        assert json.loads(pi.cli("incidents", "--json").stdout)


def list_jobs(state_dir: Path) -> list[Any]:
    return list(jobs.JobStore(state_dir).listed())


def fill_trainer(state_dir: Path) -> None:
    """One job and one transfer."""
    jobs.JobStore(state_dir).submit(CheckOrder("a.csv"), "admin", 1.0)
    history.record(state_dir, history.Transfer(1.0, "ship", "attic", "wifi", "20260101_000000", 1, 2, 3.0, "good"))


def old_file(path: Path) -> Path:
    """A state file from before columns were added and forms were counted."""
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(schema.SCHEMA)
        for table, columns in schema.LATER.items():
            for name in columns:
                db.execute("DROP INDEX IF EXISTS verdicts_in_short")
                db.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        db.execute(
            "INSERT INTO verdicts (agent, host, window_start, window_end, model_version, role, rows, is_anomaly, description,"
            " found_by, features, explanation, scored_at) VALUES ('wifi', 'ap1', 0, 300, 'v', 'ap', 3, 0, '', '', '{}', '[]', 301)"
        )
    return path


def test_a_file_from_before_gets_the_columns_that_came_later(tmp_path: Path) -> None:
    with closing(state.connect(old_file(tmp_path / "state.db"))) as db:
        for table, columns in schema.LATER.items():
            assert set(columns) <= {row[1] for row in db.execute(f"PRAGMA table_info({table})")}
        assert read.totals(db).windows == 1
        state.State(db).set_status({"state": "running"}, 1.0)


def test_a_file_of_a_newer_release_is_left_alone_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    state.connect(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer release"):
        state.open_checked(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(("name", "use"), [(jobs.FILE, list_jobs), (history.FILE, history.transfers)])
def test_the_trainers_files_keep_what_a_release_wrote_before_forms_were_counted(
    name: str, use: Callable[[Path], list[Any]], tmp_path: Path
) -> None:
    assert use(tmp_path) == []
    fill_trainer(tmp_path)
    with closing(sqlite3.connect(tmp_path / name)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (forms.FIRST,)
        db.execute("PRAGMA user_version = 0")
    assert len(use(tmp_path)) == 1
    with closing(sqlite3.connect(tmp_path / name)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (forms.FIRST,)


@pytest.mark.parametrize(("name", "use"), [(jobs.FILE, list_jobs), (history.FILE, history.transfers)])
def test_the_trainers_files_of_a_newer_release_are_left_alone_with_the_reason(
    name: str, use: Callable[[Path], list[Any]], tmp_path: Path
) -> None:
    fill_trainer(tmp_path)
    with closing(sqlite3.connect(tmp_path / name)) as db:
        db.execute("PRAGMA user_version = 999")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(StoreError, match="newer release"):
        use(tmp_path)
    assert (tmp_path / name).read_bytes() == before


def test_a_bundle_of_a_form_that_is_not_known_is_refused_with_a_reason(tmp_path: Path) -> None:
    release = RELEASES[-1]
    folder = inbox_of(release, tmp_path) / "wifi" / facts(release)["version"]
    manifest = folder / "MANIFEST.json"
    form = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**form, "schema": 999}))
    with pytest.raises(BundleError) as refusal:
        bundle.verify(bundle.open_bundle(folder), None)
    assert refusal.value.code == "manifest"
