"""What people said of incidents on the Pis: fetched from beside their receipts, kept, and handed to training as labels.

A Pi lays its marks beside its receipts. They are read over the connection that ships; a Pi that cannot be reached counts
with what was heard of it last. Nothing that a Pi says is taken unchecked: it may not be what it was.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import layout
from shared.clean import clean
from shared.errors import ExportError, PipitError
from trainer import targets
from trainer.labels import parse_labels
from trainer.remote import Remote
from trainer.targets import Target

FOLDER = "marks"
MOST = 2_000  # of one Pi
KEYS = ("type", "start", "end", "host", "mark", "agent", "by", "at", "note")
_LIMIT = 4_000_000
_LONGEST = 1_000
_PARALLEL = 8

Label = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Heard:
    """The marks of one Pi, and when it was asked. `fault`: why it could not be asked now; the marks are older then."""

    target: str
    at: float | None
    labels: tuple[Label, ...]
    fault: str = ""

    def of(self, agent: str | None) -> tuple[Label, ...]:
        """Those of one agent; None: all."""
        return tuple(label for label in self.labels if agent in (None, label.get("agent", agent)))


def ask(
    state_dir: Path,
    members: Iterable[Target],
    now: Callable[[], float],
    connect: Callable[[Target], Remote] = targets.connect,
    told: Callable[[Heard], None] = lambda _heard: None,
) -> list[Heard]:
    """Ask every Pi for its marks and keep them; in the order of the Pis.

    Raises:
        OSError: the state folder cannot be written.
    """

    def one(target: Target) -> Heard:
        try:
            with contextlib.closing(connect(target)) as remote:
                labels = parse(remote.read(f"../{layout.RECEIPTS}/{layout.MARKS}", _LIMIT), target.name)
        except PipitError as error:
            known = kept(state_dir, target.name)
            heard = Heard(target.name, known.at, known.labels, str(error))
        else:
            heard = Heard(target.name, now(), labels)
            _keep(state_dir, heard)
        told(heard)
        return heard

    with ThreadPoolExecutor(max_workers=_PARALLEL) as pool:
        return list(pool.map(one, members))


def kept(state_dir: Path, target: str) -> Heard:
    """What was heard of a Pi last; nothing where it was never asked."""
    try:
        found = json.loads(_file(state_dir, target).read_bytes())
        return Heard(target, float(found["at"]), tuple(found["labels"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Heard(target, None, ())


def forget(state_dir: Path, target: str) -> None:
    """A Pi that is no longer in the list has no say any more."""
    _file(state_dir, target).unlink(missing_ok=True)


def all_labels(heard: Iterable[Heard], agent: str) -> tuple[Label, ...]:
    """The labels of one agent from every Pi."""
    return tuple(label for each in heard for label in each.of(agent))


def parse(raw: bytes | None, target: str) -> tuple[Label, ...]:
    """Marks as a Pi laid them out; nothing there is well too.

    Raises:
        ExportError: they are none.
    """
    if raw is None:
        return ()
    try:
        told = json.loads(raw)["labels"][:MOST]
        labels = tuple({key: clean(str(one[key]), _LONGEST) for key in KEYS if key in one} for one in told)
    except (ValueError, KeyError, TypeError, RecursionError) as cause:
        raise ExportError(f"marks of {target}: they cannot be read ({type(cause).__name__})") from cause
    parse_labels(list[Any](labels), f"the marks of {target}")
    return labels


def _keep(state_dir: Path, heard: Heard) -> None:
    path = _file(state_dir, heard.target)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    layout.write_atomic(path, json.dumps({"at": heard.at, "labels": list(heard.labels)}).encode(), 0o600)


def _file(state_dir: Path, target: str) -> Path:
    return state_dir / FOLDER / f"{target}.json"
