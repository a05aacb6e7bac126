"""Telling systemd how the daemon is (sd_notify(3)): a datagram to $NOTIFY_SOCKET, nothing where there is none."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


class Notifier:
    """READY, STATUS, WATCHDOG and STOPPING for a `Type=notify` unit."""

    def __init__(self, env: Mapping[str, str]) -> None:
        path = env.get("NOTIFY_SOCKET", "")
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self.watchdog_s = int(env.get("WATCHDOG_USEC") or 0) / 1e6 or None

    def send(self, *lines: str) -> None:
        """Send e.g. `READY=1` and `STATUS=…`; a systemd that does not listen is no reason to stop."""
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out:
                out.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), self._address)
        except OSError as error:
            logger.debug("systemd does not listen error=%s", error)

    def ready(self, status: str) -> None:
        """The daemon is up."""
        self.send("READY=1", f"STATUS={status}")

    def alive(self, status: str) -> None:
        """The daemon's loop turns."""
        self.send("WATCHDOG=1", f"STATUS={status}")

    def stopping(self) -> None:
        """The daemon ends on purpose."""
        self.send("STOPPING=1", "STATUS=stopping")
