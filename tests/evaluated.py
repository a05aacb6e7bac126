"""An invented evaluation, as metadata and report carry it."""

from __future__ import annotations

from typing import Any

EPISODE: dict[str, Any] = {
    "type": "psk_bruteforce", "title": "Password guessing", "role": "ap", "host": "host-1", "start": 1_773_200_000.0,
    "end": 1_773_200_600.0, "visible": True, "found": True, "delay_s": 151.0, "said": ["psk_bruteforce"], "named": True,
    "found_by": "model+rule", "score": 0.7, "rarity": 10_213.0,
    "moved": [{"feature": "psk_attempts_30min", "value": 31.0, "normal_low": 0.0, "normal_high": 3.1}],
    "lines": ["wlan0: AP-STA-POSSIBLE-PSK-MISMATCH 02:00:00:00:00:01"],
}  # fmt: skip
MISSED: dict[str, Any] = {
    **EPISODE, "type": "deauth_burst", "title": "Clients thrown out", "found": False, "delay_s": None, "said": [],
    "named": None, "found_by": "", "score": None, "rarity": None, "moved": [], "lines": [],
}  # fmt: skip
EVALUATION: dict[str, Any] = {
    "method": "injected faults",
    "metrics": {
        "recall": 0.93, "precision": 0.6, "episode_recall": 0.5, "episodes": 2.0, "episodes_found": 1.0,
        "false_incidents_per_host_week": 0.25, "average_precision": 0.9,
    },
    "events": {
        "visible": 2, "found": 1, "leaves_no_line": 0, "silences": 0, "silences_found": 0, "recall": 0.5, "nameable": 1,
        "named_right": 1, "median_delay_s": 151.0, "false_incidents": 1, "host_weeks": 4.0,
        "false_incidents_per_host_week": 0.25,
    },
    "windows": {
        "total": 900, "ordinary": 880,
        "confusion_matrix": {"true_positive": 18, "false_positive": 12, "true_negative": 868, "false_negative": 2},
        "score_percentiles": {"normal": {"50": 0.4}, "fault": {"50": 0.6}},
    },
    "threshold": 0.61,
    "threshold_sweep": [
        {"threshold": 0.4, "precision": 0.1, "recall": 1.0, "f1_score": 0.2, "flagged": 200},
        {"threshold": 0.61, "precision": 0.6, "recall": 0.93, "f1_score": 0.7, "flagged": 30},
    ],
    "budget_curve": [
        {"budget": 0.15, "threshold": 0.61, "found": 1, "episodes": 2, "false_incidents_per_host_week": 0.25},
        {"budget": 1.0, "threshold": 0.55, "found": 2, "episodes": 2, "false_incidents_per_host_week": 1.5},
    ],
    "score_histogram": {"edges": [0.3, 0.5, 0.7], "normal": [800, 80], "fault": [2, 18]},
    "baselines": [
        {
            "name": "z_score", "title": "Largest z-score", "precision": 0.5, "recall": 0.4, "average_precision": 0.95,
            "roc_auc": 0.9, "episodes_found": 1, "episodes": 2,
        }
    ],
    "feature_importance": [
        {"feature": "psk_attempts", "title": "Wrong-password attempts", "role": "ap", "drop": 0.2, "share": 0.6},
        {"feature": "lines", "title": "Log lines", "role": "ap", "drop": 0.1, "share": 0.4},
    ],
    "cross_validation": [{"block": 1, "windows": 1000, "over_the_line": 0, "highest_score": 0.5}],
    "stability": {},
    "episodes": [EPISODE, MISSED],
    "notes": [],
}  # fmt: skip
