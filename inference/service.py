"""The parts of the daemon put together: what one reconciliation and one cycle need, for `run` and `once` alike."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from inference import reconcile, state
from inference.bundles import probation
from inference.bundles.ledger import Ledger
from inference.bundles.reconciling import load_kept, reconcile_settings
from inference.bundles.store import BundleStore
from inference.config import Settings
from inference.cycle import CycleReport, Limits, Standing, run_cycle
from inference.following import Following
from inference.judging.bench import Judging
from inference.judging.challenging import ChallengedJudges
from inference.judging.revising import Reviser
from inference.keeping import reading as read
from inference.keeping.disk import Disk
from inference.live import check_url
from inference.models import ModelSlot, Serving
from inference.monitor import Monitor
from inference.publishing import Publisher, resident_mb
from inference.said import marks
from inference.sources.opening import begin, open_source
from inference.sources.steady import SteadyClock
from inference.telling.alarms import Alarms
from inference.telling.choosing import Teller
from inference.telling.courier import Courier
from inference.telling.oddities import Oddities
from shared.config import environ
from shared.errors import SourceError, StoreError

if TYPE_CHECKING:
    from inference.reconcile import Outcome

logger = logging.getLogger(__name__)

DAY_S = 86_400.0


class Service:
    """State, models, source and outlets of one inference service. Used by one thread."""

    def __init__(
        self, settings: Settings, now: Callable[[], float] = time.time, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        if settings.redis_url:
            check_url(settings.redis_url)
        self.settings, self.now = settings, now
        self.disk = Disk(settings.state_folder)
        self.db: sqlite3.Connection = state.open_checked(settings.state_file)
        wanted = settings.notify_urls
        self._tell = Teller(settings.page_url, settings.notify_template) if wanted else None
        self.state = self._fresh_state()
        self.courier = Courier(self.db, environ()) if settings.notify_urls else None
        self.alarms = Alarms(self.db, bool(settings.notify_urls), settings.silent_minutes)
        self.oddities = Oddities(self.alarms)
        self.slot = ModelSlot()
        self.source = open_source(settings, on_wait)
        self.following = Following(self.db, self.slot, self._kept, settings.alert_budget)
        self.publisher = Publisher(settings, self.db, self.slot, self.following.awake, now)
        self.monitor = Monitor(self.db, settings.state_folder / "store", settings, self.publisher.metrics)
        self.judges = self._fresh_judges()
        self.clock = SteadyClock()
        self.standing: Standing | None = None
        self.warnings: tuple[str, ...] = ()
        self._limits = Limits(settings.batch_rows, settings.cycle_rows)

    # --- models ------------------------------------------------------------------------------------------------

    def start(self) -> list[Outcome]:
        """Load the models that were active when the service last ran."""
        outcomes = reconcile.start(self.now, self.db, self.slot, reconcile_settings(self.settings))
        self.following.follow(self.now())
        return outcomes

    def reconcile(self) -> list[Outcome]:
        """Fulfil or refuse what is wished for in the inbox and on the pages."""
        outcomes = reconcile.reconcile(self.now, self.db, self.slot, reconcile_settings(self.settings))
        self.alarms.models(outcomes, self.now())
        if self.following.follow(self.now()) and self.standing is not None:
            self.standing.incidents = self.state.open_incidents()
        return outcomes

    def on_probation(self) -> bool:
        """Whether a serving model is being watched."""
        return Ledger(self.db).has_probation()

    def _kept(self, agent: str, version: str) -> Serving:
        store = BundleStore(self.db, self.settings.state_folder / "store")
        return load_kept(store, self.settings.inbox_folder, agent, version, self.now())

    def _model_of(self, agent: str, version: str) -> Serving | None:
        """A version that scored windows once, to judge them again; None where it is here no more."""
        try:
            return self._kept(agent, version)
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
        self.following.take_up_budgets(self.judges)
        reviser = Reviser(self.state, self._model_of, self._judge)
        try:
            return run_cycle(
                self.source, self.judges, self.standing, self.state, self.publish, self.now, self._limits, beat, reviser,
                self.clock,
            )  # fmt: skip
        except SourceError:
            self.standing.is_known = False  # what answers next may be restored from a backup
            raise

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
        self.following.challengers.forget()

    def _fresh_state(self) -> state.State:
        return state.State(self.db, self._tell) if self._tell else state.State(self.db)

    def _fresh_judges(self) -> ChallengedJudges:
        limits, beside = (self.settings.grace_s, self.settings.late_s), self.following.challengers
        return ChallengedJudges(self.following.awake, beside.slot, self._judge, *limits, beside.take)

    def _judge(self, serving: Serving) -> Judging:
        from shared.judge import Judge  # numpy: only when there is a model

        return Judge(serving.model, self.following.budget_of(serving))

    # --- telling -----------------------------------------------------------------------------------------------

    def publish(self, report: CycleReport) -> None:
        """Tell the pages, Redis, Prometheus and the models' probation what a cycle did."""
        odd = self.oddities.of(report, self.now())
        self.publisher.cycle(report, self.judges.serving(), self.judges.errors, self.warnings + odd)
        self._note_probation(report)
        self.alarms.rows(report.newest_row, report.source_now, self.now())
        versions = {each.agent: each.version for each in self.slot.all()}
        self.monitor.note(report, versions, resident_mb(), self.now())
        self.following.challengers.flush(self.judges.take_challenger_errors())
        if report.drained:
            self.monitor.measure(self.slot.all(), self.now())
            self.alarms.drift(self.monitor.take(), self.now())
        self.publisher.write_metrics()

    def deliver(self, wait_s: float = 0.0) -> None:
        """Have messages sent that are due, if anybody wants any; waits for them at most `wait_s`."""
        if self.courier is None:
            return
        self.courier.look(self.now())
        if wait_s:
            self.courier.wait(wait_s)

    def _note_probation(self, report: CycleReport) -> None:
        errors, serving = self.judges.take_errors(), {each.agent: each for each in self.slot.all()}
        for agent in {*report.agents, *errors} & serving.keys():
            judged = report.agents.get(agent)
            if agent in errors or (judged and judged.scored):
                probation.note_cycle(self.db, agent, serving[agent].version, judged, agent in errors, resident_mb())

    def prune(self) -> int:
        """Delete old verdicts, by the earlier of the two clocks and only while they agree to a day."""
        report_now = self.source.head().now
        if abs(report_now - self.now()) > DAY_S:
            return 0
        newest = read.newest_end(self.db)
        today = min(report_now, self.now(), (newest or 0.0) + DAY_S)  # a clock that is years ahead deletes nothing
        self.monitor.forget(today)
        marks.expire(self.db, today)
        Ledger(self.db).forget_transfers(today - self.settings.keep_anomaly_days * DAY_S)
        return self.state.prune(
            today - self.settings.keep_days * DAY_S, today - self.settings.keep_anomaly_days * DAY_S
        )

    def close(self) -> None:
        """Let go of everything."""
        self.monitor.close(self.now())
        reconcile.stop(self.db)
        self.source.close()
        self.publisher.live.close()
        if self.courier is not None:
            self.courier.stop()
        self.db.close()
