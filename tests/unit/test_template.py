"""An incident's message in words of one's own: gaps are filled, empty lines go, mistakes are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.incidents import Incident, Kind
from inference.telling.messages import incident_message
from inference.telling.template import NAMES, OWN, parse, read_template
from shared.errors import ConfigError
from shared.values import Moved

WHAT = "{host} is asked for {severity.__class__} again and again"  # an attacker's text is no template
INCIDENT = Incident(
    "k", "wifi", "ap1", 0.0, 0.0, 900.0, 3, 0.7, 2000.0, {"psk_bruteforce": Kind(2, 0.91, 3, WHAT)}, "rule"
)
MOVED = [Moved("psk_attempts", 136.0, 0.0, 2.0, 1.9)]


def test_pipits_own_words_say_everything_once() -> None:
    title, body = incident_message(INCIDENT, MOVED, raised=True, link="http://pi/incidents/1")
    assert title == "critical: psk bruteforce on ap1 (now more severe)"
    assert body.split("\n") == [
        WHAT,
        "since 1970-01-01 00:00 UTC, 3 windows, 1 in 2,000 windows, 91% sure (found by rule)",
        "psk_attempts: 136 (normal 0 to 2)",
        "http://pi/incidents/1",
    ]
    assert incident_message(INCIDENT)[1].count("\n") == 1, "a line of which nothing is left is left out"


def test_a_file_gives_other_words(tmp_path: Path) -> None:
    file = tmp_path / "words.txt"
    file.write_text("Alarm at {host}!\n\n{kind}: {rarity}\n{link}\n{{braces}}\n", encoding="utf-8")
    assert incident_message(INCIDENT, template=read_template(file)) == (
        "Alarm at ap1!",
        "psk bruteforce: 1 in 2,000 windows\n{braces}",
    )


def test_every_gap_that_is_told_of_is_filled() -> None:
    for name in NAMES:
        title, _ = incident_message(
            INCIDENT, MOVED, raised=True, link="http://pi", template=parse(f"x{{{name}}}", "here")
        )
        assert title != "x", name
    assert all(f"{{{name}}}" in OWN for name in NAMES if name != "agent")


@pytest.mark.parametrize(
    "text", ["", "\nbody", "{hots}", "{}", "{host.__class__}", "{host!r}", "{host:>99999999}", "{host", "x" * 5000]
)
def test_a_mistake_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ConfigError, match="words of mine"):
        parse(text, "words of mine")


@pytest.mark.parametrize("text", ["{change}", "{link}\n{moved}", "{change}\n\nmore"])
def test_a_title_of_which_nothing_is_left_is_the_kind(text: str) -> None:
    assert incident_message(INCIDENT, template=parse(text, "here"))[0] == "psk bruteforce"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="INFERENCE_NOTIFY_TEMPLATE"):
        read_template(tmp_path / "none.txt")
