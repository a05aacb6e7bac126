"""The parts of the daemon put together: what one reconciliation and one cycle need, for `run` and `once` alike."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inference import probation, reconcile, state, switches
from inference import state_read as read
from inference.agents import AGENTS_KEY, CAPABILITIES, FILES_KEY, AgentFiles
from inference.alarms import Alarms
from inference.bench import Judging
from inference.budgets import budgets
from inference.bundle_store import BundleStore
from inference.challenging import Awake, ChallengedJudges, Challengers
from inference.config import Settings
from inference.courier import Courier
from inference.cycle import CycleReport, Limits, Standing, run_cycle
from inference.disk import Disk
from inference.ledger import Ledger
from inference.live import Live, check_url
from inference.metrics import Metrics
from inference.models import ModelSlot, Serving
from inference.monitor import Monitor
from inference.reconciling import load_kept, reconcile_settings
from inference.revising import Reviser
from inference.source import Cursor, LogSource, start_cursor
from inference.steady import SteadyClock
from inference.telling import Teller
from shared.config import environ
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
        self._started = now()
        self.disk = Disk(settings.state_folder)
        self.db: sqlite3.Connection = state.open_checked(settings.state_file)
        self.state = self._fresh_state()
        self.courier = Courier(self.db, environ()) if settings.notify_urls else None
        self.alarms = Alarms(self.db, bool(settings.notify_urls), settings.silent_minutes)
        self.slot = ModelSlot()
        self.source = open_source(settings)
        self.live = Live(settings.redis_url)
        self.metrics = Metrics()
        self.awake = Awake(self.slot)
        self.challengers = Challengers(self.db, self._load_challenger)
        self.monitor = Monitor(self.db, settings.state_folder / "store", settings, self.metrics)
        self.agent_files = AgentFiles(settings.agents_dir)
        self.agents: dict[str, dict[str, Any]] = {}
        self._switches: dict[str, switches.Switch] = {}
        self.judges = self._fresh_judges()
        self.clock = SteadyClock()
        self._budgets: dict[str, float] | None = None
        self.standing: Standing | None = None
        self.totals = Totals()
        self.warnings: tuple[str, ...] = ()
        self._shown: set[str] = set()
        self._seen_version = -1
        self._limits = Limits(settings.batch_rows, settings.cycle_rows)

    # --- models ------------------------------------------------------------------------------------------------

    def start(self) -> list[Outcome]:
        """Load the models that were active when the service last ran."""
        outcomes = reconcile.start(self.now, self.db, self.slot, reconcile_settings(self.settings))
        self.follow()
        return outcomes

    def reconcile(self) -> list[Outcome]:
        """Fulfil or refuse what is wished for in the inbox and on the pages."""
        outcomes = reconcile.reconcile(self.now, self.db, self.slot, reconcile_settings(self.settings))
        self.alarms.models(outcomes, self.now())
        self.follow()
        return outcomes

    def follow(self) -> None:
        """Pause the agents that somebody paused, and judge the challengers that somebody wants."""
        self._switches = switches.switches(self.db)
        paused = frozenset(agent for agent, each in self._switches.items() if each.paused)
        for agent in paused - self.awake.paused:  # when it goes on it begins anew: what it missed is nobody's
            self.db.execute("DELETE FROM memory WHERE agent = ?", (agent,))
        if self.awake.pause(paused):
            logger.info("paused agents are now agents=%s", ",".join(sorted(paused)) or "none")
        self.challengers.follow({each.agent: each.version for each in self.slot.all()}, self.now())

    def _load_challenger(self, agent: str, version: str) -> Serving:
        return load_kept(BundleStore(self.db, self.settings.state_folder / "store"), agent, version, self.now())

    def on_probation(self) -> bool:
        """Whether a serving model is being watched."""
        return Ledger(self.db).has_probation()

    def is_asked(self) -> bool:
        """Whether another process has left a wish since the last call. Costs microseconds and writes nothing."""
        version = int(self.db.execute("PRAGMA data_version").fetchone()[0])
        changed, self._seen_version = version != self._seen_version, version
        return changed and (Ledger(self.db).has_wishes() or switches.switches(self.db) != self._switches)

    def _model_of(self, agent: str, version: str) -> Serving | None:
        """A version that scored windows once, to judge them again; None where it is here no more."""
        try:
            return load_kept(BundleStore(self.db, self.settings.state_folder / "store"), agent, version, self.now())
        except Exception as error:  # a copy that is gone or damaged is as good as none
            logger.warning("model not loaded agent=%s version=%s error=%s", agent, version, error)
            return None

    # --- cycles ------------------------------------------------------------------------------------------------

    def cycle(self, beat: Callable[[], None] = lambda: None) -> CycleReport | None:
        """One cycle under the models that serve now; None while there is none (the rows wait).

        Raises:
            SourceError: the log source failed; call again later.
            StoreError: the state could not be written, or the disk is nearly full; call `forget`, then again later.
        """
        if not self.slot.all():
            return None
        self._make_sure_of_room()
        if self.standing is None:
            self.standing = self._stand()
        self.judges.refresh(self.source, self.standing.cursor, self.state.memory)
        self._take_up_budgets()
        reviser = Reviser(self.state, self._model_of, self._judge)
        return run_cycle(
            self.source, self.judges, self.standing, self.state, self.publish, self.now, self._limits, beat, reviser,
            self.clock,
        )  # fmt: skip

    def _make_sure_of_room(self) -> None:
        """Stop before the disk is full: what is not read now is read later.

        Raises:
            StoreError: it nearly is.
        """
        if self.disk.is_nearly_full():
            if self.disk.drop_ballast():
                self.prune()
            raise StoreError(f"the disk is nearly full ({self.disk.free_text()}); make room, nothing is lost meanwhile")
        self.disk.load_ballast()

    def _take_up_budgets(self) -> None:
        """Judge by the alert budgets as they are set now; judges that were seated since know them already."""
        now = {agent: each.per_week for agent, each in budgets(self.db).items()}
        if now != self._budgets:
            former, self._budgets = self._budgets, now
            self.judges.set_budgets(self._budget_of)
            if former is not None or now:
                logger.info("alert budgets are now %s", now or "those of the models")

    def _budget_of(self, serving: Serving) -> float | None:
        return (self._budgets or {}).get(serving.agent, self.settings.alert_budget)

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
        self.state = self._fresh_state()
        self.challengers.forget()

    def _fresh_state(self) -> state.State:
        return (
            state.State(self.db, Teller(self.settings.page_url)) if self.settings.notify_urls else state.State(self.db)
        )

    def _fresh_judges(self) -> ChallengedJudges:
        limits = (self.settings.grace_s, self.settings.late_s)
        return ChallengedJudges(self.awake, self.challengers.slot, self._judge, *limits, self.challengers.take)

    def _judge(self, serving: Serving) -> Judging:
        from shared.judge import Judge  # numpy: only when there is a model

        return Judge(serving.model, self._budget_of(serving))

    # --- telling -----------------------------------------------------------------------------------------------

    def publish(self, report: CycleReport) -> None:
        """Tell the pages, Redis, Prometheus and the models' probation what a cycle did."""
        self.totals.rows += report.rows
        self.totals.late += report.late
        self.totals.anomalies += report.anomalies
        self._note_agents(report)
        self._note_probation(report)
        self.show("running", cycle=report.as_json(), last_run=self.now(), lag_s=report.lag_s, source_error=None,
                  rows=self.totals.rows, late_rows=self.totals.late, gaps_expired=report.gaps_expired,
                  warnings=[*self.warnings, *self._clock_warning(report)])  # fmt: skip
        self.alarms.rows(report.newest_row, report.source_now, self.now())
        self.show_live(report)
        self.metrics.cycle(report)
        versions = {each.agent: each.version for each in self.slot.all()}
        self.monitor.note(report, versions, resident_mb(), self.now())
        self.challengers.flush(self.judges.take_challenger_errors())
        if report.drained:
            self.monitor.measure(self.slot.all(), self.now())
        self.write_metrics()

    def _note_agents(self, report: CycleReport) -> None:
        """How each agent is, for the pages; a judge that failed is told until it judges again."""
        serving, seated = self.slot.all(), self.judges.serving()
        for gone in self.agents.keys() - {each.agent for each in serving}:
            del self.agents[gone]
        for each in serving:
            known = self.agents.get(each.agent, {"last_run": None, "error": ""})
            error = self.judges.errors.get(each.agent, "" if each.agent in seated else known["error"])
            paused, judged = each.agent in self.awake.paused, report.agents.get(each.agent)
            self.agents[each.agent] = {
                "version": each.version, "paused": paused, "error": "" if paused else error,
                "last_run": self.now() if each.agent in seated else known["last_run"],
                "windows": judged.windows if judged else 0, "anomalies": judged.anomalies if judged else 0,
                "cpu_s": round(judged.cpu_seconds, 6) if judged else 0.0,
            }  # fmt: skip

    def show(self, doing: str, **facts: Any) -> None:
        """Write what the daemon is doing where the pages read it; a full disk must not end the daemon."""
        base = {"state": doing, "pid": os.getpid(), "source": describe_source(self.settings)}
        base |= {AGENTS_KEY: self.agents, FILES_KEY: [asdict(each) for each in self.agent_files.look()]}
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
                "agent": each.agent, "version": each.version, "last_run": at, "capabilities": list(CAPABILITIES),
                "is_running": running and each.agent not in self.awake.paused,
                "error": error or self.agents.get(each.agent, {}).get("error", ""),
                "description": each.model.spec.description, "rows": self.totals.rows,
                "anomalies": self.totals.anomalies,
            }
            for name, each in models.items()
        }  # fmt: skip
        self.live.publish(status, [verdict.as_json() for verdict in report.found] if report else [])
        self.live.forget(sorted(self._shown - set(models)))
        self._shown = set(models)

    def deliver(self, wait_s: float = 0.0) -> None:
        """Have messages sent that are due, if anybody wants any; waits for them at most `wait_s`."""
        if self.courier is None:
            return
        self.courier.look(self.now())
        if wait_s:
            self.courier.wait(wait_s)

    def write_metrics(self) -> None:
        """The file that the web process serves at /metrics."""
        self.metrics.serving({each.agent: (each.version, float(each.serial)) for each in self.slot.all()})
        self.metrics.memory(resident_mb() * 1e6)
        self.metrics.alive(self._started, self.now())
        try:
            rows = self.db.execute("SELECT agent, state, count(*) FROM bundles GROUP BY agent, state").fetchall()
            self.metrics.bundles({(agent, state): count for agent, state, count in rows})
            self.metrics.write(self.settings.metrics_file)
        except (StoreError, sqlite3.Error) as error:
            logger.warning("metrics not written error=%s", error)

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
        newest = read.newest_end(self.db)
        today = min(report_now, self.now(), (newest or 0.0) + DAY_S)  # a clock that is years ahead deletes nothing
        self.monitor.forget(today)
        Ledger(self.db).forget_transfers(today - self.settings.keep_anomaly_days * DAY_S)
        return self.state.prune(
            today - self.settings.keep_days * DAY_S, today - self.settings.keep_anomaly_days * DAY_S
        )

    def close(self) -> None:
        """Let go of everything."""
        self.monitor.close(self.now())
        reconcile.stop(self.db)
        self.source.close()
        self.live.close()
        if self.courier is not None:
            self.courier.stop()
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
