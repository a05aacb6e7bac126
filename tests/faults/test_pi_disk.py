"""A Pi whose disk is full or broken, at every operation: it goes on serving, and takes the new model when it can."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fakes import V1, V2, Pi, Workshop, pi_with_v1
from tests.services import may
from trainer.remote import LocalRemote
from trainer.ship import ship

pytestmark = pytest.mark.faults


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


class Failing:
    """Makes the nth operation on the disk fail: a call of the system, or a statement of SQLite."""

    def __init__(self, at: int, error: int) -> None:
        self.left, self.error = at, error

    def step(self) -> bool:
        self.left -= 1
        return self.left == 0

    def arm(self, patch: pytest.MonkeyPatch, pi: Pi) -> None:
        for name in ("fsync", "rename", "replace", "mkdir", "open", "scandir"):
            patch.setattr(os, name, self._wrapped(getattr(os, name)))
        failing = self

        class Connection(sqlite3.Connection):
            def execute(self, *arguments: Any) -> sqlite3.Cursor:
                if not arguments[0].startswith("SELECT") and failing.step():
                    raise sqlite3.OperationalError("database or disk is full")
                return super().execute(*arguments)

        pi.db.close()
        pi.db = sqlite3.connect(pi.state_file, isolation_level=None, factory=Connection)

    def _wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **options: Any) -> Any:
            if self.step():
                raise OSError(self.error, os.strerror(self.error))
            return call(*arguments, **options)

        return run


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_operation_leaves_a_valid_model_and_the_next_pass_takes_the_new(
    tmp_path: Path, workshop: Workshop, faults: str, error: int
) -> None:
    template = pi_with_v1(tmp_path / "template", workshop)
    ship(workshop.make(V2), LocalRemote(template.inbox))
    template.db.close()
    kept = 0
    for number in itertools.count(1, 1 if faults == "full" else 9):
        root = tmp_path / f"pi-{number}"
        shutil.copytree(tmp_path / "template", root, symlinks=True)
        pi = Pi(root, workshop.allowed)
        pi.restart()
        failing = Failing(number, error)
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(sqlite3.Error, OSError):
            failing.arm(patch, pi)
            pi.reconcile()  # the daemon's loop catches what comes out of it, and tries again
        pi.db.close()
        pi.db = sqlite3.connect(pi.state_file, isolation_level=None)
        assert pi.serving() in (V1, V2), "serving is never without a valid model"
        kept += pi.serving() == V1
        pi.reconcile()
        pi.reconcile()
        assert pi.serving() == V2
        assert pi.receipt()["state"] == "loaded"
        pi.restart()
        assert pi.serving() == V2
        assert not list(pi.settings.store.glob(".tmp-*"))
        pi.db.close()
        shutil.rmtree(root)
        if failing.left > 0:
            break
    assert number > 40
    assert kept > 2


FULL_DISK = """
import signal, resource, sqlite3, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.fakes import Pi, V1, V2
pi = Pi(Path({pi!r}), Path({allowed!r}), inbox=Path({inbox!r}))
pi.restart()
assert pi.serving() == V1
def fill(limit):
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return
    try:
        with open(Path({pi!r}, "ballast"), "wb", buffering=0) as ballast:
            for size in (65536, 512, 1):
                try:
                    while ballast.write(bytes(size)):
                        pass
                except OSError:
                    pass
    except OSError:
        pass
fill({limit!r})
for _ in range(3):
    try:
        print([o.code for o in pi.reconcile()])
    except (OSError, sqlite3.Error) as error:
        print(error)
    assert (pi.slot.get("wifi").version, pi.store.active("wifi").version) in ((V1, V1), (V2, V2))
Path({pi!r}, "ballast").unlink(missing_ok=True)
if {limit!r} is None:
    pi.reconcile()
    pi.reconcile()
    assert pi.serving() == V2
    print(pi.receipt())
"""


def full_disk(pi: Path, workshop: Workshop, inbox: Path, limit: int | None) -> str:
    root = str(Path(__file__).parents[2])
    return FULL_DISK.format(root=root, pi=str(pi), allowed=str(workshop.allowed), inbox=str(inbox), limit=limit)


@pytest.mark.parametrize("size_kb", [0, 40, 120, 400, 2000])
def test_a_running_pi_that_may_write_no_more_keeps_its_model(tmp_path: Path, workshop: Workshop, size_kb: int) -> None:
    """State, SQLite and store may not write a file beyond a size: the kernel refuses, as with a full disk."""
    pi = pi_with_v1(tmp_path / "pi", workshop)
    ship(workshop.make(V2, size=300_000), LocalRemote(pi.inbox))
    pi.db.close()
    command = [sys.executable, "-B", "-c", full_disk(tmp_path / "pi", workshop, pi.inbox, size_kb << 10)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    pi = Pi(tmp_path / "pi", workshop.allowed, inbox=pi.inbox)
    pi.restart()
    assert pi.serving() in (V1, V2)
    pi.reconcile()
    assert pi.serving() == V2


def test_a_pi_on_a_full_file_system_of_two_megabytes_keeps_its_model(tmp_path: Path, workshop: Workshop) -> None:
    """A tmpfs of 2 MB in a mount namespace, filled to the brim while the Pi runs; then there is room again."""
    if not may("unshare", "--mount", "mount", "-t", "tmpfs", "none", str(tmp_path)):
        pytest.skip("this user may not mount a file system")
    pi = pi_with_v1(tmp_path / "pi", workshop)
    pi.db.close()
    inbox, small = tmp_path / "away" / "inbox", tmp_path / "small"
    shutil.copytree(pi.inbox, inbox, symlinks=True)
    ship(workshop.make(V2, size=300_000), LocalRemote(inbox))
    small.mkdir()
    script = (
        f'mount -t tmpfs -o size=2m none {small} && cp -a {tmp_path}/pi/. {small}/ && {sys.executable} -B -c "$CODE"'
    )
    done = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script], capture_output=True, text=True, timeout=90, check=False,
        env={**os.environ, "CODE": full_disk(small, workshop, inbox, None)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert "full" in done.stdout or "'io'" in done.stdout, done.stdout
    assert f"'version': '{V2}'" in done.stdout
