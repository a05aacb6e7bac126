"""What was measured of a model, in the sentences and rows that people read."""

from __future__ import annotations

from dataclasses import replace

from tests.evaluated import EVALUATION
from tests.training_facts import FACTS
from trainer.registry import ModelEntry
from trainer.reporting.words import headline_of, metric_rows
from trainer.web.model_words import lead_of


def entry(**metadata: object) -> ModelEntry:
    """A version that serves, as the registry lists it."""
    return ModelEntry("wifi", "20260312_060000", True, 43, 400_000, metadata)


def test_a_models_page_tells_what_it_found_where_that_was_measured() -> None:
    measured = {**EVALUATION["metrics"], "false_incidents": 1.0, "host_weeks": 4.0}
    said = lead_of(entry(evaluation={"method": "injected faults", "metrics": measured}), ["attic"])
    assert said.startswith(
        "On days it had not seen it found 1 of 2 faults that were laid into them, with one false alarm"
    )
    assert said.endswith("It runs on attic.")
    assert "known incidents" in lead_of(entry(evaluation={"method": "labels", "metrics": measured}), [])


def test_a_models_page_tells_what_it_knows_where_nothing_was_measured() -> None:
    said = lead_of(entry(windows={"total": 8977}), [])
    assert said == "It knows 8,977 windows of normal traffic. It runs on no Pi."


def test_the_reports_first_line_is_what_was_found_else_what_was_learnt() -> None:
    found, left = headline_of(FACTS, "It learnt a week.")
    assert found == "20260312_060000 finds 1 of 2 injected faults, at 0.25 false incidents a week and host."
    assert left == "It learnt a week."
    assert headline_of(replace(FACTS, evaluation={}), "It learnt a week.") == ("It learnt a week.", "")


def test_shares_are_per_cent_and_rates_and_times_are_not() -> None:
    metrics = {"accuracy": 0.985, "false_incidents_per_host_week": 0.25, "median_delay_s": 151.0, "episodes": 2.0}
    rows = dict(metric_rows(replace(FACTS, evaluation={"metrics": metrics}, gate={})))
    assert "%" in rows["Accuracy of windows"]
    told = {value for name, value in rows.items() if name != "Accuracy of windows"}
    assert told == {"0.25", "151 s"}, "how many episodes there were is told elsewhere"
