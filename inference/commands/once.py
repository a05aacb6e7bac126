"""`once`: one reconciliation and cycles until nothing waits."""

from __future__ import annotations

from typing import Any

from inference.config import Settings
from inference.daemon import one_daemon
from inference.service import Service

NOTIFY_S = 60.0


def run_once(settings: Settings) -> dict[str, Any]:
    """Take models in and judge what waits; returns the sums of all cycles and what became of the wishes.

    Raises:
        SourceError: the log source does not answer.
        StoreError: a daemon runs already, or the state cannot be written.
    """
    with one_daemon(settings.lock_file):
        service = Service(settings)
        try:
            outcomes = [*service.start(), *service.reconcile()]
            report: dict[str, Any] = {"rows": 0, "seen": 0, "windows": 0, "anomalies": 0, "late": 0, "seconds": 0.0}
            while (cycle := service.cycle()) is not None:
                for name in report:
                    report[name] += getattr(cycle, name)
                if cycle.drained:
                    break
            if service.slot.all():
                service.reconcile()  # probation may have an answer now
            service.deliver(NOTIFY_S)
            service.publisher.show("stopped")
            report["models"] = {each.agent: each.version for each in service.slot.all()}
            report["bundles"] = [
                {
                    "agent": each.agent,
                    "version": each.version,
                    "state": each.state,
                    "code": each.code,
                    "reason": each.reason,
                }
                for each in outcomes
            ]
            return report
        finally:
            service.close()
