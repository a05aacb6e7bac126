"""Verdicts: what is found, what it is called, and that nothing depends on how the rows were delivered."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from shared.agent import AgentSpec, builtin_agents
from shared.errors import BundleError, ConfigError
from shared.judge import Judge, replay
from shared.model import Model, check_golden, load_model
from shared.reference import SilenceLimits
from shared.values import ALL_HOSTS, Row, Verdict
from tests.rows import START, STATION, in_order, join, leave, row, wrong_password
from trainer.model_config import load_model_config
from trainer.pipeline import TrainReport, train

DAY = 86_400
SIGNAL = "wlan0: CTRL-EVENT-SIGNAL-CHANGE above=1 signal=-58 noise=-92 txrate=1300"


def quiet_days(days: int) -> list[Row]:
    """Two access points with a dozen clients each, and a station, over some days: joins, leaves, a mistyped password."""
    groups: list[Iterable[Row]] = []
    for day in range(days):
        for host in ("ap1", "ap2"):
            for k in range(60):
                at, device = day * DAY + 6 * 3600 + 600 * k + 7 * (k % 5), k % 12
                groups += [join(at, device, host), leave(at + 300 + 40 * (k % 4), device, host)]
            groups.append(wrong_password(day * DAY + 9 * 3600, 3, host))
        groups.append(
            row(
                day * DAY + 7 * 3600 + 900 * k,
                "wlan0: CTRL-EVENT-SIGNAL-CHANGE above=1 signal=-58 noise=-92 txrate=1300",
                "cam",
                STATION,
            )
            for k in range(40)
        )
    return in_order(*groups)


@pytest.fixture(scope="module")
def wifi() -> AgentSpec:
    return builtin_agents()["wifi"]


def write_export(path: Path, rows: Iterable[Row]) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for id_, time, host, program, pid, severity, message in rows:
            line = {"id": id_, "timestamp": time, "host": host, "program": program, "pid": pid, "severity": severity}
            file.write(json.dumps({**line, "message": message}) + "\n")
    return path


@pytest.fixture(scope="module")
def report(wifi: AgentSpec, tmp_path_factory: pytest.TempPathFactory) -> TrainReport:
    export = write_export(tmp_path_factory.mktemp("judge") / "export.jsonl", quiet_days(5))
    return train([export], wifi, load_model_config(None, {"model.n_estimators": 40, "evaluation.inject": False}))


@pytest.fixture(scope="module")
def model(report: TrainReport) -> Model:
    return load_model(report.files)


def attack() -> list[Row]:
    base = 6 * DAY + 9 * 3600
    usual = [join(base + 400 * k, k % 12, "ap1") for k in range(24)]
    guesses = [wrong_password(base + 3600 + 9 * k, 77, "ap1") for k in range(40)]
    return in_order(*usual, *guesses, *(join(base + 500 * k, k % 12, "ap2") for k in range(20)))


def as_text(verdicts: Iterable[Verdict]) -> list[str]:
    return [repr(verdict) for verdict in verdicts]


def test_password_guessing_is_found_and_named_with_its_lines(model: Model) -> None:
    anomalies = [v for v in replay(attack(), Judge(model)) if v.is_anomaly]
    assert {v.host for v in anomalies} == {"ap1"}
    assert {v.type for v in anomalies} == {"psk_bruteforce"}
    worst = max(anomalies, key=lambda v: v.score or 0)
    assert worst.severity == "critical"
    assert worst.found_by == "model+rule"
    # several features move together (joins, lines); the cause stands among them, far outside the host's range
    cause = next(moved for moved in worst.explanation if moved.feature.startswith("psk_attempts"))
    assert cause.contribution > 0
    assert cause.value is not None
    assert cause.normal_high is not None
    assert cause.value > 5 * cause.normal_high
    assert any("POSSIBLE-PSK-MISMATCH" in line.message for line in worst.lines)
    assert "wrong attempts" in worst.description


def test_an_ordinary_day_raises_nothing(model: Model) -> None:
    day = [(i, t + 7 * DAY, *rest) for i, t, *rest in quiet_days(1)]
    assert [v for v in replay(day, Judge(model)) if v.is_anomaly] == []  # type: ignore[arg-type]


def test_how_rows_are_delivered_changes_no_verdict(model: Model) -> None:
    """All at once, window by window, or with a restart in the middle: the daemon's ways to the same verdicts."""
    rows = attack()
    expected = as_text(replay(rows, Judge(model)))
    at_once = Judge(model)
    for one in rows:
        at_once.add(one)
    assert as_text(at_once.close(math.inf)) == expected
    assert as_text(_restarting(model, rows)) == expected


def _restarting(model: Model, rows: list[Row]) -> Iterator[Verdict]:
    judge, seen = Judge(model), 0
    for before, after in pairwise([*range(0, len(rows), 23), len(rows)]):
        for one in rows[before:after]:
            judge.add(one)
        seen = after
        now = rows[seen - 1][1]
        yield from judge.close(now - 30)
        memory = json.loads(json.dumps(judge.memory()))
        judge = Judge(model)
        judge.restore(memory)
        for one in rows[:seen]:
            if one[1] >= judge.warm_since():
                judge.warm(one)
        judge.resume()
    yield from judge.close(math.inf)


def test_an_access_point_that_falls_silent_is_an_anomaly(model: Model) -> None:
    base = 6 * DAY + 9 * 3600
    ap = [join(base + 400 * k, k % 12, "ap1") for k in range(20)]  # clients stay, then nothing more
    rest = [join(base + 400 * k, k % 12, "ap2") for k in range(120)]
    found = [v for v in replay(in_order(*ap, *rest), Judge(model)) if v.found_by == "silence"]
    assert {(v.host, v.type) for v in found} == {("ap1", "ap_hang")}
    assert found[0].rows == 0
    assert found[0].window_end - (START + base + 400 * 19) >= 900


def test_when_all_fall_silent_people_are_told_of_one_thing_and_nothing_false_remains(model: Model) -> None:
    base = 6 * DAY + 9 * 3600
    away, back = base + 3 * 3600, base + 5 * 3600

    def talk(host: str, first: float, every: int) -> list[Row]:
        times = [base + first + every * k for k in range(8 * 3600 // every)]
        return [line for k, at in enumerate(times) if not away <= at < back for line in join(at, k % 12, host)]

    rows = in_order(talk("ap1", 0, 400), talk("ap2", 50, 700))
    silent = [v for v in replay(rows, Judge(model)) if v.is_anomaly and v.found_by == "silence"]
    assert {(v.host, v.type, v.severity) for v in silent} == {(ALL_HOSTS, "log_silent", "critical")}
    assert silent[0].window_end - (START + away) < 2400
    assert START + back - 300 <= silent[-1].window_end <= START + back
    assert "all hosts have been silent since 2026-03-09 11:5" in silent[0].description
    assert len(as_text(silent)) == len([v for v in _restarting(model, rows) if v.found_by == "silence"])


def test_an_access_point_whose_rows_were_only_under_way_was_not_silent(model: Model) -> None:
    base = 6 * DAY + 9 * 3600
    ap = [row_ for k in range(20) for row_ in join(base + 400 * k, k % 12, "ap1")]
    judge = Judge(model)
    for one in in_order(ap):
        judge.add(one)
    end = START + base + 400 * 19
    judge.close(end + 600)
    judge.hear_late(row(base + 400 * 19 + 590, "wlan0: AP-ENABLED ", "ap1"))
    judge.hear_late(row(base + 400 * 19 + 590, "x", "ap1", "cron"))
    first = next(v for k in range(3, 30) for v in judge.close(end + 300 * k) if v.found_by == "silence")
    assert first.window_end - end >= 590 + 900


def test_a_station_that_always_talked_and_falls_silent_is_an_anomaly_also_over_a_restart(model: Model) -> None:
    steady = {model.host_hash("cam"): SilenceLimits(None, None, 900.0)}
    watched = replace(model, reference=replace(model.reference, silence=steady))
    cam = [row(6 * DAY + 600 * k, SIGNAL, "cam", STATION) for k in range(20)]
    other = [row(6 * DAY + 600 * k, SIGNAL, "other", STATION) for k in range(80)]
    rows = in_order(cam, other)
    found = [verdict for verdict in replay(rows, Judge(watched)) if verdict.is_anomaly]
    assert {(v.host, v.type, v.found_by, v.rows) for v in found} == {("cam", "sta_silent", "silence", 0)}
    first, before = Judge(watched), Judge(watched)
    half = START + 6 * DAY + 4 * 3600
    for one in rows:
        if one[1] < half:
            first.add(one)
    first.close(half)
    before.restore(json.loads(json.dumps(first.memory())))
    for one in rows:
        (before.warm if one[1] < half else before.add)(one)
    before.resume()
    assert [v for v in before.close(math.inf) if v.is_anomaly] == found


def test_made_up_hosts_neither_fill_the_memory_nor_hide_a_known_one(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.crowd.MOST_STRANGERS", 20)
    base = 6 * DAY + 9 * 3600
    made_up = [join(base + 3600 + n, n % 50, f"host{n}") for n in range(400)]
    rows = in_order(attack(), *made_up)
    judge = Judge(model)
    found = list(replay(rows, judge))
    assert {v.type for v in found if v.host == "ap1" and v.is_anomaly} == {"psk_bruteforce"}
    assert len({v.host for v in found} - {"ap1", "ap2"}) == 20
    assert judge.take_passed_over() == 380 * 4
    assert judge.take_passed_over() == 0
    assert set(judge.memory()["silence"]["last"]) <= {"ap1", "ap2"}, "only hosts of training can be missed"
    assert as_text(_restarting(model, rows)) == as_text(found)


def test_a_station_never_seen_is_judged_by_its_role(model: Model) -> None:
    rows = [
        row(6 * DAY + k, "wlan0: CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:01 reason=7", "new", STATION)
        for k in range(40)
    ]
    (verdict,) = replay(rows, Judge(model))
    assert verdict.is_anomaly
    assert verdict.type == "deauth_flood"


def test_a_smaller_budget_raises_the_line(model: Model) -> None:
    assert model.threshold(0.05) > model.threshold(0.5) > model.threshold(4)
    with pytest.raises(ConfigError, match="budget"):
        model.threshold(0)


def test_rarity_counts_among_training_and_never_extrapolates(model: Model) -> None:
    ten = replace(model.reference, windows={"ap": 10}, scores={"ap": [0.1, 0.2, 0.2, 0.3]})
    small = replace(model, reference=ten)
    found = {score: small.rarity("ap", score) for score in (1.0, 0.3, 0.25, 0.2, 0.1, 0.0)}
    assert found == {1.0: 11, 0.3: 11 / 2, 0.25: 11 / 2, 0.2: 11 / 4, 0.1: 1, 0.0: 1}


def test_golden_rows_are_reproduced(model: Model, report: TrainReport) -> None:
    assert check_golden(model, report.files["golden.json"]) <= 1e-9


@pytest.mark.parametrize("change", ["score", "feature", "other", "row", "empty", "nan", "garbage"])
def test_golden_rows_that_differ_are_refused(model: Model, report: TrainReport, change: str) -> None:
    golden = json.loads(report.files["golden.json"])
    window = golden["cases"][0]["windows"][0]
    if change == "score":
        window["score"] += 1e-6
    elif change == "feature":
        window["features"]["lines"] += 1
    elif change == "other":  # no longer listed, so it must be 0, and is not
        del window["features"]["lines"]
    elif change == "row":
        golden["cases"][0]["rows"].pop()
    elif change == "empty":
        golden["cases"] = []
    elif change == "nan":
        window["score"] = float("nan")
    data = b"[1" if change == "garbage" else json.dumps(golden).encode()
    with pytest.raises(BundleError) as refusal:
        check_golden(model, data)
    assert refusal.value.code == "golden"


def test_a_bundle_without_its_pickle_stays_small(report: TrainReport) -> None:
    assert sum(len(data) for name, data in report.files.items() if name != "model.joblib") <= 400_000


def test_a_bundle_names_nobody(report: TrainReport, model: Model) -> None:
    """Hosts, addresses and networks of the site are in no file of a bundle but as salted hashes and stand-ins."""
    for name in ("golden.json", "reference.json", "report.html", "metadata.json"):
        text = report.files[name].decode()
        for identity in ("ap1", "ap2", '"cam"', "0a:1b:2c:00:00:0b"):
            assert identity not in text, (name, identity)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("schema",), 99),
        (("threshold",), None),
        (("scale", "ap", "spread"), [0.0]),
        (("scale", "ap", "features"), ["no_such_feature"]),
        (("scores", "ap"), [3, 2, 1]),
        (("known", "habits"), {"x": "many"}),
        (("tail", "width"), float("inf")),
    ],
)
def test_reference_data_that_is_wrong_is_refused(report: TrainReport, path: tuple[str, ...], value: object) -> None:
    reference = json.loads(report.files["reference.json"])
    place = reference
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(BundleError) as refusal:
        load_model({**report.files, "reference.json": json.dumps(reference).encode()})
    assert refusal.value.code == "load"


# --- evidence ----------------------------------------------------------------------------------------------------


def test_the_lines_that_tell_come_first_however_late_they_came(model: Model) -> None:
    base = 6 * DAY + 9 * 3600
    chatter = [
        row(base + k, f"wlan0: STA 02:00:00:00:{k:02x}:99 WPA: group key handshake completed (RSN)") for k in range(60)
    ]
    guesses = [wrong_password(base + 100 + 4.5 * k, 77, "ap1") for k in range(40)]
    first = next(v for v in replay(in_order(chatter, *guesses), Judge(model)) if v.is_anomaly)
    assert first.rows > 300
    assert first.lines[0].telling
    assert [line.telling for line in first.lines] == sorted((line.telling for line in first.lines), reverse=True)
    assert any("IEEE 802.11: authenticated" in line.message for line in first.lines if line.telling)
    assert not any("group key" in line.message for line in first.lines if line.telling)
    assert len(first.lines) <= 40


def test_an_anomaly_comes_with_the_nearest_normal_window(model: Model) -> None:
    for verdict in replay(attack(), Judge(model)):
        if not verdict.is_anomaly:
            assert verdict.nearest is None
            continue
        assert verdict.nearest is not None
        features = verdict.nearest["features"]
        assert isinstance(features, dict)
        assert features.keys() == {moved.feature for moved in verdict.explanation}
        assert verdict.nearest["host"] == "this"
        assert str(verdict.nearest["when"]).startswith("day ")


def test_normal_windows_are_few_hashed_and_may_be_missing(report: TrainReport, model: Model) -> None:
    reference = json.loads(report.files["reference.json"])
    part = reference.pop("nearest")
    assert len(json.dumps(part, separators=(",", ":"))) <= 60_000
    assert {host for role in part.values() for host in role["hosts"]} <= {
        model.host_hash(h) for h in ("ap1", "ap2", "cam")
    }
    old = load_model({**report.files, "reference.json": json.dumps(reference).encode()})
    assert next(v.nearest for v in replay(attack(), Judge(old)) if v.is_anomaly) is None


@pytest.mark.parametrize("damage", [{"raw": [[1.0]]}, {"when": []}, {"hosts": ["a"] * 2000}, {"raw": [["x"]]}])
def test_damaged_normal_windows_are_refused(report: TrainReport, damage: dict[str, object]) -> None:
    reference = json.loads(report.files["reference.json"])
    reference["nearest"]["ap"] |= damage
    with pytest.raises(BundleError):
        load_model({**report.files, "reference.json": json.dumps(reference).encode()})


def test_a_flood_is_judged_in_bounded_memory_and_says_that_it_was_sampled(model: Model) -> None:
    base = 6 * DAY + 9 * 3600
    flood = [
        row(base + k / 100, f"wlan0: STA 02:00:00:{k >> 8:02x}:{k & 255:02x}:aa IEEE 802.11: authenticated")
        for k in range(12_000)
    ]
    judge = Judge(model)
    for number, one in enumerate(flood, 1):
        judge.add((number, *one[1:]))
    verdicts = judge.close(math.inf)
    assert sum(v.rows for v in verdicts) == 12_000
    assert all(v.sampled for v in verdicts if v.rows > 5_000)
    assert any(v.is_anomaly and v.sampled and "lower bounds" in v.description for v in verdicts)


def test_of_a_floods_rows_so_many_are_read_and_the_others_counted(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.judge.WINDOW_ROWS", 300)
    base = 6 * DAY + 9 * 3600
    join_ = "wlan0: STA 02:00:00:00:{:02x}:{:02x} IEEE 802.11: authenticated"
    flood = [row(base + k / 10, join_.format(k >> 8, k & 255)) for k in range(2_000)]
    calm = [row(base + k, SIGNAL, "cam", STATION) for k in range(200)]
    judge = Judge(model)
    read: list[Row] = []
    add = judge._extractor.add

    def note(one: Row) -> None:
        read.append(one)
        add(one)

    monkeypatch.setattr(judge._extractor, "add", note)
    for one in in_order(flood, calm):
        judge.add(one)
    (ap,) = [v for v in judge.close(math.inf) if v.host == "ap1"]
    assert ap.rows == 2_000
    assert ap.sampled
    assert "lower bounds" in ap.description
    assert len(read) == 300 + 200, "and another host loses nothing by it"


def test_a_budget_changes_what_is_an_anomaly_from_the_next_window_on(model: Model) -> None:
    judge = Judge(model)
    judge.set_budget(0.001)
    strict = model.threshold(0.001)
    judge.set_budget(20.0)
    assert model.threshold(20.0) < strict
    found = [v for v in replay(attack(), judge) if v.is_anomaly]
    judge = Judge(model, 20.0)
    assert as_text(found) == as_text(v for v in replay(attack(), judge) if v.is_anomaly)
