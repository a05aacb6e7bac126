"""What people are told besides incidents: a model that was refused or given back, drift, logs that no longer come."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable

from inference.bundles.reconciling import REFUSED, RETURNED, Outcome
from inference.telling import outbox
from inference.telling.messages import drift_message, when
from inference.watching.drifting import DRIFTED, DriftReport
from shared.values import ALL_HOSTS, SILENT

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S

logger = logging.getLogger(__name__)


class Alarms:
    """Puts such messages into the outbox, each once; without addresses to send to it does nothing."""

    def __init__(self, db: sqlite3.Connection, wanted: bool, silent_minutes: float) -> None:
        self._db, self._wanted, self._silent_s = db, wanted, silent_minutes * 60
        self._failing_since: float | None = None

    def models(self, outcomes: Iterable[Outcome], now: float) -> None:
        """Tell of bundles that were refused, or given back on probation."""
        for outcome in outcomes:
            if outcome.state not in (REFUSED, RETURNED):
                continue
            what = "was refused" if outcome.state == REFUSED else "did not prove itself and was taken out of service"
            serves = f"{outcome.previous} serves" if outcome.previous else "the one before goes on, if there was one"
            key = f"model/{outcome.agent}/{outcome.version}/{outcome.state}/{outcome.code}"
            title = f"model {outcome.agent} {outcome.version} {what}"
            self._put("model", key, "warning", title, f"{outcome.reason or outcome.code}\n{serves}", now)

    def drift(self, reports: Iterable[DriftReport], now: float) -> None:
        """Tell of models that the log has drifted away from: at once, and again every week that it stays so."""
        for report in reports:
            if report.word != DRIFTED:
                continue
            key = f"drift/{report.agent}/{report.version}/{now // WEEK_S:.0f}"
            self._put("drift", key, "warning", *drift_message(report), now)

    def rows(self, newest: float | None, source_now: float, now: float) -> None:
        """The source answered; its newest row is of `newest`, its clock says `source_now`."""
        self._failing_since = None
        if newest is not None and self._silent_s and source_now - newest > self._silent_s and not self._is_told():
            minutes = (source_now - newest) / 60
            title = f"no logs for {minutes:,.0f} minutes"
            body = f"The newest row is of {when(newest)}. See whether rsyslog and the access points still write."
            self._put("source", f"silent/{newest:.0f}", "warning", title, body, now)

    def _is_told(self) -> bool:
        """Whether an incident says so already: people are told of one thing once."""
        query = "SELECT 1 FROM incidents WHERE state = 'open' AND host = ? AND found_by = ?"
        return self._db.execute(query, (ALL_HOSTS, SILENT)).fetchone() is not None

    def begun_again(self, words: str, now: float) -> None:
        """The log table is another one than before."""
        self._put("source", f"anew/{now:.0f}", "warning", "the log table counts its ids anew", words, now)

    def strangers(self, words: str, now: float) -> None:
        """More hosts write than can be; told once a day."""
        self._put("source", f"strangers/{now // DAY_S:.0f}", "warning", "too many unknown hosts write", words, now)

    def source_failed(self, error: str, now: float) -> None:
        """The source did not answer."""
        self._failing_since = now if self._failing_since is None else self._failing_since
        if self._silent_s and now - self._failing_since > self._silent_s:
            minutes = (now - self._failing_since) / 60
            title = f"no answer from the log database for {minutes:,.0f} minutes"
            self._put("source", f"source/{self._failing_since:.0f}", "warning", title, error, now)

    def _put(self, kind: str, key: str, severity: str, title: str, body: str, now: float) -> None:
        if not self._wanted:
            return
        try:
            outbox.put(self._db, kind, key, severity, title, body, now)
        except sqlite3.Error as error:
            logger.warning("message not kept error=%s title=%s", error, title)
