"""`replay`: an export through a bundle's model, with nothing but the two of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import click

from inference.config import Settings
from inference.judging.replay import replay
from shared import bundle
from shared.clean import clean
from shared.crowd import MOST_STRANGERS
from shared.frame import BadRow, open_export
from shared.judge import Judge
from shared.model import load_model
from shared.values import Row, Verdict, iso

logger = logging.getLogger(__name__)

PROGRESS_S = 0.5


def replay_export(
    settings: Settings, export: Path, folder: Path, budget: float | None, progress: bool = False
) -> Iterator[Verdict]:
    """Every verdict of the export's rows; rows that cannot be read are counted and said at the end.

    Raises:
        BundleError: the bundle is damaged, or not signed by an allowed signer where signers are configured.
        ExportError: the export cannot be read at all.
    """
    raw = bundle.open_bundle(folder)
    signers = settings.signers_file
    if signers is None:
        click.echo("pipit-inference: signature not checked: no allowed signers are configured", err=True)
    bundle.verify(raw, signers)
    model = load_model({name: data for name, data in raw.items() if name != "model.joblib"})
    bad: list[BadRow] = []
    rows, judge = open_export(export).rows(bad.append), Judge(model, budget)
    yield from replay(_shown(rows) if progress else rows, judge)
    if strangers := judge.take_passed_over():
        click.echo(
            f"pipit-inference: {strangers:,} rows of hosts that training did not know were passed over: more than"
            f" {MOST_STRANGERS:,} such names within half an hour",
            err=True,
        )
    if bad:
        first = bad[0]
        click.echo(
            f"pipit-inference: {len(bad)} rows of {export} were skipped, the first in line {first.line}:"
            f" {clean(first.detail)}",
            err=True,
        )


def _shown(rows: Iterator[Row]) -> Iterator[Row]:
    """Count rows on the terminal as they pass."""
    due = time.monotonic() + PROGRESS_S
    for count, row in enumerate(rows, 1):
        yield row
        if time.monotonic() >= due:
            click.echo(f"\r{count:,} rows, {iso(row[1])[:19]}", err=True, nl=False)
            due = time.monotonic() + PROGRESS_S
    click.echo("\r\033[K", err=True, nl=False)


def verdict_text(verdict: Verdict) -> str:
    """One line for a terminal."""
    what = f"{verdict.severity} {verdict.type}" if verdict.is_anomaly else "normal"
    return f"{iso(verdict.window_start)}  {clean(verdict.host, 40):<16} {what:<30} {clean(verdict.description, 200)}"
