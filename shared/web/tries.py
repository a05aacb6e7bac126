"""How often a secret may be guessed: so many tries a minute from one address, counted in the one worker's memory.

Whoever has IPv6 has a whole /64 of addresses, so a /64 counts as one.
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections.abc import Callable
from threading import Lock

from flask import abort, g, request
from flask.typing import ResponseReturnValue

ADDRESSES_MOST = 10_000  # more would be an attack on our memory; the one that has waited longest is forgotten

View = Callable[[], ResponseReturnValue]


class Tries:
    """At most `most` tries of each address in `per_s` seconds from its first one on; all limited views count together."""

    def __init__(self, most: int = 5, per_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_s, self._clock = most, per_s, clock
        self._seen: dict[str, tuple[float, int]] = {}  # address → (first try, tries), the oldest first
        self._lock = Lock()

    def take(self, address: str) -> int | None:
        """Use one try up; how many are left after it, None where there was none left."""
        with self._lock:
            now = self._clock()
            first, count = self._seen.get(address, (now, 0))
            if now - first >= self._per_s:
                first, count = now, 0
            if count >= self._most:
                return None
            if not count:
                self._seen.pop(address, None)  # it begins anew, so it is the youngest
            self._seen[address] = (first, count + 1)
            while len(self._seen) > ADDRESSES_MOST:
                del self._seen[next(iter(self._seen))]
            return self._most - count - 1

    def reset(self) -> None:
        """As if nobody had tried yet."""
        with self._lock:
            self._seen.clear()

    def limited(self, view: View) -> View:
        """The view, which a form reaches only while its sender has tries left; `g.tries_left` says how many."""

        @functools.wraps(view)
        def asked() -> ResponseReturnValue:
            if request.method == "POST":
                left = self.take(sender(request.remote_addr or ""))
                if left is None:
                    abort(429)
                g.tries_left = left
            return view()

        return asked


def sender(address: str) -> str:
    """What tries are counted under: an IPv4 address itself, of an IPv6 address its /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address  # a socket's name, or none at all
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), 64), strict=False))
