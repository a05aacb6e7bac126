"""What needs a model in the web process: done by a child with a real trained model, and by children that misbehave."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from inference import bounded, state
from inference.bounded import ChildError, Limits
from inference.bundles.store import GOOD, BundleStore
from inference.watching import drifting
from inference.web.app import create_app
from shared import bundle
from shared.errors import BundleError, ExportError
from shared.values import Row, iso
from tests.daemon_process import Trained, example_rows, trained
from tests.web_client import set_up

__all__ = ["trained"]
NOW = 1_773_400_000.0
MANAGED = "/api/v1/model-management"


class Pi:
    """A Pi whose store holds the trained version, active and good, and a program with an admin token."""

    def __init__(self, folder: Path, model: Trained) -> None:
        raw = bundle.open_bundle(model.bundle)
        manifest = bundle.verify(raw, None)
        self.version, self.db = manifest.version, state.connect(folder / "state.db")
        self.store = BundleStore(self.db, folder / "store")
        self.store.add_candidate(manifest, "anvil", NOW)
        self.copy = self.store.shelf.keep(manifest, raw)
        self.store.commit_active(manifest, "anvil", GOOD, {}, NOW)
        app = create_app(folder, now=lambda: NOW)
        set_up(app)
        self._client = app.test_client()
        self._headers = {"Authorization": f"Bearer {app.extensions['pipit'].account.add_token('t', 'admin')}"}

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = self._client.open(path, method=method, headers=self._headers, **more)
        assert answer.status_code == status, answer.get_data(as_text=True)[:400]
        return answer.get_json()


@pytest.fixture
def pi(tmp_path: Path, trained: Trained) -> Pi:
    return Pi(tmp_path, trained)


def as_json(row: Row) -> dict[str, Any]:
    return {
        "id": row[0],
        "timestamp": iso(row[1]),
        "hostname": row[2],
        "process_name": row[3],
        "level": row[5],
        "message": row[6],
    }


def test_rows_are_analyzed_as_the_daemon_would(pi: Pi) -> None:
    rows = [as_json(row) for row in example_rows()[:3000]]
    found = pi.ask(
        "POST", "/api/v1/models/analyze", json=[*rows, {"message": "no time"}, {"timestamp": "soon", "message": "x"}]
    )
    assert (found["agent"], found["model_version"], found["rows"], found["bad_rows"]) == ("wifi", pi.version, 3000, 2)
    assert [bad["row"] for bad in found["bad"]] == [3001, 3002]
    assert found["windows"] == len(found["verdicts"]) > 50
    assert found["anomalies"] == sum(verdict["is_anomaly"] for verdict in found["verdicts"])
    assert pi.db.execute("SELECT count(*) FROM verdicts").fetchone()[0] == 0, "nothing is stored"


def test_rows_in_the_short_form_of_other_programs_are_understood(pi: Pi) -> None:
    found = pi.ask("POST", "/api/v1/models/analyze", json=[{"timestamp": "2024-01-01T10:00:00Z", "message": "test"}])
    assert (found["rows"], found["windows"]) == (1, 1)


def test_rows_that_all_make_no_sense_are_refused(pi: Pi) -> None:
    told = pi.ask("POST", "/api/v1/models/analyze", 400, json=[{"timestamp": "soon", "message": "x"}])
    assert "none of 1 rows can be used" in told["error"]["detail"]


def test_a_sound_version_is_valid(pi: Pi) -> None:
    found = pi.ask("POST", f"{MANAGED}/{pi.version}/validate")
    states = {(check["section"], check["what"]): check["state"] for check in found["checks"]}
    assert found["is_valid"] is True
    assert states["quality", "golden rows"] == states["quality", "files"] == "good"
    assert states["compatibility", "features"] == states["compatibility", "agent"] == "good"
    assert states["drift", "drift"] == "unknown"
    assert pi.ask("GET", f"{MANAGED}/{pi.version}/validation-report")["at"] == found["at"], "it is kept"


def test_features_that_a_caller_needs_are_looked_for(pi: Pi) -> None:
    path = f"{MANAGED}/{pi.version}/validate-compatibility"
    assert pi.ask("POST", path, json={"target_features": ["lines", "joins"]})["is_compatible"] is True
    found = pi.ask("POST", path, json={"target_features": ["lines", "moon_phase"]})
    assert found["is_compatible"] is False
    assert any("moon_phase" in check["found"] for check in found["checks"])


def test_a_damaged_copy_is_wrong(pi: Pi) -> None:
    (pi.copy / "scorer.npz").write_bytes(b"noise")
    found = pi.ask("POST", f"{MANAGED}/{pi.version}/validate")
    assert (found["is_valid"], found["state"]) == (False, "wrong")
    pi.ask("POST", "/api/v1/models/analyze", 409, json=[{"timestamp": 1, "message": "x"}])
    shutil.rmtree(pi.copy)
    pi.ask("POST", f"{MANAGED}/{pi.version}/validate", 404)


def test_drift_is_measured_from_the_stored_windows(pi: Pi) -> None:
    reference = json.loads((pi.copy / "reference.json").read_bytes())
    profile = reference["profile"]["ap"]
    rows = []
    for n in range(600):
        at = NOW - 300.0 * (n + 1)
        features = {name: own["quantiles"][n % 21] for name, own in profile.items()} | {
            "lines": 500.0,
            "unknown_lines": 50.0,
        }
        score = reference["score_profile"]["ap"][n % 21]
        rows.append(
            ("wifi", "ap1", at, at + 300, pi.version, "ap", 9, score, 2.0, 0, "", "", json.dumps(features), "[]", NOW)
        )
    columns = "agent, host, window_start, window_end, model_version, role, rows, score, rarity, is_anomaly, description, found_by,"
    pi.db.executemany(
        f"INSERT INTO verdicts ({columns} features, explanation, scored_at) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        rows,
    )
    found = pi.ask("POST", f"{MANAGED}/performance/{pi.version}/check-drift")
    words = {(one["name"], one["role"]): one["word"] for one in found["features"]}
    assert found["drift_detected"] is True
    assert words["lines", "ap"] == "drifted"
    assert words["joins", "ap"] == "steady"
    assert next(one["word"] for one in found["scores"] if one["role"] == "ap") == "steady"
    assert found["known"] == pytest.approx(0.9)
    kept = drifting.newest(pi.db, "wifi", pi.version)
    assert kept is not None
    assert kept.word == "drifted"
    told = pi.ask("POST", f"{MANAGED}/{pi.version}/validate")
    assert any(check["section"] == "drift" and "lines of ap" in check["found"] for check in told["checks"])


CHILDREN = {
    "hang": "import time; time.sleep(60)",
    "spin": "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
    "die": "import os; os._exit(3)",
    "noise": "print('this is no JSON')",
    "hungry": "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28)); x = bytearray(1 << 30)",
    "refuse": 'print(\'{"error": {"kind": "bundle", "code": "golden", "message": "differs"}}\')',
    "rows": 'print(\'{"error": {"kind": "rows", "code": "rows", "message": "no rows"}}\')',
}


@pytest.mark.parametrize(
    ("child", "error", "code"),
    [("hang", ChildError, "timeout"), ("spin", ChildError, "timeout"), ("die", ChildError, "crashed"),
     ("noise", ChildError, "crashed"), ("hungry", ChildError, "memory"), ("refuse", BundleError, "golden"),
     ("rows", ExportError, "")],
)  # fmt: skip
def test_a_child_that_misbehaves_is_an_answer(child: str, error: type[Exception], code: str) -> None:
    limits = Limits(cpu_s=1, wall_s=1.0 if child == "hang" else 20.0)
    with pytest.raises(error) as raised:
        bounded.run("validate", {}, limits, (sys.executable, "-c", CHILDREN[child]))
    assert getattr(raised.value, "code", "") == code


def test_a_task_that_is_none_is_an_answer_too() -> None:
    with pytest.raises(BundleError):
        bounded.run("dance", {})
