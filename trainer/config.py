"""Settings of the trainer service: a YAML file, then `TRAINING_*`, then flags."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from shared.config import load, setting

PREFIX = "TRAINING_"
DEFAULT_BIND = "127.0.0.1:8001"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True)
class Settings:
    """What the trainer needs to know about this machine; what a model is made of is in the model configuration."""

    models_dir: Path = setting(Path("models"), "Folder of the finished models, one folder a version.")
    exports_dir: Path = setting(Path("exports"), "Folder of the log exports that pages and API offer for training.")
    state_dir: Path = setting(
        Path("~/.local/state/pipit-trainer"),
        "Folder of what must survive: signing key, targets, transfers, administrator's password.",
    )
    signing_key: Path | None = setting(
        None, "Private SSH key that signs bundles; empty: the one in the state folder, made when it is missing."
    )
    bind: str = setting(
        DEFAULT_BIND,
        "Address and port of pages and API; a LAN address needs a password set first.",
        pattern=r"\S+:\d{1,5}",
        form="HOST:PORT",
    )
    api_host: str | None = setting(None, "Address alone, when `bind` is not set.")
    api_port: int | None = setting(None, "Port alone, when `bind` is not set.", low=1, high=65535)
    trusted_hosts: tuple[str, ...] = setting(
        (), "Host names that a request may ask for; empty: any on a loopback bind."
    )
    agents_dir: Path | None = setting(None, "Folder of your own agent files, beside the built-in ones.")
    database_url: str | None = setting(
        None,
        "PostgreSQL that `export` (without --dsn), page and API fetch logs from, postgresql://user@host/database.",
        secret=True,
    )
    model_config_file: Path | None = setting(
        None, "Model configuration that `train` uses when it is given no --config; empty: built-in defaults."
    )
    cluster: str | None = setting(
        None,
        "Dask scheduler whose workers help to read exports; empty: this machine reads alone (docs/cluster.md).",
        pattern=r"(tcp|tls)://\S+:\d{1,5}",
        form="tcp://HOST:PORT or tls://HOST:PORT",
    )
    cluster_ca: Path | None = setting(
        None, "For tls://: certificate of the authority that all of the cluster trust (PEM)."
    )
    cluster_cert: Path | None = setting(None, "For tls://: this machine's own certificate (PEM).")
    cluster_key: Path | None = setting(None, "For tls://: the private key of that certificate (PEM).")
    max_training_time: int = setting(3600, "Longest time that one training run may take.", "s", low=1)
    max_memory_usage: int = setting(4096, "Most memory that one training run may take.", "MB", low=128)
    max_upload: int = setting(1024, "Largest export that the page and the API take in, or fetch.", "MB", low=1)
    log_level: str = setting("INFO", "Least serious message that is logged.", choices=LEVELS)
    debug: bool = setting(False, "Log everything, as `log_level: DEBUG` does.")
    logs_dir: Path | None = setting(None, "Folder for `log_file` when that is a bare name; empty: no log file.")
    log_file: Path | None = setting(None, "File that is logged to besides stderr; it rotates at 10 MB.")
    warnings: tuple[str, ...] = field(default=())

    # `training_config.yaml` groups its keys; each stands for one setting here.
    SECTIONS: ClassVar[Mapping[str, str]] = {
        "service.name": "service_name",
        "service.version": "service_version",
        "service.debug": "debug",
        "api.host": "api_host",
        "api.port": "api_port",
        "api.workers": "api_workers",
        "storage.models_dir": "models_dir",
        "storage.exports_dir": "exports_dir",
        "storage.logs_dir": "logs_dir",
        "training.max_training_time": "max_training_time",
        "training.max_memory_usage": "max_memory_usage",
        "training.enable_gpu": "enable_gpu",
        "monitoring.enable_monitoring": "enable_monitoring",
        "monitoring.prometheus_port": "prometheus_port",
    }
    NO_EFFECT: ClassVar[Mapping[str, str]] = {
        "service_name": "the service is called pipit-trainer",
        "service_version": "the version is that of the installed package",
        "api_workers": "one process with four threads serves the pages; training has its own process",
        "enable_gpu": "an isolation forest of this size has nothing for a GPU to do",
        "default_model_type": "the model configuration's model.type decides",
        "enable_monitoring": "metrics are always there, at /metrics",
        "prometheus_port": "metrics are at /metrics of the service's own address",
    }

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        host, _, port = self.bind.rpartition(":")
        return host.strip("[]"), int(port)


def load_settings(file: Path | None, env: Mapping[str, str], flags: Mapping[str, object]) -> Settings:
    """The trainer's settings, with `bind`, `log_level` and `log_file` worked out from the parts they may come in.

    Raises:
        ConfigError: with every fault found.
    """
    return _log_settings(_bind(load(Settings, file, env, flags, PREFIX)))


def _bind(settings: Settings) -> Settings:
    apart = settings.api_host is not None or settings.api_port is not None
    if not apart:
        return settings
    if settings.bind != DEFAULT_BIND:
        warning = "setting without effect api_host, api_port: bind is set, and says both"
        return replace(settings, warnings=(*settings.warnings, warning))
    host, _, port = DEFAULT_BIND.rpartition(":")
    return replace(settings, bind=f"{settings.api_host or host}:{settings.api_port or port}")


def _log_settings(settings: Settings) -> Settings:
    if settings.debug:
        settings = replace(settings, log_level="DEBUG")
    if settings.logs_dir is None:
        return settings
    name = settings.log_file or Path("training.log")
    return replace(settings, log_file=settings.logs_dir / name if len(name.parts) == 1 else name)
