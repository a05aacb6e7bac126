"""What the commands about incidents share: the state file opened, who is speaking, and one way to print what was found."""

from __future__ import annotations

import getpass
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import click

from inference import state
from inference.keeping import reading as read

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
AGENT = click.option("--agent", default="wifi", show_default=True, help="Whose incidents.")
NOTE = click.option("--note", default="", help="Why, for the others.")


@contextmanager
def reading(settings: Any) -> Iterator[sqlite3.Connection]:
    """The state file, to read."""
    db = read.connect_read(settings.state_file)
    try:
        yield db
    finally:
        db.close()


@contextmanager
def writing(settings: Any) -> Iterator[sqlite3.Connection]:
    """The state file, to write; there must be one."""
    read.connect_read(settings.state_file).close()  # a typing error in --state-dir must not make a folder
    db = state.connect(settings.state_file)
    try:
        yield db
    finally:
        db.close()


def tell(found: Any, as_json: bool, words: Callable[[list[Any]], str]) -> None:
    """Print one frozen value or a list of them, as JSON or in words."""
    many = found if isinstance(found, list) else [found]
    told = [asdict(each) for each in many]
    click.echo(json.dumps(told if isinstance(found, list) else told[0]) if as_json else words(many))


def me() -> str:
    """Who is typing."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"
