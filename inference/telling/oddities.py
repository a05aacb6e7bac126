"""What is odd about the log table and its rows, for the page's warnings; what people must know is a notification as well."""

from __future__ import annotations

from inference.cycle import CycleReport
from inference.telling.alarms import Alarms
from shared.crowd import MOST_STRANGERS

SHOWN_S = 3600.0


class Oddities:
    """Takes each cycle's report in, and says what is odd now."""

    def __init__(self, alarms: Alarms) -> None:
        self._alarms = alarms
        self._begun_again = ""  # shown until the daemon is started again
        self._strangers, self._strangers_at = 0, -SHOWN_S  # rows passed over, and when that was last

    def of(self, report: CycleReport, now: float) -> tuple[str, ...]:
        """The warnings after a cycle."""
        if report.begun_again:
            self._begun_again = report.begun_again
            self._alarms.begun_again(report.begun_again, now)
        return tuple(filter(None, (self._begun_again, report.note, self._crowd(report.strangers, now))))

    def _crowd(self, rows: int, now: float) -> str:
        if not 0 <= now - self._strangers_at < SHOWN_S:
            self._strangers = 0
        if rows:
            self._strangers, self._strangers_at = self._strangers + rows, now
        if not self._strangers:
            return ""
        words = (
            f"{self._strangers:,} rows of hosts that training did not know were passed over: more than {MOST_STRANGERS:,}"
            " such names wrote within half an hour; somebody makes names up, or the model is of another network"
        )
        self._alarms.strangers(words, now)
        return words
