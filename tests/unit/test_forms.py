"""SQLite files of any age: made whole, led forward once, refused when they come from the future."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import StoreError
from shared.forms import FIRST, Form, bring_forward

FORM = Form(
    "birds",
    "CREATE TABLE IF NOT EXISTS birds (name TEXT NOT NULL, note TEXT NOT NULL DEFAULT 'a; b');\n"
    "CREATE INDEX IF NOT EXISTS birds_by_name ON birds (name);",
)
STEPS = ("ALTER TABLE birds ADD COLUMN seen INTEGER NOT NULL DEFAULT 1", "UPDATE birds SET seen = seen + 1")


def opened(path: Path) -> closing[sqlite3.Connection]:
    return closing(sqlite3.connect(path, timeout=30.0, isolation_level=None))


def form_of(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file from before forms were counted."""
    path = tmp_path / "birds.db"
    with opened(path) as db:
        db.execute("CREATE TABLE birds (name TEXT NOT NULL)")
        db.execute("INSERT INTO birds VALUES ('pipit')")
    return path


def test_a_new_file_is_of_todays_form_and_no_step_is_taken(tmp_path: Path) -> None:
    with opened(tmp_path / "birds.db") as db:
        bring_forward(db, replace(FORM, steps=("SELECT no_such_thing()",)))
        assert form_of(db) == FIRST + 1
        db.execute("INSERT INTO birds (name) VALUES ('pipit')")


def test_a_file_that_is_right_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "birds.db"
    for _ in range(2):
        with opened(path) as db:
            bring_forward(db, FORM)
        written, changed = path.read_bytes(), path.stat().st_mtime_ns
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (written, changed)


def test_an_old_file_gets_the_columns_that_came_later(old: Path) -> None:
    with opened(old) as db:
        bring_forward(db, replace(FORM, later={"birds": {"note": "TEXT NOT NULL DEFAULT '-'"}}))
        assert db.execute("SELECT name, note FROM birds").fetchall() == [("pipit", "-")]


def test_steps_are_taken_once_each_and_in_order(old: Path) -> None:
    with opened(old) as db:
        for _ in range(2):
            bring_forward(db, replace(FORM, steps=STEPS))
            assert form_of(db) == FIRST + 2
            assert db.execute("SELECT seen FROM birds").fetchall() == [(2,)]


def test_many_that_open_a_file_at_once_take_each_step_once(old: Path) -> None:
    together = threading.Barrier(6)

    def open_it() -> None:
        with opened(old) as db:
            together.wait()
            bring_forward(db, replace(FORM, steps=STEPS))

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with opened(old) as db:
        assert db.execute("SELECT seen FROM birds").fetchall() == [(2,)]


def test_many_that_open_a_new_file_at_once_add_each_later_column_once(tmp_path: Path) -> None:
    form = replace(FORM, later={"birds": {"seen": "INTEGER NOT NULL DEFAULT 0"}})
    for number in range(8):
        together = threading.Barrier(8)

        def open_it(path: Path, together: threading.Barrier = together) -> None:
            with opened(path) as db:
                together.wait()
                bring_forward(db, form)

        with ThreadPoolExecutor(8) as pool:  # what fails in a thread is raised here
            list(pool.map(open_it, [tmp_path / f"{number}.db"] * 8))


def test_a_step_that_fails_leaves_the_file_as_it_was(old: Path) -> None:
    broken = ("UPDATE birds SET name = 'owl'", "UPDATE birds SET name = 'crow'; SELECT no_such_thing()")
    with opened(old) as db:
        with pytest.raises(sqlite3.Error):
            bring_forward(db, replace(FORM, steps=broken))
        assert form_of(db) == FIRST + 1
        assert db.execute("SELECT name FROM birds").fetchall() == [("owl",)]


def test_a_file_of_a_newer_release_is_left_alone_with_the_reason(old: Path) -> None:
    with opened(old) as db:
        db.execute("PRAGMA user_version = 99")
        before = old.read_bytes()
        with pytest.raises(StoreError, match=r"open birds: .* newer release \(form 99; this one knows up to 1\)"):
            bring_forward(db, FORM)
    assert old.read_bytes() == before
