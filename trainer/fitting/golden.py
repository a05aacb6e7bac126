"""Golden rows: real, pseudonymised log rows with the features and scores that a Pi must reproduce before it serves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from shared.agent import AgentSpec
from shared.judge import Judge
from shared.model import Model, check_golden
from shared.values import Row
from trainer.fitting.pseudonyms import Pseudonyms
from trainer.windows.table import RoleTable

CASES_PER_ROLE = 3
MOST_ROWS = 400  # of one case; a busier half hour is not needed to prove equality


def choose(tables: Mapping[str, RoleTable], spec: AgentSpec) -> list[tuple[str, int]]:
    """(host, window number) of a quiet, a middling and a busy window of each role."""
    lines = [feature.name for feature in spec.features].index("lines") if _has(spec, "lines") else 0
    chosen: list[tuple[str, int]] = []
    for table in tables.values():
        counts = table.short[:, lines]
        order = np.argsort(counts, kind="stable")
        order = order[counts[order] <= MOST_ROWS / 6]
        for share in np.linspace(0.1, 0.999, CASES_PER_ROLE):
            if len(order):
                j = order[int(share * (len(order) - 1))]
                chosen.append((str(table.hosts[j]), int(table.index[j])))
    return chosen


def _has(spec: AgentSpec, name: str) -> bool:
    return any(feature.name == name for feature in spec.features)


def collect(
    rows: Callable[[float, float], Iterable[Row]], chosen: list[tuple[str, int]], spec: AgentSpec
) -> list[list[Row]]:
    """The rows of each chosen window and of the half hour before it, pseudonymised, at most `MOST_ROWS` the newest.

    rows(start, end): the log between two moments (s).
    """
    span, programs, names = spec.window_s, frozenset(spec.programs), Pseudonyms(spec)
    cases = []
    for host, index in chosen:
        start, end = (index - spec.long_windows + 1) * span, (index + 1) * span
        cases.append([row for row in rows(start, end) if row[2] == host and row[3] in programs])
    return [[names.row(row) for row in case[-MOST_ROWS:]] for case in cases if case]


def golden_file(model: Model, cases: list[list[Row]]) -> bytes:
    """golden.json: each case's rows with what this machine makes of them; checked once before it is handed out."""
    written = []
    for rows in cases:
        judge = Judge(model)
        for row in rows:
            judge.add(row)
        windows = [
            {
                "host": verdict.host,
                "window_start": verdict.window_start,
                "score": verdict.score,
                "features": {name: value for name, value in verdict.features.items() if value != 0},
                "others": 0,  # most are: what is not listed must be 0
            }
            for verdict in judge.close(math.inf)
            if verdict.found_by != "silence"
        ]
        written.append({"rows": [list(row) for row in rows], "windows": windows})
    data = json.dumps({"schema": 1, "cases": written}, separators=(",", ":"), allow_nan=False).encode()
    check_golden(model, data)
    return data
