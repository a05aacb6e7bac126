"""The web process's own figures, in the text that Prometheus reads. Labels are our endpoint names: never user text."""

from __future__ import annotations

import threading
from collections import Counter

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)


class Meter:
    """Counts answers and how long they took. Small on purpose: the daemon's metrics come from its own file."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._answers: Counter[tuple[str, int]] = Counter()
        self._buckets: Counter[float] = Counter()
        self._sum_s = 0.0

    def count(self, endpoint: str | None, status: int, seconds: float) -> None:
        """One answer was given."""
        with self._lock:
            self._answers[endpoint or "unknown", status] += 1
            self._sum_s += seconds
            for limit in BUCKETS_S:
                if seconds <= limit:
                    self._buckets[limit] += 1

    def text(self) -> str:
        """All figures as Prometheus text."""
        with self._lock:
            answers, buckets, sum_s = dict(self._answers), dict(self._buckets), self._sum_s
        total = sum(answers.values())
        lines = [
            "# HELP pipit_web_answers_total Answers of the admin site, by endpoint and status.",
            "# TYPE pipit_web_answers_total counter",
        ]
        for (endpoint, status), count in sorted(answers.items()):
            lines.append(
                f'pipit_web_answers_total{{site="{self._site}",endpoint="{endpoint}",status="{status}"}} {count}'
            )
        lines += [
            "# HELP pipit_web_answer_seconds Server time of an answer.",
            "# TYPE pipit_web_answer_seconds histogram",
        ]
        for limit in BUCKETS_S:
            lines.append(f'pipit_web_answer_seconds_bucket{{site="{self._site}",le="{limit}"}} {buckets.get(limit, 0)}')
        lines.append(f'pipit_web_answer_seconds_bucket{{site="{self._site}",le="+Inf"}} {total}')
        lines.append(f'pipit_web_answer_seconds_sum{{site="{self._site}"}} {sum_s:.6f}')
        lines.append(f'pipit_web_answer_seconds_count{{site="{self._site}"}} {total}')
        return "\n".join(lines) + "\n"
