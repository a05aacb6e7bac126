"""Hostile text on a page: escaped, and what hides or turns shown as a code."""

from __future__ import annotations

import pytest

from shared.web.visible import is_hostile, visible, with_code


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ('"onload="x', "&#34;onload=&#34;x"),
        ("a\u202eb", 'a<b class="x">U+202E</b>b'),
        ("a\u200bb", 'a<b class="x">U+200B</b>b'),
        ("\x1b[31m", '<b class="x">U+001B</b>[31m'),
        ("\x00", '<b class="x">U+0000</b>'),
        ("\ud800", '<b class="x">U+D800</b>'),
        ("\u2028", '<b class="x">U+2028</b>'),
        ("\u3164", '<b class="x">U+3164</b>'),
        ("Café 网络", "Café 网络"),
    ],
)
def test_every_trick_is_shown_as_a_code(text: str, html: str) -> None:
    assert str(visible(text)) == html


def test_stacked_marks_do_not_paint_over_the_next_line() -> None:
    shown = str(visible("e" + "\u0301" * 50))
    assert shown.count("\u0301") == 2
    assert shown.count("U+0301") == 48


def test_a_huge_text_is_cut_and_says_so() -> None:
    shown = str(visible("x" * 10_000_000))
    assert len(shown) < 5000
    assert "cut" in shown


def test_plain_text_is_not_called_hostile() -> None:
    assert not is_hostile("wlan0: STA 06:58:23:99:05:bf IEEE 802.11: authenticated")
    assert is_hostile("\u202e")


def test_nothing_is_nothing() -> None:
    assert str(visible(None)) == ""


def test_what_stands_between_backticks_is_code() -> None:
    assert with_code("else `inbox` in <the> folder") == "else <code>inbox</code> in &lt;the&gt; folder"
    assert with_code("one ` alone") == "one ` alone"
    assert with_code("\u202e `\u202e<b>`") == '<b class="x">U+202E</b> <code><b class="x">U+202E</b>&lt;b&gt;</code>'
