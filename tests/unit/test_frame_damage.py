"""Reading exports that are damaged, cut, endless or hostile: bad rows are named, the others are read."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from shared.errors import ExportError
from shared.frame import open_export
from tests.export_files import FORMS, HEADER, LINES, OBJECTS, ROWS, make, read


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
