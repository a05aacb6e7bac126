"""Exports as one stream: a span of time read anew gives what a whole reading would, wherever the reading starts."""

from __future__ import annotations

import csv
import gzip
import random
from pathlib import Path

import pytest

from shared import readers
from shared.frame import open_export
from shared.values import iso
from trainer.windows.source import Source

START = 1_800_000_000.0
ROWS = 500


def write(path: Path, seed: int, disorder_s: float = 0.0) -> Path:
    """Rows some seconds apart, with umlauts and line breaks within quotes; some are late by up to `disorder_s`."""
    rng = random.Random(seed)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["timestamp", "host", "program", "message"])
        for number in range(ROWS):
            time = START + 10 * number - rng.uniform(0, disorder_s)
            message = rng.choice(["plain", "zwei\nZeilen", 'mit "Größe"', "x" * 300])
            writer.writerow([iso(time), "ap1", "hostapd", f"{message} {number}"])
    return path


@pytest.fixture(autouse=True)
def _marks_every_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MARK_EVERY", 20)


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
@pytest.mark.parametrize("disorder_s", [0.0, 25.0, 300.0])
def test_a_span_has_the_rows_of_a_whole_reading(tmp_path: Path, name: str, disorder_s: float) -> None:
    source = Source([write(tmp_path / name, 1, disorder_s), write(tmp_path / f"b-{name}", 2, disorder_s)], None, None)
    whole = list(source.rows(counting=True))
    assert len(whole) == 2 * ROWS
    assert source.sorted == (disorder_s > Source.DISORDER_S)
    for start, end in [(0, 700), (1990, 2011), (2500, 5000), (4990, 9000), (-100, -50)]:
        wanted = [row[1:] for row in whole if START + start <= row[1] < START + end]
        assert sorted(row[1:] for row in source.between(START + start, START + end)) == sorted(wanted)


def test_a_span_at_the_end_is_not_read_from_the_beginning(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", 1)
    export = open_export(path)
    whole = list(export.rows())
    late = list(export.rows(since=whole[-10][1]))
    assert late == whole[-len(late) :]
    assert 10 <= len(late) <= 30
    assert list(export.rows()) == whole


def test_ids_made_of_row_numbers_stay_the_same_in_a_span(tmp_path: Path) -> None:
    source = Source([write(tmp_path / "log.csv", 3)], None, None)
    whole = list(source.rows(counting=True))
    assert list(source.between(whole[100][1], whole[120][1])) == whole[100:120]
