"""What a cycle did and how the daemon is, where others read it: the status on the pages, Redis, the metrics file."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from inference.agents import AGENTS_KEY, CAPABILITIES, FILES_KEY, AgentFiles
from inference.config import Settings
from inference.cycle import CycleReport
from inference.judging.challenging import Awake
from inference.live import Live
from inference.metrics import Metrics
from inference.models import ModelSlot
from inference.sources.opening import describe_source
from inference.state import State
from shared.errors import StoreError
from shared.layout import model_id
from shared.values import iso

logger = logging.getLogger(__name__)

CLOCK_TOLERANCE_S = 300.0


@dataclass
class Totals:
    """Counts since the daemon started."""

    rows: int = 0
    late: int = 0
    anomalies: int = 0


class Publisher:
    """The outlets of one service. A failing one is logged and harms no cycle."""

    def __init__(
        self, settings: Settings, db: sqlite3.Connection, slot: ModelSlot, awake: Awake, now: Callable[[], float]
    ) -> None:
        self._settings, self._db, self._slot, self._awake, self._now = settings, db, slot, awake, now
        self._started = now()
        self.live = Live(settings.redis_url)
        self.metrics = Metrics()
        self.totals = Totals()
        self.agents: dict[str, dict[str, Any]] = {}
        self._agent_files = AgentFiles(settings.agents_dir)
        self._shown: set[str] = set()

    def cycle(
        self, report: CycleReport, seated: Iterable[str], errors: Mapping[str, str], warnings: Iterable[str]
    ) -> None:
        """Tell what a cycle did: `seated` are the agents that judge, `errors` says of what the others' judges died."""
        self.totals.rows += report.rows
        self.totals.late += report.late
        self.totals.anomalies += report.anomalies
        self._note_agents(report, set(seated), errors)
        self.show("running", cycle=report.as_json(), last_run=self._now(), lag_s=report.lag_s, source_error=None,
                  rows=self.totals.rows, late_rows=self.totals.late, gaps_expired=report.gaps_expired,
                  warnings=[*warnings, *self._clock_warning(report)])  # fmt: skip
        self.show_live(report)
        self.metrics.cycle(report)

    def _note_agents(self, report: CycleReport, seated: set[str], errors: Mapping[str, str]) -> None:
        """How each agent is, for the pages; a judge that failed is told until it judges again."""
        serving = self._slot.all()
        for gone in self.agents.keys() - {each.agent for each in serving}:
            del self.agents[gone]
        for each in serving:
            known = self.agents.get(each.agent, {"last_run": None, "error": ""})
            error = errors.get(each.agent, "" if each.agent in seated else known["error"])
            paused, judged = each.agent in self._awake.paused, report.agents.get(each.agent)
            self.agents[each.agent] = {
                "version": each.version, "paused": paused, "error": "" if paused else error,
                "last_run": self._now() if each.agent in seated else known["last_run"],
                "windows": judged.windows if judged else 0, "anomalies": judged.anomalies if judged else 0,
                "cpu_s": round(judged.cpu_seconds, 6) if judged else 0.0,
            }  # fmt: skip

    def show(self, doing: str, **facts: Any) -> None:
        """Write what the daemon is doing where the pages read it; a full disk must not end the daemon."""
        base = {"state": doing, "pid": os.getpid(), "source": describe_source(self._settings)}
        base |= {AGENTS_KEY: self.agents, FILES_KEY: [asdict(each) for each in self._agent_files.look()]}
        try:
            State(self._db).set_status({**base, **facts}, self._now())
        except StoreError as error:
            logger.warning("status not written error=%s", error)

    def show_live(self, report: CycleReport | None, running: bool = True, error: str = "") -> None:
        """The status of each model, and new anomalies, in Redis."""
        models = {model_id(each.agent, each.version): each for each in self._slot.all()}
        at = iso(self._now())
        status = {
            name: {
                "agent": each.agent, "version": each.version, "last_run": at, "capabilities": list(CAPABILITIES),
                "is_running": running and each.agent not in self._awake.paused,
                "error": error or self.agents.get(each.agent, {}).get("error", ""),
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
        self.metrics.serving({each.agent: (each.version, float(each.serial)) for each in self._slot.all()})
        self.metrics.memory(resident_mb() * 1e6)
        self.metrics.alive(self._started, self._now())
        try:
            rows = self._db.execute("SELECT agent, state, count(*) FROM bundles GROUP BY agent, state").fetchall()
            self.metrics.bundles({(agent, state): count for agent, state, count in rows})
            self.metrics.write(self._settings.metrics_file)
        except (StoreError, sqlite3.Error) as error:
            logger.warning("metrics not written error=%s", error)

    def _clock_warning(self, report: CycleReport) -> list[str]:
        apart = self._now() - report.source_now
        if abs(apart) <= CLOCK_TOLERANCE_S:
            return []
        return [f"this machine's clock is {apart:+.0f} s from the database's; windows follow the database's clock"]


def resident_mb() -> float:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
