"""Reading exports: every form gives the same rows."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from pathlib import Path

import pytest

from shared.frame import open_export, parse_severity, parse_time
from tests.export_files import FORMS, HEADER, LINES, ROWS, make, read


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_each_form_gives_the_same_rows_and_can_be_read_twice(tmp_path: Path, form: str, packed: bool) -> None:
    data = FORMS[form].encode()
    export = open_export(make(tmp_path, gzip.compress(data) if packed else data))
    assert list(export.rows()) == ROWS
    assert list(export.rows()) == ROWS
    if "metadata" in FORMS[form]:
        assert export.metadata == {"site": "x"}


@pytest.mark.parametrize(
    "data",
    [
        "\ufeff" + LINES,
        LINES.replace("\n", "\r\n"),
        LINES.encode("utf-16"),
        LINES.replace(",", ";").replace('"a ""quoted""; text"', '"a ""quoted"", text"'),
        LINES.replace("id,timestamp,host,program", "Id, TIMESTAMP ,device_id,process_name").replace(
            "severity", "log_level"
        ),
        "\n" + LINES.replace("\n2,", "\n\n2,"),
    ],
    ids=["BOM", "CRLF", "UTF-16", "semicolons", "aliases", "blank lines"],
)
def test_csv_of_other_makers_gives_the_same_rows(tmp_path: Path, data: str | bytes) -> None:
    assert read(tmp_path, data) == (ROWS, [])


def test_only_three_columns_are_required(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, "message,timestamp,program\nhello,1773100811,/usr/sbin/hostapd[270]:\n")
    assert rows == [(1, 1773100811.0, "-", "hostapd", "", -1, "hello")]


def test_a_host_that_is_missing_comes_from_the_metadata_even_behind_the_rows(tmp_path: Path) -> None:
    data = {"logs": [{"timestamp": 1773100811, "program": "hostapd", "message": "x"}], "metadata": {"hostname": "ap7"}}
    assert next(open_export(make(tmp_path, json.dumps(data))).rows())[2] == "ap7"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-03-10T00:00:11Z", 1773100811.0),
        ("2026-03-10 00:00:11", 1773100811.0),
        ("2026-03-10 00:00:11.45+00", 1773100811.45),
        ("2026-03-10T05:30:11.450012+05:30", 1773100811.450012),
        ("2026-03-10 00:00:11.123456789", 1773100811.123456),
        ("2026-03-10", 1773100800.0),
        ("20260310T000011Z", 1773100811.0),
        ("2026-03-10 00:00:11 UTC", 1773100811.0),
        ("1773100811", 1773100811.0),
        ("1773100811.5", 1773100811.5),
        ("1773100811450", 1773100811.45),
        ("1773100811450012", 1773100811.450012),
    ],
)
def test_times_are_read_in_every_form(text: str, seconds: float) -> None:
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "infinity",
        "-infinity",
        "294276-12-31 00:00:00",
        "nan",
        "yesterday",
        "1901-01-01",
        "2150-01-01",
        "2026-02-30",
        "-5",
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("emerg", 0),
        ("PANIC", 0),
        ("Crit", 2),
        ("error", 3),
        ("err", 3),
        ("warning", 4),
        ("WARN", 4),
        ("notice", 5),
        ("info", 6),
        ("debug", 7),
        ("3", 3),
        (" 6 ", 6),
        ("daemon.warn", 4),
        ("", -1),
        ("9", -1),
        ("loud", -1),
    ],
)
def test_severities_are_read_by_name_and_number(text: str, level: int) -> None:
    assert parse_severity(text) == level


def test_mixed_zones_are_one_time(tmp_path: Path) -> None:
    lines = [
        "2026-03-10T12:00:00+00:00",
        "2026-03-10T14:00:00+02:00",
        "2026-03-10 12:00:00",
        "2026-03-10T07:00:00-05:00",
    ]
    rows, _ = read(tmp_path, "timestamp,program,message\n" + "".join(f"{line},p,m\n" for line in lines))
    assert {row[1] for row in rows} == {1773144000.0}


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_memory_stays_flat_however_long_the_file(tmp_path: Path, form: str) -> None:
    def peak(count: int) -> int:
        out = io.StringIO()
        if form == "csv":
            out.write(HEADER)
        elif form == "json":
            out.write('{"logs": [')
        for n in range(count):
            row = {
                "id": n,
                "timestamp": 1773100811 + n,
                "host": "ap1",
                "program": "hostapd",
                "pid": "1",
                "severity": "info",
                "message": f"line {n}",
            }
            out.write(
                ",".join(map(str, row.values())) + "\n"
                if form == "csv"
                else ("," if form == "json" and n else "") + json.dumps(row) + "\n"
            )
        if form == "json":
            out.write("]}")
        path = make(tmp_path, out.getvalue())
        del out
        tracemalloc.start()
        try:
            assert sum(1 for _ in open_export(path).rows()) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1000)
    assert peak(20_000) < 1.3 * peak(4000) + 100_000


def test_names_are_shared_between_rows(tmp_path: Path) -> None:
    rows, _ = read(tmp_path, LINES)
    assert rows[0][2] is rows[1][2]
    assert rows[0][3] is rows[1][3]
