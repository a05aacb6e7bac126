"""Keys of a model configuration that are other words for ours, or that nothing comes of, and why.

Configurations are long-lived files: one that was written for an earlier trainer still loads, and hears what changed.
"""

from __future__ import annotations

# Another place of the same setting.
RENAMED = {
    **{
        f"model.hyperparameters.{name}": f"model.{name}"
        for name in (
            "n_estimators",
            "max_samples",
            "contamination",
            "max_features",
            "bootstrap",
            "random_state",
            "n_jobs",
        )
    },
    "training.n_jobs": "model.n_jobs",
    "training.random_state": "model.random_state",
    "logging.rotation.max_size": "logging.max_size",
    "logging.rotation.backup_count": "logging.backup_count",
}

_PI_DECIDES = "recorded in the bundle's metadata; what a Pi watches and reports is set on the Pi"
_FROM_FILE = "training reads an export, not the database; see `pipit-trainer export --help`"
_ONE_FIT = "an isolation forest is fitted in one go: there are no rounds to stop early"
_KEEPS_ALL = "nothing is deleted by itself; `pipit-trainer models prune --keep N --older-than-days D` does it"

# Keys that load and change nothing, with the reason that is logged once.
NO_EFFECT = {
    "training.early_stopping": _ONE_FIT,
    "training.patience": _ONE_FIT,
    "storage.keep_last_n_versions": _KEEPS_ALL,
    "storage.retention_days": _KEEPS_ALL,
    "storage.backup_enabled": "a finished version is never written again; copy the models folder as you copy others",
    "evaluation.metrics": "whatever can be measured is measured; evaluation.thresholds says what is expected of it",
    "database.table_name": _FROM_FILE,
    "database.wifi_programs": "the agent file names the programs",
    "database.batch_size": _FROM_FILE,
    "database.max_records": "an export is streamed, however long; --start-date and --end-date limit it",
    "monitoring.enable_drift_detection": _PI_DECIDES,
    "monitoring.drift_threshold": _PI_DECIDES,
    "monitoring.performance_tracking": _PI_DECIDES,
    "monitoring.resource_monitoring": _PI_DECIDES,
    "monitoring.model_health_checks": _PI_DECIDES,
    "monitoring.alerting.enabled": _PI_DECIDES,
    "monitoring.alerting.email_notifications": _PI_DECIDES,
    "monitoring.alerting.slack_notifications": _PI_DECIDES,
}

# Other names of features, either way round: an agent file has one of the two.
FEATURE_ALIASES = {
    "mean_hour_of_day": "hour_of_day",
    "mean_day_of_week": "day_of_week",
    "signal_strength": "mean_signal_strength",
    "packet_loss": "mean_packet_loss",
    "data_rate": "mean_data_rate",
    "error_log_ratio": "error_ratio",
    "warning_log_ratio": "warning_ratio",
    "auth_failures": "auth_failure_count",
    "deauth_count": "deauth_events",
    "disassociation_events": "disassociation_count",
}
