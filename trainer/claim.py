"""A version's name is a second: whoever begins to train takes one that nobody else has, and not after the work is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared import layout
from shared.errors import StoreError

MOST_TRIED = 3600


@contextmanager
def claimed_clock(models: Path, agent: str, now: Callable[[], float] = time.time) -> Iterator[Callable[[], float]]:
    """A clock whose first moment is in a second that is nobody else's in this models folder: where another one has it,
    the clock is put forward a little.

    Raises:
        StoreError: the models folder cannot be written.
    """
    began = now()
    try:
        models.mkdir(parents=True, exist_ok=True)
        ahead, claim = _claimed(models, agent, began)
    except OSError as cause:
        raise StoreError(
            f"train: {models} cannot be written ({cause.strerror}); make room or check its owner"
        ) from cause
    first = True

    def clock() -> float:
        nonlocal first
        moment, first = (began if first else now()), False
        return moment + ahead

    try:
        yield clock
    finally:
        claim.unlink(missing_ok=True)


def _claimed(models: Path, agent: str, began: float) -> tuple[int, Path]:
    """How many seconds later than `began`, and the file that says so to others."""
    for ahead in range(MOST_TRIED):
        version = layout.version_at(began + ahead)
        claim = models / f".{agent}_{version}.claimed"
        if not layout.bundle_folder(models, agent, version).exists():
            with suppress(FileExistsError):
                claim.open("x").close()
                return ahead, claim
    raise StoreError(f"train: no version's name is free in {models}; try again later")
