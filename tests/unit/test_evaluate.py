"""Measuring a model: on known episodes, on injected faults, beside trivial detectors; never on its own answers."""

from __future__ import annotations

import csv
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from shared.errors import ConfigError, ExportError
from tests import measured
from trainer.evaluate import evaluate
from trainer.fitting.pseudonyms import Pseudonyms
from trainer.given import span
from trainer.labels import Episode
from trainer.measuring import assess as assess_module
from trainer.measuring import compare as compare_module
from trainer.measuring import holdout
from trainer.measuring.assess import assess
from trainer.measuring.evaluation import Evaluation
from trainer.measuring.events_found import false_incidents, incidents
from trainer.measuring.holdout import held_back_from
from trainer.measuring.judged import LABELS
from trainer.measuring.seen import Seen
from trainer.measuring.window_scores import Confusion, Sample, window_metrics
from trainer.pipeline import train
from trainer.reporting.advice import advice

NOON = 1_773_316_800.0  # 2026-03-12T12:00:00Z
NOTHING = np.array([], dtype=np.float32)


def window(start: float, host: str = "ap1", flagged: bool = True) -> Seen:
    return Seen(host, start, start + 300, "ap", 0.5, flagged, False, False, None, NOTHING)


@pytest.fixture(scope="module")
def against_labels() -> Evaluation:
    return evaluate(measured.model(), measured.day(), measured.episodes())


# --- with labels -------------------------------------------------------------------------------------------------


def test_known_episodes_are_found_and_invisible_ones_are_told_apart(against_labels: Evaluation) -> None:
    events = against_labels.events
    visible = [episode for episode in measured.episodes() if episode.visible is True]
    assert against_labels.method == LABELS
    assert (events.visible, events.invisible) == (
        len(visible),
        len(measured.episodes()) - len(visible) - events.silences,
    )
    assert events.recall is not None
    assert events.recall >= 0.8
    assert events.median_delay_s is not None
    assert 0 < events.median_delay_s < 900
    assert against_labels.metrics["named_right"] >= 0.8
    assert against_labels.metrics["false_incidents_per_host_week"] < 3


def test_window_figures_are_those_of_the_confusion_matrix(against_labels: Evaluation) -> None:
    found, metrics = against_labels.confusion, against_labels.metrics
    assert found is not None
    assert metrics["precision"] == round(found.true_positive / (found.true_positive + found.false_positive), 4)
    assert metrics["recall"] == round(found.true_positive / (found.true_positive + found.false_negative), 4)
    assert found.true_positive + found.false_negative + against_labels.ordinary_windows == against_labels.windows
    assert {"accuracy", "f1_score", "roc_auc", "average_precision"} <= metrics.keys()


def test_everything_is_json_and_names_can_be_left_out(against_labels: Evaluation) -> None:
    told = json.dumps(against_labels.as_json(Pseudonyms(measured.WIFI)), allow_nan=False)
    hosts = {row[2] for row in measured.day()}
    assert [host for host in hosts if len(host) > 4 and host in told] == []
    named = against_labels.as_json()["episodes"]
    assert {episode["host"] for episode in named} <= hosts


def test_trivial_detectors_stand_beside_at_the_same_number_of_false_windows(against_labels: Evaluation) -> None:
    by_name = {one.name: one for one in against_labels.baselines}
    assert by_name.keys() == {"flag_all", "z_score", "count_distance"}
    assert by_name["flag_all"].recall == 1.0
    assert by_name["flag_all"].precision < 0.1


def test_a_larger_budget_finds_no_less(against_labels: Evaluation) -> None:
    found = [row["found"] for row in sorted(against_labels.budgets, key=lambda row: row["budget"])]
    assert found == sorted(found)


def test_importance_names_features_and_its_parts_sum_to_one(against_labels: Evaluation) -> None:
    shares = {
        role: sum(one.share for one in against_labels.importance if one.role == role)
        for role in {one.role for one in against_labels.importance}
    }
    assert shares
    assert all(share == pytest.approx(1.0, abs=0.01) for share in shares.values())


def test_a_log_without_attacks_has_nothing_to_find(against_labels: Evaluation) -> None:
    quiet = evaluate(measured.model(), measured.day()[:400], ())
    assert quiet.events.recall is None
    assert "recall" not in quiet.metrics


# --- false incidents ---------------------------------------------------------------------------------------------


def test_anomalies_of_a_host_within_half_an_hour_are_one_incident() -> None:
    together = [window(0), window(1_800), window(1_800, host="ap2"), window(10_000)]
    assert [len(incident) for incident in incidents(together)] == [2, 1, 1]


def test_an_incident_that_touches_an_episode_is_not_false() -> None:
    episode = Episode("deauth_flood", 5_000, 5_100, "ap1", frozenset({"ap1", "phone"}))
    flagged = [window(5_000), window(5_000, host="phone"), window(5_000, host="other"), window(6_600)]
    assert [incident[0].host for incident in false_incidents(flagged, [episode])] == ["other"]


def test_window_metrics_need_windows_of_both_kinds() -> None:
    ones = np.ones(3, dtype=bool)
    assert window_metrics(Sample(ones, np.arange(3.0), ~ones), ones) == {}


def test_a_confusion_of_nothing_is_no_division_by_zero() -> None:
    empty = Confusion(0, 0, 0, 0)
    assert (empty.accuracy, empty.precision, empty.recall, empty.f1) == (0.0, 0.0, 0.0, 0.0)


def test_a_log_in_any_order_measures_the_same_and_tells_how_far_it_is(tmp_path: Path) -> None:
    """An export that somebody put together host after host."""
    with gzip.open(measured.DAY, "rt", newline="") as stream:
        head, *rows = csv.reader(stream)
    with (tmp_path / "by-host.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([head, *sorted(rows, key=lambda row: row[head.index("host")])])
    told: list[float] = []
    wanted = assess(measured.model(), [measured.DAY], measured.episodes(), progress=lambda _, share: told.append(share))
    found = assess(measured.model(), [tmp_path / "by-host.csv"], measured.episodes())
    assert found.evaluation.metrics == wanted.evaluation.metrics
    assert (told[0], told[-1]) == (0.0, 1.0)
    assert told == sorted(told)
    assert len(set(told)) > 2, "more than beginning and end"


def test_a_span_that_ends_before_it_begins_is_said_at_once() -> None:
    assert span("2026-03-01", None) == (1_772_323_200.0, None)
    with pytest.raises(ConfigError, match="is not before --end-date 2026-03-01"):
        span("2026-03-09", "2026-03-01")


@pytest.mark.parametrize("labelled", [True, False])
def test_a_log_of_other_programs_is_refused_and_no_success(tmp_path: Path, labelled: bool) -> None:
    """Its gate would pass, for nothing was missed."""
    (tmp_path / "cron.csv").write_text(
        "timestamp,host,program,message\n" + "2026-03-12T06:00:00Z,ap1,cron,a job ran\n" * 50
    )
    with pytest.raises(ExportError, match=r"nothing to measure in cron\.csv"):
        assess(measured.model(), [tmp_path / "cron.csv"], measured.episodes() if labelled else ())


# --- while training ----------------------------------------------------------------------------------------------


def test_training_tells_how_far_it_is_within_its_long_steps() -> None:
    assert measured.trained()
    for name, least in (("learn", 2), ("calibrate", 3), ("evaluate", 6)):
        shares = [share for step, share in measured.TOLD if step == name]
        assert shares == sorted(shares), name
        assert len(set(shares)) >= least, (name, shares)


def test_training_tries_its_recipe_on_injected_faults_in_time_that_it_has_not_seen() -> None:
    facts = measured.trained().facts
    told = facts.evaluation
    assert told["method"] == "injected faults"
    assert told["metrics"]["episode_recall"] > 0.6
    config, (first, end) = measured.quick(), (0, 100)
    valid, test = held_back_from(config, (first, end))
    assert (valid, test) == (70, 80)
    earliest = min(episode["start"] for episode in told["episodes"])
    assert earliest > facts.first + 0.69 * (facts.last - facts.first), "no fault lies in time that was learnt from"
    assert facts.validation_windows > 0
    assert facts.test_windows > 0
    assert told["cross_validation"][0]["windows"] > 0


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a large export."""
    for module in (assess_module, compare_module, holdout):
        monkeypatch.setattr(module, "processes_for", lambda source: 2)


def test_the_same_seed_measures_the_same_however_many_processes_do_it(request: pytest.FixtureRequest) -> None:
    once = assess(measured.model(), [measured.DAY], faults_each=1, end=NOON).evaluation
    request.getfixturevalue("two_processes")
    again = assess(measured.model(), [measured.DAY], faults_each=1, end=NOON).evaluation
    assert once.method == "injected faults"
    assert len(once.outcomes) > 4
    assert (once.metrics, once.outcomes) == (again.metrics, again.outcomes)


@pytest.mark.usefixtures("two_processes")
def test_labels_in_training_are_measured_against_and_not_learnt() -> None:
    config = measured.quick(evaluation__inject=False)
    facts = train([measured.DAY], measured.WIFI, config, labels=measured.episodes()).facts
    assert facts.evaluation["method"] == "labels"
    assert facts.evaluation["events"]["visible"] == sum(e.visible is True for e in measured.episodes())
    assert facts.evaluation["metrics"]["episode_recall"] >= 0.5
    assert [left.windows for left in facts.guard if left.feature == "labels"]


def test_without_injection_and_labels_nothing_is_claimed() -> None:
    facts = train([measured.WEEK], measured.WIFI, measured.quick(evaluation__inject=False)).facts
    assert "episode_recall" not in facts.evaluation.get("metrics", {})
    assert facts.gate["passed"] is True
    assert facts.gate["checks"][0]["note"] == "not measured"


# --- advice ------------------------------------------------------------------------------------------------------


def test_a_high_contamination_is_told_to_be_lowered_for_fewer_alarms() -> None:
    facts = replace(measured.trained().facts, contamination=0.1, alert_budget=None)
    said = " ".join(advice(facts))
    assert "Lower it for fewer alarms, raise it for more" in said


def test_a_missed_gate_comes_first() -> None:
    facts = replace(measured.trained().facts, gate={"passed": False, "reason": "recall is 0.2", "checks": []})
    assert advice(facts)[0].startswith("The gate was missed: recall is 0.2.")


def test_who_cries_wolf_is_named_with_its_rule() -> None:
    alarms = [
        {"type": "sta_flapping", "by": "rule", "incidents": 39, "hosts": 18},
        {"type": "x", "by": "model", "incidents": 1, "hosts": 1},
    ]
    told = {**measured.trained().facts.evaluation, "false_alarms": alarms}
    told["metrics"] = {**told["metrics"], "false_incidents_per_host_week": 8.8}
    said = " ".join(advice(replace(measured.trained().facts, evaluation=told)))
    assert "39 of 40 were called sta flapping, by a rule, which keeps to no budget, at 18 hosts" in said
