"""A trainer's folders with one signed version, targets and transfers; the bundle is real but for its model."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from shared import bundle, layout
from shared.agent import BUILTIN, load_agents
from tests.web_data import HOSTILE_SSID, NOW, SAMPLE
from trainer import exports, jobs, targets
from trainer.jobs import JobStore
from trainer.shipping import history
from trainer.shipping.history import Transfer
from trainer.tasks.orders import TrainOrder
from trainer.validate import validate

VERSION = "20260312_060000"
REPORT = b"<!doctype html><title>Report</title><style>p{color:red}</style><p>What it learnt.</p>"


def fill(state_dir: Path) -> Path:
    """Fill a state folder; returns the models folder beside it."""
    models = state_dir / "models"
    metadata = {
        "model_version": VERSION, "agent_name": "wifi", "training_log_count": 31903, "training_duration": 4.7,
        "training_date": "2026-03-12T06:00:00Z", "windows": {"length_s": 300, "total": 8977},
        "thresholds": {"rarity": 2992.3, "alert_budget": 0.15}, "evaluation": {"metrics": {"false_incidents": 0.25}},
        "training_info": {
            "data_info": {"hosts": {"ap": 3, "station": 18}, "first": "2026-03-03T00:00:00Z", "last": "2026-03-12T00:00:00Z",
                          "unknown_share": 0.002, "left_out_by_guard": 0},
            "exports": [{"name": "riverside.csv.gz", "sha256": "5b0e" * 16, "size": 284839, "rows": 31903}],
        },
    }  # fmt: skip
    normal = {"ap": {"lines": [1, 2, 19], "psk_attempts": [0, 0, 2], "joins": [0, 0, 2]}}
    reference = {"schema": 1, "windows": SAMPLE, "scores": {}, "threshold": 0.6, "normal": normal}
    files = dict.fromkeys(bundle.FILES, b"{}") | {
        "metadata.json": json.dumps(metadata).encode(),
        "reference.json": json.dumps(reference).encode(),
        "agent.yaml": resources.files("shared.agents").joinpath("wifi.yaml").read_bytes(),
        "report.html": REPORT,
    }
    folder = layout.bundle_folder(models, "wifi", VERSION)
    bundle.write_bundle(
        folder,
        files,
        agent="wifi",
        version=VERSION,
        serial=43,
        audience=(bundle.EVERYBODY,),
        sign=lambda data: b"signed",
    )
    layout.activate(models, "wifi", VERSION)
    for n, name in enumerate(("pi-lab", "pi-attic", "pi-cabin")):
        targets.add_target(
            state_dir, targets.parse_target(name, f"sftp://pipit@10.0.4.{11 + n}/inbox", groups=("home",))
        )
    for name, state, reason in (("pi-lab", "good", ""), ("pi-attic", "refused", "Golden row 14 differs <by 0.031>.")):
        history.record(
            state_dir, Transfer(NOW - 600, "ship", name, "wifi", VERSION, 43, 2_000_000, 1.2, state, "", reason)
        )
    _add_jobs(state_dir)
    return models


def _add_jobs(state_dir: Path) -> None:
    """An export with what is in it, one job that failed with hostile text, and one that runs."""
    folder = state_dir / "exports"
    folder.mkdir()
    (folder / "week.csv").write_text("id,timestamp,host,program,message\n1,2026-03-03T00:00:01Z,ap1,hostapd,hello\n")
    report = validate(folder / "week.csv", load_agents([BUILTIN])["wifi"])
    report.warnings.append(f"the most frequent: {HOSTILE_SSID}")
    exports.save_check(state_dir, exports.find_export(folder, "week.csv"), "wifi", report.as_json())
    store = JobStore(state_dir)
    for number, name in enumerate(("week.csv", "other.csv"), 1):
        store.submit(TrainOrder((name,)), "admin", NOW - 900 / number)
        store.claim("work", NOW - 800 / number)
        trail = [["validate", NOW - 700 / number, "31,901 rows good, 2 left out"], ["learn", NOW - 600 / number, ""]]
        store.tell(
            number, NOW - 500 / number, steps=["validate", "learn", "fit", "sign"], step="learn", share=0.4, trail=trail
        )
        store.log_of(store.listed(limit=1)[0]).parent.mkdir(exist_ok=True)
        store.log_of(store.listed(limit=1)[0]).write_text(
            f"2026-03-12T21:00:00.000Z WARNING trainer.tasks.job: {HOSTILE_SSID}\n"
        )
        if number == 1:
            store.end(1, jobs.FAILED, NOW - 400, error=f"train: nothing but {HOSTILE_SSID}", code="failed")
