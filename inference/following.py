"""What people set on the pages, taken up between two cycles: paused agents, challengers, alert budgets."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable

from inference.bundles.ledger import Ledger
from inference.judging.challenging import Awake, Challengers
from inference.judging.judges import Judges
from inference.keeping.writing import PAUSED, end_incidents
from inference.models import ModelSlot, Serving
from inference.said import switches
from inference.said.budgets import budgets

logger = logging.getLogger(__name__)


class Following:
    """What is set now, and what the daemon has taken up of it. `usual_budget`: of agents that nothing is set for."""

    def __init__(
        self, db: sqlite3.Connection, slot: ModelSlot, load: Callable[[str, str], Serving], usual_budget: float | None
    ) -> None:
        self._db, self._slot, self._usual_budget = db, slot, usual_budget
        self.awake = Awake(slot)
        self.challengers = Challengers(db, load)
        self._switches: dict[str, switches.Switch] = {}
        self._budgets: dict[str, float] | None = None
        self._seen_version = -1

    def follow(self, now: float) -> bool:
        """Pause the agents that somebody paused, and judge the challengers that somebody wants.

        Whether incidents ended by it: what is in memory of them is then out of date.
        """
        ended = 0
        self._switches = switches.switches(self._db)
        paused = frozenset(agent for agent, each in self._switches.items() if each.paused)
        for agent in paused - self.awake.paused:  # when it goes on it begins anew: what it missed is nobody's
            self._db.execute("DELETE FROM memory WHERE agent = ?", (agent,))
            ended += end_incidents(self._db, agent, PAUSED)
        if self.awake.pause(paused):
            logger.info("paused agents are now agents=%s", ",".join(sorted(paused)) or "none")
        self.challengers.follow({each.agent: each.version for each in self._slot.all()}, now)
        return ended > 0

    def is_asked(self) -> bool:
        """Whether another process has left a wish since the last call. Costs microseconds and writes nothing."""
        version = int(self._db.execute("PRAGMA data_version").fetchone()[0])
        changed, self._seen_version = version != self._seen_version, version
        return changed and (Ledger(self._db).has_wishes() or switches.switches(self._db) != self._switches)

    def take_up_budgets(self, judges: Judges) -> None:
        """Judge by the alert budgets as they are set now; judges that were seated since know them already."""
        now = {agent: each.per_week for agent, each in budgets(self._db).items()}
        if now != self._budgets:
            former, self._budgets = self._budgets, now
            judges.set_budgets(self.budget_of)
            if former is not None or now:
                logger.info("alert budgets are now %s", now or "those of the models")

    def budget_of(self, serving: Serving) -> float | None:
        """Incidents a week and host that a model is to be judged by; None: as its bundle says."""
        return (self._budgets or {}).get(serving.agent, self._usual_budget)
