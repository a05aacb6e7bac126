"""Rows that somebody hands in, judged by a model that is here: what the API's `analyze` answers. Nothing is stored."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from shared import bundle
from shared.errors import ExportError
from shared.frame import ALIASES, MAX_MESSAGE, NO_HOST, parse_severity, parse_time, plain_program
from shared.judge import Judge
from shared.model import load_model
from shared.values import NO_SEVERITY, Row

BAD_SHOWN = 20


def analyze(folder: Path, rows: Sequence[Mapping[str, Any]], budget: float | None = None) -> dict[str, Any]:
    """Verdicts of all windows that the rows fill. A row without a program counts as the agent's first one.

    Raises:
        BundleError: the model cannot be used. ExportError: not one row can be.
    """
    raw = bundle.open_bundle(folder)
    bundle.verify(raw, None)
    model = load_model({name: data for name, data in raw.items() if name != "model.joblib"})
    bad: list[dict[str, Any]] = []
    usable = sorted(rows_of(rows, model.spec.programs[0], bad), key=lambda row: (row[1], row[0]))
    if not usable:
        first = f", the first: {bad[0]['reason']}" if bad else ""
        raise ExportError(f"analyze: none of {len(rows)} rows can be used{first}")
    judge = Judge(model, budget)
    for row in usable:
        judge.add(row)
    verdicts = judge.close(math.inf)
    watched = set(model.spec.programs)
    return {
        "agent": model.agent,
        "model_version": model.version,
        "rows": len(usable),
        "rows_of_this_agent": sum(row[3] in watched for row in usable),
        "bad_rows": len(bad),
        "bad": bad[:BAD_SHOWN],
        "windows": len(verdicts),
        "anomalies": sum(verdict.is_anomaly for verdict in verdicts),
        "verdicts": [verdict.as_json() for verdict in verdicts],
    }


def rows_of(rows: Sequence[Mapping[str, Any]], program: str, bad: list[dict[str, Any]]) -> Iterator[Row]:
    """JSON objects as rows, columns by name or alias; those that cannot be used go to `bad`."""
    for number, value in enumerate(rows, 1):
        try:
            yield _row(value, number, program)
        except (ValueError, TypeError, OverflowError) as error:
            bad.append({"row": number, "reason": str(error)[:200]})


def _row(value: Mapping[str, Any], number: int, program: str) -> Row:
    if not isinstance(value, Mapping):
        raise TypeError("not an object")
    named: dict[str, Any] = {}
    for name, own in value.items():
        column = ALIASES.get(str(name).lower())
        if column and own is not None and (column not in named or name == column):
            named[column] = own
    for needed in ("timestamp", "message"):
        if needed not in named:
            raise ValueError(f"no {needed}")
    stamp, severity, row_id = named["timestamp"], named.get("severity"), named.get("id")
    if isinstance(stamp, bool):
        raise TypeError("the timestamp is no time")
    try:
        time_s = parse_time(stamp if isinstance(stamp, str) else repr(stamp))
    except ValueError as error:
        raise ValueError(f"the timestamp is no usable time: {error}") from None
    return (
        row_id if type(row_id) is int else number,
        time_s,
        _sound(named.get("host") or NO_HOST)[:255],
        plain_program(_sound(named.get("program") or program))[:255],
        _sound(named.get("pid") or "")[:32],
        NO_SEVERITY if severity is None else parse_severity(str(severity)),
        _sound(named["message"])[:MAX_MESSAGE],
    )


def _sound(value: object) -> str:
    """Text without lone surrogates, which no encoder takes."""
    return str(value).encode("utf-8", "replace").decode("utf-8")
