"""What `validate` says of exports, good and bad."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from shared.agent import AgentSpec, builtin_agents
from shared.events import EventParser
from tests.rows import row, write_export
from trainer.tally import SeenIds, Tally
from trainer.validate import ValidationReport, validate

START = 1_773_100_800
HEADER = "id,timestamp,host,program,pid,severity,message\n"


@pytest.fixture(scope="module")
def spec() -> AgentSpec:
    return builtin_agents()["wifi"]


def good(count: int = 200, step_s: int = 1000, first: int = 1) -> str:
    return "".join(
        f"{n},{START + n * step_s},ap{n % 3},hostapd,1,info,wlan0: AP-STA-CONNECTED 02:00:00:00:00:{n % 90 + 10}\n"
        for n in range(first, first + count)
    )


def check(folder: Path, spec: AgentSpec, text: str | bytes) -> ValidationReport:
    path = folder / "export.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return validate(path, spec, now=lambda: START + 10_000_000)


def test_a_good_export_has_no_errors_and_no_warnings(tmp_path: Path, spec: AgentSpec) -> None:
    report = check(tmp_path, spec, HEADER + good())
    assert (report.errors, report.warnings) == ([], [])
    assert (report.valid_rows, report.bad_rows, report.agent_rows, report.host_count) == (200, 0, 200, 3)
    assert report.events == {"connected": 200}
    assert report.severities == {"info": 200}
    assert report.days == pytest.approx(2.3, abs=0.01)
    assert json.loads(json.dumps(report.as_json()))["fit"] is True


def test_bad_rows_are_named_by_line_and_counted_by_reason(tmp_path: Path, spec: AgentSpec) -> None:
    bad = "".join(f"9{n},never,ap1,hostapd,1,info,x\n" for n in range(30)) + "short,row\n"
    report = check(tmp_path, spec, HEADER + good() + bad)
    assert report.errors == []
    assert report.bad_reasons == {"no usable timestamp": 30, "wrong number of columns": 1}
    assert [example.line for example in report.bad_examples] == list(range(202, 222))
    assert "31 of 231 rows are left out; the first: line 202" in report.warnings[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "the file is empty"),
        (HEADER.encode(), "there are no rows"),
        (b"a,b\n1,2\n", "no column is called timestamp"),
        ((HEADER + "1,never,a,hostapd,1,info,x\n").encode(), "none of the 1 rows can be used; the first: line 2"),
        ((HEADER + good(2) + "1,never,a,hostapd,1,info,x\n" * 3).encode(), "3 of 5 rows cannot be used"),
        ((HEADER + f"1,{START},a,cron,1,info,x\n").encode(), "no row comes from a program of the agent wifi"),
        (gzip.compress((HEADER + good()).encode())[:-30], "the gzip file is cut off"),
        (b'{"metadata": {}}', 'no list "logs"'),
    ],
)
def test_what_cannot_be_trained_on_is_an_error(tmp_path: Path, spec: AgentSpec, text: bytes, said: str) -> None:
    report = check(tmp_path, spec, text)
    assert said in "\n".join(report.errors)
    assert report.as_json()["fit"] is False


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + good(20, step_s=60), "the rows span 0.3 hours"),
        (
            HEADER + good(20) + "".join(f"{n},{START + n},h,cron,1,info,x\n" for n in range(500, 800)),
            "only 6.2% of the rows",
        ),
        (
            HEADER
            + good()
            + "".join(f"{n},{START + n * 1000},ap1,hostapd,1,info,wlan0: odd {n}\n" for n in range(300, 330)),
            "13.0% of the agent's lines are known to no pattern; the most frequent: wlan#: odd #",
        ),
        (HEADER + good() + good(), "200 rows have an id that was there before"),
        (HEADER + good(100, first=101) + good(100), "are older than the row before them of the same host"),
        (HEADER + good(step_s=100_000), "which lies ahead"),
    ],
)
def test_what_is_doubtful_is_a_warning(tmp_path: Path, spec: AgentSpec, text: str, said: str) -> None:
    report = check(tmp_path, spec, text)
    assert said in "\n".join(report.warnings)
    assert report.errors == []


def test_shapes_of_unknown_lines_are_counted_and_harmless_to_print(tmp_path: Path, spec: AgentSpec) -> None:
    lines = "".join(
        f"{n},{START + n * 1000},ap1,hostapd,1,info,wlan0: \x1b[31m 02:00:00:00:00:{n:02}\n" for n in range(10, 40)
    )
    report = check(tmp_path, spec, HEADER + lines)
    assert report.unknown_shapes == {"wlan#: \\x1b[#m <mac>": 30}
    assert report.unknown_share == 1.0


def test_memory_stays_bounded_whatever_the_rows_hold(
    tmp_path: Path, spec: AgentSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With bounds small enough to be reached soon: of the names that are counted, and of the messages that are remembered."""
    monkeypatch.setattr("trainer.validate.MOST_NAMES", 200)
    monkeypatch.setattr("shared.readers._KNOWN", 200)
    monkeypatch.setattr("trainer.validate.EventParser", lambda spec: EventParser(spec, cache_size=100))

    def peak(count: int) -> int:
        path = tmp_path / "wild.csv"
        with path.open("w") as out:
            out.write(HEADER)
            for n in range(count):
                out.write(
                    f"{n * 7},{START + n},host{n},hostapd,1,info,wlan0: word{'abcdefghij'[n % 10] * (n % 40)} {n}\n"
                )
        tracemalloc.start()
        try:
            validate(path, spec)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)  # what is made once
    short, long = peak(2_500), peak(6_000)
    assert long < 1.3 * short


def test_a_tally_keeps_the_frequent_names() -> None:
    tally = Tally(10)
    for n in range(1000):
        tally.add("often")
        tally.add(f"rare {n}")
    assert tally.top(1) == {"often": 1000}


def test_ids_are_new_once() -> None:
    ids = SeenIds()
    assert [ids.seen_before(n) for n in (5, 6, 5, -5, -5, 10**18, 10**18)] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]


def test_an_agent_for_any_log_counts_every_row_as_its_own(tmp_path: Path) -> None:
    path = write_export(tmp_path / "any.csv", [row(n, f"said {n}", program="nginx") for n in range(50)])
    report = validate(path, builtin_agents()["generic"])
    assert report.agent_rows == 50
    assert not report.errors
