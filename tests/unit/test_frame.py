"""Reading exports: every form, every kind of damage."""

from __future__ import annotations

import gzip
import io
import json
import random
import tracemalloc
from pathlib import Path

import pytest

from shared.errors import ExportError
from shared.frame import BadRow, open_export, parse_severity, parse_time
from shared.values import Row

HEADER = "id,timestamp,host,program,pid,severity,message\n"
LINES = HEADER + (
    "1,2026-03-10T00:00:11.450012Z,ap1,hostapd,270,info,wlan0: AP-ENABLED\n"
    '2,2026-03-10 01:00:12+01:00,ap1,hostapd,270,notice,"a ""quoted"", text"\n'
)
ROWS: list[Row] = [
    (1, 1773100811.450012, "ap1", "hostapd", "270", 6, "wlan0: AP-ENABLED"),
    (2, 1773100812.0, "ap1", "hostapd", "270", 5, 'a "quoted", text'),
]
OBJECTS = [
    {
        "id": 1,
        "timestamp": "2026-03-10T00:00:11.450012Z",
        "hostname": "ap1",
        "process_name": "hostapd",
        "pid": 270,
        "level": "INFO",
        "message": "wlan0: AP-ENABLED",
    },
    {
        "id": 2,
        "timestamp": "2026-03-10T01:00:12+01:00",
        "hostname": "ap1",
        "process_name": "hostapd",
        "pid": "270",
        "level": 5,
        "message": 'a "quoted", text',
    },
]


def make(folder: Path, data: str | bytes, name: str = "export.dat") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def read(folder: Path, data: str | bytes) -> tuple[list[Row], list[BadRow]]:
    bad: list[BadRow] = []
    return list(open_export(make(folder, data)).rows(bad.append)), bad


FORMS = {
    "csv": LINES,
    "json": json.dumps({"logs": OBJECTS, "metadata": {"site": "x"}}),
    "json, indented, metadata first": json.dumps({"metadata": {"site": "x"}, "count": 2, "logs": OBJECTS}, indent=2),
    "json list": json.dumps(OBJECTS),
    "json lines": "\n".join(map(json.dumps, OBJECTS)) + "\n",
}


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


def test_bad_rows_are_named_by_line_and_the_others_are_read(tmp_path: Path) -> None:
    data = LINES + "3,infinity,ap1,hostapd,1,info,x\n4,too,few\n5,294276-01-01,ap1,hostapd,1,info,x\n"
    data += "6,2026-03-10T00:00:13Z,ap1,hostapd,1,info,last\n"
    rows, bad = read(tmp_path, data)
    assert [row[0] for row in rows] == [1, 2, 6]
    assert [(one.line, one.reason) for one in bad] == [
        (4, "no usable timestamp"),
        (5, "wrong number of columns"),
        (6, "no usable timestamp"),
    ]
    assert "infinity" in bad[0].detail


def test_without_a_listener_the_first_bad_row_ends_the_reading(tmp_path: Path) -> None:
    path = make(tmp_path, LINES + "3,never,ap1,hostapd,1,info,x\n")
    with pytest.raises(ExportError, match=r"export.dat, line 4: no usable timestamp.*never"):
        list(open_export(path).rows())


def test_bad_json_rows_are_named(tmp_path: Path) -> None:
    logs = [
        OBJECTS[0],
        7,
        {"timestamp": "x", "program": "p", "message": "m"},
        {"timestamp": 1773100811, "message": "m"},
        OBJECTS[1],
    ]
    rows, bad = read(tmp_path, json.dumps({"logs": logs}))
    assert rows == ROWS
    assert [one.reason for one in bad] == ["not an object", "no usable timestamp", "no program"]
    rows, bad = read(tmp_path, "\n".join([json.dumps(OBJECTS[0]), "{oops", json.dumps(OBJECTS[1])]))
    assert rows == ROWS
    assert [(one.line, one.reason) for one in bad] == [(2, "not readable as JSON")]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the file is empty"),
        (b"  \n\n", "the file is empty"),
        (HEADER.encode(), "there are no rows"),
        (b'{"logs": []}', "there are no rows"),
        (b"a,b\n1,2\n", "no column is called timestamp or program or message"),
        (b'{"rows": [1]}', 'no list "logs"'),
        (b"\x00\x01\x02PNG", "no text file"),
        (gzip.compress(LINES.encode() * 50)[:-20], "the gzip file is cut off"),
        (b'{"logs": [{"timestamp": 1773100811, "program": "p", "message": "m"}, {"time', "line 1: the file is cut off"),
        (b'{"logs": [{"timestamp": 1773100811, "program": "p", "message": "m"}', "the file is cut off"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(ExportError, match=said):
        list(open_export(make(tmp_path, data)).rows())


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="no such file"):
        open_export(tmp_path / "nowhere.csv")
    with pytest.raises(ExportError, match="this is a folder"):
        open_export(tmp_path)


def test_rows_before_the_cut_of_a_gzip_file_were_read(tmp_path: Path) -> None:
    lines = HEADER + "".join(f"{n},{1773100811 + n},ap1,hostapd,1,info,line {n * 7919}\n" for n in range(20_000))
    export = open_export(make(tmp_path, gzip.compress(lines.encode())[:-2000]))
    rows = []
    with pytest.raises(ExportError, match="cut off"):
        rows.extend(row for row in export.rows() if not rows.append(row))  # type: ignore[func-returns-value]
    assert len(rows) > 1000


def test_wrong_encoding_and_null_bytes_cost_no_row(tmp_path: Path) -> None:
    rows, bad = read(tmp_path, LINES.encode().replace(b"quoted", b"caf\xe9\x00x"))
    assert not bad
    assert rows[1][6] == 'a "caf\ufffd\x00x", text'


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_huge_line_is_one_cut_row(tmp_path: Path, quote: str) -> None:
    huge = f"3,2026-03-10T00:00:13Z,ap1,hostapd,1,info,{quote}{'x' * 10_000_000}{quote}\n"
    data = LINES + huge + "4,2026-03-10T00:00:14Z,ap1,hostapd,1,info,after\n"
    rows, bad = read(tmp_path, data)
    assert not bad
    assert [row[0] for row in rows] == [1, 2, 3, 4]
    assert len(rows[2][6]) == 4096


def test_an_endless_line_is_bad_rows_and_not_a_crash(tmp_path: Path) -> None:
    rows, bad = read(tmp_path, LINES + '3,2026-03-10T00:00:13Z,ap1,hostapd,1,info,"' + "y" * 40_000_000)
    assert rows[:2] == ROWS
    assert bad


def test_lone_surrogates_from_json_do_not_travel(tmp_path: Path) -> None:
    data = '{"logs": [{"timestamp": 1773100811, "program": "p", "message": "a\\ud800b"}]}'
    rows, _ = read(tmp_path, data)
    rows[0][6].encode("utf-8")


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


def test_a_json_row_with_an_empty_key_is_only_a_bad_row(tmp_path: Path) -> None:
    rows, bad = read(tmp_path, json.dumps({"logs": [{"": 1773100811, "program": "p", "message": "m"}, *OBJECTS]}))
    assert rows == ROWS
    assert [one.reason for one in bad] == ["no timestamp"]


def test_damage_anywhere_gives_rows_bad_rows_or_a_refusal(tmp_path: Path) -> None:
    random.seed(11)
    forms = [data.encode() for data in FORMS.values()] + [gzip.compress(data.encode()) for data in FORMS.values()]
    path = tmp_path / "damaged"
    for _ in range(400):
        data = bytearray(random.choice(forms))
        for _ in range(random.randint(1, 6)):
            at = random.randrange(len(data) + 1)
            data[at : at + random.randint(0, 3)] = random.choice(
                (b"", b'"', b"\n", b"{", b"\\", b"\0", b"\xff\xfe", b",")
            )
        path.write_bytes(data)
        try:
            for row in open_export(path).rows(lambda bad: None):
                assert (len(row), type(row[1])) == (7, float)
        except ExportError:
            continue


def test_what_journalctl_writes_is_an_export(tmp_path: Path) -> None:
    entry = {
        "__REALTIME_TIMESTAMP": "1773100811450012",
        "_HOSTNAME": "pi",
        "SYSLOG_IDENTIFIER": "hostapd",
        "_PID": "270",
        "PRIORITY": "5",
        "_COMM": "hostapd",
    }
    coloured = {**entry, "MESSAGE": list("\x1b[1mwlan0: AP-ENABLED é".encode())}
    path = tmp_path / "journal.json"
    path.write_text("\n".join(json.dumps(line) for line in ({**entry, "MESSAGE": "wlan0: AP-ENABLED"}, coloured)))
    rows = list(open_export(path).rows())
    assert rows[0] == (1, 1773100811.450012, "pi", "hostapd", "270", 5, "wlan0: AP-ENABLED")
    assert rows[1][6] == "\x1b[1mwlan0: AP-ENABLED é"
