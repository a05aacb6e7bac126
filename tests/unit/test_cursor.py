"""The cursor and its gap ranges."""

from __future__ import annotations

import random

from inference.source import GAP_EXPIRY_S, MAX_GAPS, Cursor, Gap


def test_ids_that_were_not_visible_are_remembered_as_ranges() -> None:
    cursor = Cursor(0, 10).advanced([], [11, 14, 15, 20], now=100.0)
    assert cursor.last == 20
    assert cursor.gaps == (Gap(12, 13, 100.0), Gap(16, 19, 100.0))


def test_rows_found_in_a_gap_split_it() -> None:
    cursor = Cursor(0, 20, (Gap(5, 12, 1.0),)).advanced([5, 8, 12], [], now=2.0)
    assert cursor.gaps == (Gap(6, 7, 1.0), Gap(9, 11, 1.0))


def test_a_gap_that_stays_empty_for_a_quarter_of_an_hour_is_given_up_and_counted() -> None:
    cursor = Cursor(0, 20, (Gap(5, 6, 0.0), Gap(9, 9, 500.0))).advanced([], [], now=GAP_EXPIRY_S + 1)
    assert cursor.gaps == (Gap(9, 9, 500.0),)
    assert cursor.expired == 1


def test_a_database_clock_that_is_set_back_does_not_keep_gaps_for_ever() -> None:
    cursor = Cursor(0, 20, (Gap(5, 6, 1_000_000.0),)).advanced([], [], now=10.0)
    assert cursor.gaps == ()
    assert cursor.expired == 1


def test_the_oldest_gaps_go_when_there_are_too_many() -> None:
    gaps = tuple(Gap(2 * i, 2 * i, float(i % 7)) for i in range(1, MAX_GAPS + 6))
    cursor = Cursor(0, 50_000, gaps).advanced([], [], now=10.0)
    assert len(cursor.gaps) == MAX_GAPS
    assert cursor.expired == 5
    assert list(cursor.gaps) == sorted(cursor.gaps, key=lambda gap: gap.low)


def test_a_cursor_survives_being_written_and_read() -> None:
    cursor = Cursor(3, 20, (Gap(5, 12, 1.25),), 7)
    assert Cursor.from_json(cursor.to_json()) == cursor


def test_random_visibility_reads_every_row_exactly_once() -> None:
    rng = random.Random(5)
    for _ in range(200):
        ids = list(range(1, 60))
        order = sorted(ids, key=lambda i: i + rng.uniform(0, 12))
        cursor = Cursor(0, 0)
        visible: set[int] = set()
        got: list[int] = []
        while order or len(got) < len(ids):
            for _ in range(rng.randint(0, 6)):
                if order:
                    visible.add(order.pop(0))
            found = sorted(i for i in visible if any(gap.low <= i <= gap.high for gap in cursor.gaps))[:4]
            tail = sorted(i for i in visible if i > cursor.last)[:4]
            got += found + tail
            cursor = cursor.advanced(found, tail, now=0.0)
            assert {i for i in range(-2, 70) if cursor.has_read(i)} == set(got)
        assert sorted(got) == ids
