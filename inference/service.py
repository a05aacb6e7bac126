"""The parts of the daemon put together: what one reconciliation and one cycle need, for `run` and `once` alike."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import probation, reconcile, state
from inference.config import Settings
from inference.cycle import CycleReport, Limits, Standing, run_cycle
from inference.judging import Judges, Judging
from inference.ledger import Ledger
from inference.live import Live, check_url
from inference.metrics import Metrics
from inference.models import ModelSlot, Serving
from inference.reconciling import reconcile_settings
from inference.source import Cursor, LogSource, start_cursor
from shared.errors import ConfigError, StoreError
from shared.frame import parse_time
from shared.layout import model_id
from shared.values import iso

if TYPE_CHECKING:
    from inference.reconcile import Outcome

logger = logging.getLogger(__name__)

CLOCK_TOLERANCE_S = 300.0
DAY_S = 86_400.0


@dataclass
class Totals:
    """Counts since the daemon started."""

    rows: int = 0
    late: int = 0
    anomalies: int = 0


class Service:
    """State, models, source and outlets of one inference service. Used by one thread."""

    def __init__(self, settings: Settings, now: Callable[[], float] = time.time) -> None:
        if settings.redis_url:
            check_url(settings.redis_url)
        self.settings, self.now = settings, now
        self.db: sqlite3.Connection = state.open_checked(settings.state_file)
        self.state = state.State(self.db)
        self.slot = ModelSlot()
        self.source = open_source(settings)
        self.live = Live(settings.redis_url)
        self.metrics = Metrics()
        self.judges = self._fresh_judges()
        self.standing: Standing | None = None
        self.totals = Totals()
        self.warnings: tuple[str, ...] = ()
        self._shown: set[str] = set()
        self._seen_version = -1
        self._limits = Limits(settings.batch_rows, settings.cycle_rows)

    # --- models ------------------------------------------------------------------------------------------------

    def start(self) -> list[Outcome]:
        """Load the models that were active when the service last ran."""
        return reconcile.start(self.now, self.db, self.slot, reconcile_settings(self.settings))

    def reconcile(self) -> list[Outcome]:
        """Fulfil or refuse what is wished for in the inbox and on the pages."""
        return reconcile.reconcile(self.now, self.db, self.slot, reconcile_settings(self.settings))

    def on_probation(self) -> bool:
        """Whether a serving model is being watched."""
        return Ledger(self.db).has_probation()

    def is_asked(self) -> bool:
        """Whether another process has left a wish since the last call. Costs microseconds and writes nothing."""
        version = int(self.db.execute("PRAGMA data_version").fetchone()[0])
        changed, self._seen_version = version != self._seen_version, version
        return changed and Ledger(self.db).has_wishes()

    # --- cycles ------------------------------------------------------------------------------------------------

    def cycle(self, beat: Callable[[], None] = lambda: None) -> CycleReport | None:
        """One cycle under the models that serve now; None while there is none (the rows wait).

        Raises:
            SourceError: the log source failed; call again later.
            StoreError: the state could not be written; call `forget`, then again later.
        """
        if not self.slot.all():
            return None
        if self.standing is None:
            self.standing = self._stand()
        self.judges.refresh(self.source, self.standing.cursor, self.state.memory)
        return run_cycle(
            self.source, self.judges, self.standing, self.state, self.publish, self.now, self._limits, beat
        )

    def _stand(self) -> Standing:
        """Where the state file says we are; at the very first start where the settings say to begin."""
        cursor = self.state.cursor()
        if cursor is None:
            cursor = begin(self.source, self.settings.start)
            logger.info("reading begins start=%s after_id=%d", self.settings.start, cursor.last)
        self.warnings = tuple(self.source.warnings())
        for warning in self.warnings:
            logger.warning("%s", warning)
        return Standing(cursor, self.state.open_incidents())

    def forget(self) -> None:
        """After an error: drop what is in memory, so that the next cycle begins from the state file."""
        self.standing, self.judges = None, self._fresh_judges()
        self.state = state.State(self.db)

    def _fresh_judges(self) -> Judges:
        return Judges(self.slot, self._judge, self.settings.grace_s, self.settings.late_s)

    def _judge(self, serving: Serving) -> Judging:
        from shared.judge import Judge  # numpy: only when there is a model

        return Judge(serving.model, self.settings.alert_budget)

    # --- telling -----------------------------------------------------------------------------------------------

    def publish(self, report: CycleReport) -> None:
        """Tell the pages, Redis, Prometheus and the models' probation what a cycle did."""
        self.totals.rows += report.rows
        self.totals.late += report.late
        self.totals.anomalies += report.anomalies
        self._note_probation(report)
        self.show("running", cycle=report.as_json(), last_run=self.now(), lag_s=report.lag_s, source_error=None,
                  rows=self.totals.rows, late_rows=self.totals.late, gaps_expired=report.gaps_expired,
                  warnings=[*self.warnings, *self._clock_warning(report)])  # fmt: skip
        self.show_live(report)
        self.metrics.cycle(report)
        self.write_metrics()

    def show(self, doing: str, **facts: Any) -> None:
        """Write what the daemon is doing where the pages read it; a full disk must not end the daemon."""
        base = {"state": doing, "pid": os.getpid(), "source": describe_source(self.settings)}
        try:
            self.state.set_status({**base, **facts}, self.now())
        except StoreError as error:
            logger.warning("status not written error=%s", error)

    def show_live(self, report: CycleReport | None, running: bool = True, error: str = "") -> None:
        """The status of each model, and new anomalies, in Redis."""
        models = {model_id(each.agent, each.version): each for each in self.slot.all()}
        at = iso(self.now())
        status = {
            name: {
                "agent": each.agent, "version": each.version, "is_running": running, "last_run": at,
                "capabilities": ["anomaly_detection", "explanation", "silence"], "error": error,
                "description": each.model.spec.description, "rows": self.totals.rows,
                "anomalies": self.totals.anomalies,
            }
            for name, each in models.items()
        }  # fmt: skip
        self.live.publish(status, [verdict.as_json() for verdict in report.found] if report else [])
        self.live.forget(sorted(self._shown - set(models)))
        self._shown = set(models)

    def write_metrics(self) -> None:
        """The file that the web process serves at /metrics."""
        self.metrics.serving({each.agent: (each.version, float(each.serial)) for each in self.slot.all()})
        self.metrics.memory(resident_mb() * 1e6)
        try:
            self.metrics.write(self.settings.metrics_file)
        except StoreError as error:
            logger.warning("%s", error)

    def _note_probation(self, report: CycleReport) -> None:
        errors, serving = self.judges.take_errors(), {each.agent: each for each in self.slot.all()}
        for agent in {*report.agents, *errors} & serving.keys():
            judged = report.agents.get(agent)
            windows = judged.scored if judged else 0
            if windows or agent in errors:
                probation.note(
                    self.db, agent, serving[agent].version,
                    windows=windows, anomalies=judged.strange if judged else 0,
                    errors=int(agent in errors), latency_ms=judged.cpu_seconds * 1000 if judged else 0.0,
                    memory_mb=resident_mb(),
                )  # fmt: skip

    def _clock_warning(self, report: CycleReport) -> list[str]:
        apart = self.now() - report.source_now
        if abs(apart) <= CLOCK_TOLERANCE_S:
            return []
        return [f"this machine's clock is {apart:+.0f} s from the database's; windows follow the database's clock"]

    def prune(self) -> int:
        """Delete old verdicts, by the earlier of the two clocks and only while they agree to a day."""
        report_now = self.source.head().now
        if abs(report_now - self.now()) > DAY_S:
            return 0
        today = min(report_now, self.now())
        Ledger(self.db).forget_transfers(today - self.settings.keep_anomaly_days * DAY_S)
        return self.state.prune(
            today - self.settings.keep_days * DAY_S, today - self.settings.keep_anomaly_days * DAY_S
        )

    def close(self) -> None:
        """Let go of everything."""
        reconcile.stop(self.db)
        self.source.close()
        self.live.close()
        self.db.close()


def open_source(settings: Settings) -> LogSource:
    """The log source that the settings name; the embedded one is created where it is missing.

    Raises:
        ConfigError: the URL is of no kind that is known.
    """
    url = settings.source_url
    if url.startswith(("postgresql://", "postgres://")):
        from inference.postgres import PostgresSource  # 11 MB that the embedded store need not have

        return PostgresSource(url, settings.table, settings.column_names, settings.query_timeout_s)
    if url.startswith("sqlite:///"):
        from inference.sqlite_source import SqliteSource, create_table

        path = Path(url.removeprefix("sqlite:///")).expanduser()
        if settings.is_embedded:
            create_table(path)
        return SqliteSource(path, settings.table, settings.column_names)
    kind = url.partition(":")[0][:20]
    raise ConfigError(f"settings: INFERENCE_DATABASE_URL begins with {kind!r}; use postgresql://… or sqlite:///FILE")


def describe_source(settings: Settings) -> str:
    """The source without user and password."""
    if not settings.source_url.startswith("postgres"):
        return settings.source_url
    from inference.postgres import describe

    return describe(settings.source_url)


def begin(source: LogSource, start: str) -> Cursor:
    """The first cursor, from the setting `start`.

    Raises:
        ConfigError: it is no span, word or date.
    """
    try:
        return start_cursor(source, start, parse_time)
    except ValueError as error:
        raise ConfigError(
            f"settings: INFERENCE_START is {start!r}, not 24h, 7d, all, now or a date ({error})"
        ) from None


def resident_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
