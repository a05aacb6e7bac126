"""The first line of the fleet's page."""

from __future__ import annotations

import pytest

from trainer.web.fleet_words import TargetRow, headline

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
