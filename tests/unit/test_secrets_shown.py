"""What pages show of addresses with passwords in them: the parts that are no secret, or nothing."""

from __future__ import annotations

import pytest

from inference.telling.channels import NO_REASON, reason
from trainer.web.fetch_page import place_of


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@db:5432/logs", "logs on db"),
        ("postgresql:///logs?password=secret", "logs on this machine"),
        ("host=db dbname=logs password=secret", "the database"),
        ("postgresql://me:sec/secret@db/logs", "the database"),
    ],
)
def test_a_database_is_told_without_its_password_however_it_is_written(url: str, shown: str) -> None:
    assert place_of(url) == shown


def test_a_password_is_withheld_as_it_is_written_and_as_it_is_meant() -> None:
    url = "mailto://me:p%40ssw0rd@example.org"
    assert reason("Failed to log in with p@ssw0rd to example.org", url) == NO_REASON
    assert reason("example.org does not answer", url) == "example.org does not answer"
