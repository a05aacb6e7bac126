"""Whether other machines read too: the team that the settings, or `--cluster`, name. Dask is loaded only for one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from shared.errors import ConfigError
from trainer.config import Settings
from trainer.windows.reading import Team

logger = logging.getLogger(__name__)
ADDRESS = r"(tcp|tls)://\S+:\d{1,5}"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@contextmanager
def team_of(settings: Settings, given: str | None = None) -> Iterator[Team | None]:
    """The team of a cluster, let go of at the end; None: this machine reads alone. given: instead of the setting.

    Raises:
        ConfigError: the address, or its certificates, cannot be; Dask is not installed. TrainingError: nobody answers.
    """
    address = settings.cluster if given is None else given
    if not address:
        yield None
        return
    files = _checked(address, settings)
    try:
        from trainer.cluster.connection import Certificates, Dask
    except ImportError as error:
        raise ConfigError(
            f"--cluster {address}: Dask is not installed here ({error}); `make cluster` installs it, "
            "and so does requirements-cluster.lock"
        ) from error
    from trainer.cluster.team import ClusterTeam

    team = ClusterTeam(Dask(address, Certificates(*files) if files else None))
    try:
        yield team
    finally:
        team.close()


def _checked(address: str, settings: Settings) -> tuple[Path, Path, Path] | None:
    """The certificates that go with the address. Raises ConfigError: they do not fit each other."""
    if not re.fullmatch(ADDRESS, address):
        raise ConfigError(f"--cluster {address!r}: give the scheduler as tcp://HOST:PORT or tls://HOST:PORT")
    files = {
        "TRAINING_CLUSTER_CA": settings.cluster_ca,
        "TRAINING_CLUSTER_CERT": settings.cluster_cert,
        "TRAINING_CLUSTER_KEY": settings.cluster_key,
    }
    if address.startswith("tcp://"):
        if set(files.values()) != {None}:
            raise ConfigError(
                f"--cluster {address}: certificates are for tls:// alone; give that, or unset {', '.join(files)}"
            )
        if urlsplit(address).hostname not in LOOPBACK:
            logger.warning(
                "log rows go over the network unencrypted, use tls:// outside of a network of your own cluster=%s",
                address,
            )
        return None
    missing = [name for name, path in files.items() if path is None or not path.is_file()]
    if missing:
        raise ConfigError(f"--cluster {address}: {', '.join(missing)} must name a file each (PEM)")
    authority, certificate, key = files.values()
    assert authority is not None
    assert certificate is not None
    assert key is not None
    return authority, certificate, key
