"""The training report: self-contained, readable, and safe with hostile text."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tests.evaluated import EPISODE, EVALUATION
from tests.training_facts import FACTS
from trainer.fitting.facts import NormalRange, SourceFile, TrainFacts
from trainer.report import plain, rarity, render_report, span

HOSTILE = "<script>alert(1)</script>"
HOSTILE_EPISODE = {**EPISODE, "title": HOSTILE, "host": HOSTILE, "said": [HOSTILE], "lines": [HOSTILE]}


class Page(HTMLParser):
    """Tags and texts of a page; void elements are not waited for."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "link", "br", "img", "input", "hr"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_report_is_one_whole_page_without_scripts_or_outside_parts() -> None:
    page = render_report(FACTS)
    parsed = Page(page)
    assert parsed.open == []
    assert parsed.tags.count("h1") == 1
    assert not {"script", "link", "img", "iframe", "object"} & set(parsed.tags)
    names = {name for name, _ in parsed.attributes}
    assert not {"src", "style", "onclick", "href"} & names
    assert not re.search(rb"https?://|@import|url\(", page)
    assert len(page) < 100_000


def test_the_report_says_what_matters() -> None:
    text = " ".join(Page(render_report(FACTS)).text.split())
    for words in (
        "20260312_060000 finds 1 of 2 injected faults, at 0.25 false incidents a week and host.",
        "has learnt 9 days of 21 hosts, and may raise 0.15 incidents a week and host.",
        "3 ap, 18 sta", "31,903", "0.8 % that no pattern knows", "10,212", "1 in 4,000", "2 min 51 s", "212 MB at most",
        "7 windows looked like an attack", "more than 60 in half an hour", "beyond all seen", "✓ 93 %", "✕ 60 %", "at least 70 %",
        "not measured", "✕ Missed", "pipit-trainer ship 20260312_060000 --to TARGET --wait", "march.csv.gz",
        "model.contamination: 0.1 of the windows", "wlan#: something <MAC> nobody knows",
    ):  # fmt: skip
        assert words in text, words


def test_hostile_text_is_shown_and_does_nothing() -> None:
    facts = replace(
        FACTS,
        sources=(SourceFile(HOSTILE, "00" * 32, 1, 1),),
        unknown_shapes=((HOSTILE + "\ud800\x1b[2J", 1),),
        warnings=(HOSTILE,),
        normal=(NormalRange(HOSTILE, HOSTILE, HOSTILE, 0, 1, 2, 3, HOSTILE),),
        evaluation={**EVALUATION, "metrics": {**EVALUATION["metrics"], HOSTILE: 1.0}, "episodes": [HOSTILE_EPISODE]},
        advice=(HOSTILE,),
        hyperparameters={HOSTILE: HOSTILE},
    )
    parsed = Page(render_report(facts))
    assert "script" not in parsed.tags
    assert parsed.text.count(HOSTILE) >= 11


def test_features_that_never_moved_are_named_in_one_line() -> None:
    still = NormalRange("radars", "Radar", "ap", 0, 0, 0, 0)
    text = " ".join(Page(render_report(replace(FACTS, normal=(*FACTS.normal, still)))).text.split())
    assert "Always the same: Radar (0)." in text


def test_a_thin_run_makes_a_report_too() -> None:
    facts = TrainFacts(
        agent="sshd", version="20260101_000000", trained_at=0, duration_s=0.2, peak_memory_bytes=1, sources=(), rows=0,
        first=0, last=0, hosts={}, windows={}, features_used=(), hyperparameters={}, threshold=math.inf,
    )  # fmt: skip
    text = " ".join(Page(render_report(facts)).text.split())
    assert "Not measured in this run" in text
    assert "No window of this export looked like an attack" in text


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (0.0123, "0.0123"), (12.34, "12.3"), (12345.6, "12,346"), (math.nan, "–")]
)
def test_numbers_are_as_long_as_somebody_reads(number: float, text: str) -> None:
    assert plain(number) == text


def test_rarity_and_spans_are_words() -> None:
    assert (rarity(2000), rarity(None)) == ("1 in 2,000", "beyond all seen")
    assert (span(3.21), span(42), span(171)) == ("3.2 s", "42 s", "2 min 51 s")


def test_precision_and_recall_are_those_of_the_line_that_was_measured() -> None:
    """What is measured while training is another model than the bundle's, with a line of its own."""
    text = Page(render_report(replace(FACTS, threshold=0.41, evaluation=EVALUATION))).text
    assert "precision 60 %, recall 93 %" in " ".join(text.replace("\u202f", " ").replace("\xa0", " ").split())
