"""Settings of the inference service: a YAML file, then `INFERENCE_*`, then flags; with none set it works.

A daemon run by root keeps its state in /var/lib/pipit and its inbox in /srv/pipit/inbox (the SFTP user's folder);
anybody else's live in ~/.local/state/pipit-inference.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import marshmallow as ma

from shared.config import load, setting
from shared.frame import COLUMNS
from shared.setting import Words

PREFIX = "INFERENCE_"
ROOT_STATE = Path("/var/lib/pipit")
ROOT_INBOX = Path("/srv/pipit/inbox")
USER_STATE = Path("~/.local/state/pipit-inference")


class _ColumnPairs(Words):
    """field=column for fields of a log row."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> tuple[str, ...]:
        pairs = super()._deserialize(value, attr, data, **kwargs)
        for field_name, _, column in (pair.partition("=") for pair in pairs):
            if field_name not in COLUMNS or not column:
                raise ma.ValidationError("columns")
        return pairs


@dataclass(frozen=True)
class Settings:
    """What the Pi's service needs to know about its machine; what to look for comes with each model."""

    database_url: str = setting(
        "",
        "Database of log rows: postgresql://user@host/database or sqlite:///file; empty: logs.db in the state folder.",
        secret=True,
    )
    table: str = setting(
        "log_entries",
        "Table or view of the log rows, with its schema where needed.",
        pattern=r"[A-Za-z_][A-Za-z0-9_$]*(\.[A-Za-z_][A-Za-z0-9_$]*)?",
        form="a table name",
    )
    columns: tuple[str, ...] = setting(
        (),
        "Columns with unusual names, as field=column: id timestamp host program pid severity message.",
        parser=_ColumnPairs,
        form=f"field=column, the fields being {' '.join(COLUMNS)}",
    )
    inbox: Path | None = setting(
        None,
        "Folder that trainers write bundles into; empty: /srv/pipit/inbox for root, else `inbox` in the state folder.",
    )
    state_dir: Path | None = setting(
        None, "Folder of what must survive; empty: /var/lib/pipit for root, else ~/.local/state/pipit-inference."
    )
    allowed_signers: Path | None = setting(
        None,
        "OpenSSH allowed_signers file of the keys that may sign bundles; empty: `allowed_signers` in the state folder.",
    )
    audience: str = setting("", "Name of this machine that a bundle may be addressed to; empty: the host name.")
    trainer_url: str = setting("", "Trainer that `pull` fetches models from, https://host:8001; empty: none.")
    trainer_token: str = setting("", "API token of that trainer; one that may read is enough.", secret=True)
    keep_models: int = setting(
        1, "Good versions kept besides those that are active, former or on probation.", low=0, high=100
    )
    redis_url: str = setting("", "Redis for live status, redis://host:6379/0; empty: none.", secret=True)
    interval_s: float = setting(30.0, "Time between two cycles.", "s", low=0.05, high=3600)
    poll_s: float = setting(
        30.0, "Time between two looks at the inbox when no event of it arrives.", "s", low=0.05, high=3600
    )
    bind: str = setting(
        "127.0.0.1:8000",
        "Address and port of pages and API; a LAN address needs a password set first.",
        pattern=r"\S+:\d{1,5}",
        form="HOST:PORT",
    )
    trusted_hosts: tuple[str, ...] = setting(
        (), "Further host names that a request may ask for; this machine's own names and addresses always may."
    )
    start: str = setting(
        "24h",
        "Where to begin reading when there is no cursor: 24h (any number of h or d), all, now or a date.",
        pattern=r"\d+[hd]|all|now|\d{4}-\d\d-\d\d.*",
        form="24h, 7d, all, now or a date like 2026-03-01",
    )
    grace_s: float | None = setting(
        None, "Wait after a window's end before it is judged; empty: the agent's own.", "s", low=0
    )
    late_s: float = setting(
        900.0,
        "How far out of order rows may be while a backlog is read; windows stay open that long.",
        "s",
        low=0,
        high=86400,
    )
    batch_rows: int = setting(2000, "Rows read in one transaction.", low=1, high=100_000)
    cycle_rows: int = setting(200_000, "Most rows of one cycle; the rest of a backlog waits for the next.", low=1)
    alert_budget: float | None = setting(
        None, "Incidents a week and host that the model may raise; empty: as the model was trained.", low=0
    )
    notify_urls: str = setting(
        "",
        "Addresses that notifications are sent to, as apprise writes them (mailto://…, ntfy://…), blanks between; empty: none.",
        secret=True,
    )
    quiet_hours: str = setting(
        "",
        "Local times between which only critical incidents are sent, 22:00-07:00; empty: none.",
        pattern=r"(\d{1,2}:\d\d-\d{1,2}:\d\d)?",
        form="HH:MM-HH:MM",
    )
    silent_minutes: float = setting(
        60.0, "Without any new row for so long, a notification is sent; 0: never.", "minutes", low=0
    )
    page_url: str = setting("", "Where these pages are for their readers, for links in notifications; empty: no links.")
    notify_template: Path | None = setting(
        None, "File with the words of an incident's message, with gaps such as {host}; empty: Pipit's own."
    )
    mark_days: float = setting(180.0, "Days that a mark (false, confirmed) counts.", "days", low=1, high=3650)
    query_timeout_s: float = setting(
        10.0, "Longest time that the database may take for one answer.", "s", low=0.1, high=600
    )
    keep_days: int = setting(30, "Days that normal windows are kept.", "days", low=1)
    keep_anomaly_days: int = setting(365, "Days that anomalies and incidents are kept.", "days", low=1)
    keep_performance_days: int = setting(
        90, "Days that figures of performance, drift and transfers are kept.", "days", low=1
    )
    drift_every_s: float = setting(3600.0, "Time between two measurements of drift.", "s", low=1)
    drift_days: float = setting(
        3.0, "How far back live windows are compared with training's.", "days", low=0.01, high=90
    )
    drift_windows: int = setting(
        200, "Normal windows of one role that drift is spoken of from; fewer say nothing.", low=10, high=100_000
    )
    drift_watch: float = setting(0.10, "PSI from which a feature or the scores are watched.", low=0, high=10)
    drift_threshold: float = setting(0.25, "PSI from which they have drifted.", low=0, high=10)
    anomaly_rate_limit: float = setting(
        0.05, "Share of anomalous windows in 24 hours from which performance is warned about.", low=0, high=1
    )
    latency_limit_ms: float = setting(
        50.0, "CPU time of a window from which performance is warned about.", "ms", low=0.001
    )
    memory_limit_mb: float = setting(
        256.0, "Resident memory of the daemon from which performance is warned about.", "MB", low=1
    )
    false_alarm_limit: float = setting(
        0.5, "Share of marked incidents that were false, from which performance is warned about.", low=0, high=1
    )
    model_age_days: float = setting(45.0, "Age from which a model is called old; it serves on.", "days", low=0.01)
    agents_dir: Path | None = setting(
        None, "Folder of agent files that the page Agents checks; what runs comes with models."
    )
    log_level: str = setting(
        "INFO", "Least serious message that is logged.", choices=("DEBUG", "INFO", "WARNING", "ERROR")
    )
    log_file: Path | None = setting(None, "File that is logged to besides stderr; it rotates at 10 MB.")
    warnings: tuple[str, ...] = field(default=())

    @property
    def state_folder(self) -> Path:
        """`state_dir`, or the default for this user."""
        if self.state_dir is not None:
            return self.state_dir
        return ROOT_STATE if os.geteuid() == 0 else USER_STATE.expanduser()

    @property
    def inbox_folder(self) -> Path:
        """`inbox`, or the default for this user."""
        if self.inbox is not None:
            return self.inbox
        return ROOT_INBOX if os.geteuid() == 0 and self.state_dir is None else self.state_folder / "inbox"

    @property
    def state_file(self) -> Path:
        """The SQLite file of verdicts, incidents, cursor and models."""
        return self.state_folder / "state.db"

    @property
    def metrics_file(self) -> Path:
        """What the daemon writes each cycle and the web process serves at /metrics."""
        return self.state_folder / "metrics.prom"

    @property
    def lock_file(self) -> Path:
        """Held by the one daemon of this state folder."""
        return self.state_folder / "daemon.lock"

    @property
    def signers_file(self) -> Path | None:
        """The allowed_signers file, or None where none is configured and the default one does not exist."""
        if self.allowed_signers is not None:
            return self.allowed_signers
        default = self.state_folder / "allowed_signers"
        return default if default.exists() else None

    @property
    def source_url(self) -> str:
        """`database_url`, or the embedded SQLite file."""
        return self.database_url or f"sqlite:///{self.state_folder / 'logs.db'}"

    @property
    def is_embedded(self) -> bool:
        """Whether the log table is the daemon's own SQLite file."""
        return not self.database_url

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.bind.rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def column_names(self) -> dict[str, str]:
        """`columns` as field → column."""
        return dict(each.split("=", 1) for each in self.columns)


def load_settings(file: Path | None, env: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """The inference service's settings.

    Raises:
        ConfigError: with every fault found.
    """
    return load(Settings, file, env, flags, PREFIX)
