"""Hostile text becomes one printable line."""

from __future__ import annotations

import csv
import io
import random

import pytest

from shared.clean import clean, clean_csv


def test_plain_text_passes_unchanged() -> None:
    assert clean("wlan0: STA 02:00:00:00:00:01 associated (aid 3)") == "wlan0: STA 02:00:00:00:00:01 associated (aid 3)"
    assert clean("Café – 東京 🙂") == "Café – 東京 🙂"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("a\nb\r\tc\0", "a\\x0ab\\x0d\\x09c\\x00"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202ecba", "abc\\u202ecba"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u3164\u00ad", "\\u3164\\xad"),
    ],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_stacked_marks_do_not_grow_over_other_lines() -> None:
    assert clean("a" + "\u0301" * 50).count("\u0301") == 3


def test_long_text_is_cut_with_a_sign_and_never_within_an_escape() -> None:
    assert clean("x" * 5000) == "x" * 4095 + "…"
    assert len(clean("\x00" * 5000)) <= 4096
    assert clean("\x00" * 5000).rstrip("…").endswith("\\x00")
    assert clean("abcdef", limit=4) == "abc…"
    assert clean("abcd", limit=4) == "abcd"


def test_any_text_becomes_printable_and_short() -> None:
    random.seed(1)
    for _ in range(500):
        text = "".join(chr(random.choice((random.randrange(0x110000), random.randrange(256)))) for _ in range(60))
        shown = clean(text, limit=100)
        assert shown.isprintable()
        assert len(shown) <= 100
        shown.encode("utf-8")


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "@SUM(A1)", "-2+3", "  =1", "\t=1", "%0A", '"=1'])
def test_a_cell_is_never_a_formula(text: str) -> None:
    cell = clean_csv(text)
    assert cell.startswith(("'", "\\"))
    out = io.StringIO()
    csv.writer(out).writerow([cell])
    assert next(csv.reader([out.getvalue()])) == [cell]


@pytest.mark.parametrize("text", ["-61", "+2.5", "-", "12", "plain", ""])
def test_numbers_and_words_stay_as_they_are_in_a_cell(text: str) -> None:
    assert clean_csv(text) == text
