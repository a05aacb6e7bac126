"""The first line of the fleet's page."""

from __future__ import annotations

import pytest

from trainer.shipping.history import Transfer
from trainer.targets import parse_target
from trainer.web.fleet_words import TargetRow, headline, rows

GOOD = ("Serves", "ok", "s-ok")


def pi(name: str, runs: str) -> TargetRow:
    return TargetRow(name, f"sftp://{name}/inbox", "", "wifi", runs, GOOD, "", "07:00")


@pytest.mark.parametrize(
    ("table", "first"),
    [
        ([], "No Pi is known here yet."),
        ([pi("attic", "v1")], "The one Pi does not run the newest model."),
        ([pi("attic", "v2")], "The one Pi runs the newest model."),
        ([pi("attic", "v1"), pi("hall", "v1")], "None of two Pis run the newest model."),
        ([pi("attic", "v2"), pi("hall", "v1")], "One of two Pis runs the newest model."),
    ],
)
def test_the_first_line_says_how_many_run_the_newest(table: list[TargetRow], first: str) -> None:
    assert headline(table, {"wifi": "v2"}) == first


def test_a_large_fleet_is_counted_and_what_needs_somebody_stands_first() -> None:
    states = {"a": "good", "b": "sent", "c": "refused", "d": "refused", "e": "failed", "f": "refused"}
    known = {name: parse_target(name, f"sftp://pi@{name}/inbox") for name in states}
    version = "20260312_060000"
    latest = {
        (name, "wifi"): Transfer(1.0, "ship", name, "wifi", version, 1, 1, 1.0, state) for name, state in states.items()
    }
    table = rows(known, latest, {("a", "wifi"): version}, 2.0)
    assert [row.name for row in table] == ["c", "d", "e", "f", "b", "a"]
    assert headline(table, {"wifi": version}) == "One of six Pis runs the newest model. Four turned the last one away."
