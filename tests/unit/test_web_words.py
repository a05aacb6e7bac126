"""Numbers, times and rarities as the pages say them."""

from __future__ import annotations

import math

import pytest

from shared.web import words

NOW = 1773350160.0  # Thu 12 Mar 2026, 21:16:00 UTC


@pytest.mark.parametrize(
    ("one_in", "sample", "said"),
    [
        (None, 9000, "not scored"),
        (1.4, 9000, "quite normal"),
        (37.0, 9000, "1 in 37"),
        (2244.0, 9000, "1 in 2,200"),
        (9000.0, 9000, "never seen in training"),
        (math.inf, None, "never seen in training"),
        (math.nan, None, "not scored"),
    ],
)
def test_rarity_is_said_in_words_and_never_beyond_the_sample(one_in: float | None, sample: int, said: str) -> None:
    assert words.rarity(one_in, sample) == said


def test_small_counts_are_words_and_agree_with_their_noun() -> None:
    assert [words.counted(n, "host") for n in (0, 1, 3, 12, 13, 1200)] == [
        "no hosts", "one host", "three hosts", "twelve hosts", "13 hosts", "1,200 hosts",
    ]  # fmt: skip
    assert words.figure(1, "window") == "1 window"
    assert words.figure(2, "try", "tries") == "2 tries"


def test_a_count_may_stand_without_a_noun() -> None:
    assert [words.counted(n, "", "").strip() for n in (1, 3, 31)] == ["one", "three", "31"]
    assert words.figure(3, "Pi", "Pis") == "3 Pis"


def test_times_are_relative_under_an_hour_and_named_otherwise() -> None:
    assert words.ago(NOW - 30, NOW) == "less than a minute ago"
    assert words.ago(NOW - 11 * 60, NOW) == "11 minutes ago"
    assert words.ago(NOW - 3 * 3600, NOW) == "at 18:16"
    assert words.moment(NOW - 86400, NOW) == "Wed 11 Mar, 21:16"
    assert words.stamp(NOW) == "Thu 12 Mar 2026, 21:16:00 UTC"


@pytest.mark.parametrize("time_s", [-1e300, 1e300, math.inf, math.nan, 2**63])
def test_a_clock_gone_mad_is_still_drawn(time_s: float) -> None:
    assert words.clock(time_s) == "00:00"


def test_spans_and_ages_choose_their_unit() -> None:
    assert [words.lasted(s) for s in (40, 780, 7500, 7200, 260000)] == ["40 s", "13 min", "2 h 5 min", "2 h", "3 days"]
    assert [words.age(s) for s in (60, 3600 * 5, 86400 * 3)] == ["less than an hour old", "5 hours old", "3 days old"]


def test_a_version_tells_when_it_was_made() -> None:
    assert words.version_time("20260312_211600-r2") == NOW
    assert words.version_time("../../etc") is None


def test_an_unknown_severity_is_shown_as_medium_not_dropped() -> None:
    assert words.severity_class("critical") == "high"
    assert words.severity_class("weird") == "mid"


def test_a_share_is_as_exact_as_it_needs_and_a_list_no_longer_than_one_reads() -> None:
    assert [words.plain_share(part) for part in (1.0, 0.976, 0.5, 0.0)] == ["100 %", "97.6 %", "50 %", "0 %"]
    assert words.some_of(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert words.some_of(["a", "b", "c"]) == "a, b and c"
    assert words.role("ap") == "access points"
    assert words.role("printer") == "printer"
