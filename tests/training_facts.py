"""An invented training run, for tests of metadata, report and pages."""

from __future__ import annotations

from tests.evaluated import EVALUATION
from trainer.fitting.facts import BudgetRow, LeftOut, NormalRange, ScoreCounts, SourceFile, TrainFacts
from trainer.gate import check_gate

GATE = {"recall": 0.7, "precision": 0.7, "roc_auc": 0.8}

FACTS = TrainFacts(
    agent="wifi",
    agent_title="WiFi access points and stations",
    version="20260312_060000",
    trained_at=1_773_295_200.7,
    duration_s=171.25,
    peak_memory_bytes=212_000_000,
    sources=(SourceFile("march.csv.gz", "ab" * 32, 1_200_000, 31_903, 2),),
    rows=31_903,
    own_rows=31_000,
    unknown_rows=260,
    unknown_shapes=(("wlan#: something <MAC> nobody knows", 200),),
    first=1_772_496_000,
    last=1_773_273_600,
    hosts={"ap": 3, "sta": 18},
    windows={"ap": 2_000, "sta": 8_212},
    features_used=("log_count", "deauth_ratio"),
    features_excluded=("beacon_ratio",),
    hyperparameters={"n_estimators": 100, "max_samples": "auto"},
    threshold=0.61,
    rarity=4_000,
    alert_budget=0.15,
    normal=(
        NormalRange("log_count", "Log lines", "ap", 0, 4, 40, 133, "lines"),
        NormalRange("deauth_ratio", "Share of deauthentications", "sta", 0, 0, 0.2, 0.5),
    ),
    scores=ScoreCounts((0.3, 0.4, 0.5, 0.6, 0.7), (5_000, 4_000, 1_200, 12), {"50": 0.41}),
    budget=(BudgetRow(0.15, 0.61, 4_000, 0.1), BudgetRow(1, 0.55, None)),
    guard=(LeftOut("ap", "psk_mismatch_attempts", 7, "more than 60 in half an hour"),),
    evaluation=EVALUATION,
    expected=GATE,
    gate=check_gate(GATE, EVALUATION["metrics"]).as_json(),
    comparison={
        "old": "20260309_230000",
        "new": "20260312_060000",
        "windows": 900,
        "same": 897,
        "alerts_gone": 2,
        "alerts_new": 1,
        "incidents_old": 2,
        "incidents_new": 1,
        "differences": [
            {
                "host": "host-3",
                "window_start": "2026-03-10T07:40:00Z",
                "old": {"rarity": 890.0, "is_anomaly": False, "type": None},
                "new": {"rarity": 3400.0, "is_anomaly": True, "type": "deauth_flood"},
            }
        ],
    },
    advice=("Train again with 5 to 7 days.",),
    config={"model.n_estimators": 100},
    config_hash="cd" * 32,
    monitoring={"drift_threshold": 0.1},
    library_versions={"python": "3.11.2"},
    warnings=("model.contamination: 0.1 of the windows",),
)
