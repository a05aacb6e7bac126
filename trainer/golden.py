"""Golden rows: real, pseudonymised log rows with the features and scores that a Pi must reproduce before it serves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping

import numpy as np

from shared.agent import AgentSpec
from shared.judge import Judge
from shared.model import Model, check_golden
from shared.values import Row
from trainer.pseudonyms import Pseudonyms
from trainer.table import RoleTable

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


def collect(rows: Iterable[Row], chosen: list[tuple[str, int]], spec: AgentSpec) -> list[list[Row]]:
    """The rows of each chosen window and of the half hour before it, pseudonymised, at most `MOST_ROWS` the newest."""
    span = spec.window_s
    spans = {case: ((case[1] - spec.long_windows + 1) * span, (case[1] + 1) * span) for case in chosen}
    by_host: dict[str, list[tuple[tuple[str, int], float, float]]] = {}
    for case, (start, end) in spans.items():
        by_host.setdefault(case[0], []).append((case, start, end))
    found: dict[tuple[str, int], list[Row]] = {case: [] for case in chosen}
    programs = frozenset(spec.programs)
    for row in rows:
        for case, start, end in by_host.get(row[2], ()):
            if start <= row[1] < end and row[3] in programs:
                found[case].append(row)
    names = Pseudonyms(spec)
    return [[names.row(row) for row in rows_[-MOST_ROWS:]] for rows_ in found.values() if rows_]


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
