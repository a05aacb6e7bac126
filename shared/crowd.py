"""So many hosts that training did not know: whoever can send log lines can make names up, one for each line.

Hosts of training are always judged. Of others the first `MOST_STRANGERS` of any half hour are; lines of further ones are
counted and passed over, in the order of the rows, so that the daemon and `replay` pass over the same ones.
"""

from __future__ import annotations

from collections.abc import Callable

MOST_STRANGERS = 1_000  # 10 MB of memory, and 200 MB of verdicts a day


class Crowd:
    """Which hosts are let in. `knows`: whether training knew a host; `spans`: how many spans a stranger counts for."""

    def __init__(self, knows: Callable[[str], bool], spans: int) -> None:
        self._knows, self._spans = knows, spans
        self._known: set[str] = set()  # those of training that have spoken
        self._strangers: dict[str, int] = {}  # the last span that each spoke in
        self._newest = 0
        self.passed_over = 0  # rows of hosts that were not let in

    def admits(self, host: str, span: int) -> bool:
        """Whether rows of this host are read; asked for the first of each of its spans (and for each that is refused)."""
        if host in self._known:
            return True
        if span > self._newest:
            self._newest = span
            self._strangers = {name: last for name, last in self._strangers.items() if last > span - self._spans}
        if host not in self._strangers:
            if self._knows(host):
                self._known.add(host)
                return True
            if len(self._strangers) >= MOST_STRANGERS:
                self.passed_over += 1
                return False
        self._strangers[host] = max(span, self._strangers.get(host, span))
        return True
