"""Every path of a models folder, an inbox and a store, and the few file operations that replace things safely.

A trainer's models folder and a Pi's inbox look alike::

    incoming/                              uploads that are not finished
    wifi/20250607_230000/                  one version, never changed
    wifi/active -> 20250607_230000         the one thing that changes
    wifi_model_active.joblib -> wifi/active/model.joblib
    wifi_metadata_active.json -> wifi/active/metadata.json

The receipts folder is the inbox's sibling. Whoever reads a link reads its text only and opens folders by handle.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from shared.errors import ConfigError

ACTIVE = "active"
CHALLENGER = "challenger"  # the link to what is to be judged beside the active version
INCOMING = "incoming"
RECEIPTS = "receipts"
MARKS = "MARKS.json"  # beside the receipts: what people said of incidents; no agent's name has capitals
MOST_AGENTS, MOST_ENTRIES = 32, 1_000  # of an inbox: folders that are looked into, and names that are read
LATEST = "latest"
ARCHIVE = "archive"  # of a trainer's models folder: old versions, compressed

_VERSION = re.compile(r"([0-9]{8}_[0-9]{6})(?:-r([0-9]{1,4}))?")
_AGENT = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_RESERVED = {INCOMING, RECEIPTS, ACTIVE, LATEST, ARCHIVE}


def is_version(text: str) -> bool:
    """`YYYYMMDD_HHMMSS`, or the same with `-rN` for a re-signed one; nothing else may name a version's folder."""
    return _VERSION.fullmatch(text) is not None


def is_agent(text: str) -> bool:
    """May this text name an agent's folder?"""
    return _AGENT.fullmatch(text) is not None and text not in _RESERVED


def version_at(time_s: float) -> str:
    """The version made at this moment (UTC)."""
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y%m%d_%H%M%S")


def version_order(version: str) -> tuple[str, int]:
    """Sort key: by time, a re-signed version after the one it repeats."""
    match = _VERSION.fullmatch(version)
    if match is None:
        raise ConfigError(f"version: {version!r} is none; a version looks like 20250607_230000 or 20250607_230000-r1")
    return match[1], int(match[2] or 0)


def resigned(version: str, taken: set[str]) -> str:
    """The next free `-rN` name for a re-signed version: `20250607_230000` gives `…-r1`, `…-r1` gives `…-r2`."""
    base, number = version_order(version)
    while True:
        number += 1
        if (name := f"{base}-r{number}") not in taken:
            return name


def model_id(agent: str, version: str) -> str:
    """The name of one version of one agent's model, as metrics, Redis keys and receipts use it."""
    return f"{agent}_{version}"


def bundle_folder(models: Path, agent: str, version: str) -> Path:
    """Where a version lives."""
    return models / agent / version


def stable_links(agent: str) -> Mapping[str, str]:
    """The stable names beside the agent's folder; they lead through `active`, so all change in one step."""
    return {
        f"{agent}_model_active.joblib": f"{agent}/{ACTIVE}/model.joblib",
        f"{agent}_metadata_active.json": f"{agent}/{ACTIVE}/metadata.json",
    }


def receipt_names(agent: str, version: str) -> tuple[str, str]:
    """The two file names of a receipt: the agent's newest, and the one of this version."""
    return f"{agent}.json", f"{model_id(agent, version)}.json"


def agents_in(models: Path) -> list[str]:
    """The agents that have a folder here; links and other names are passed over."""
    try:
        with os.scandir(models) as entries:
            return sorted(e.name for e in entries if is_agent(e.name) and e.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def some_agents(inbox: Path, most: int = MOST_AGENTS) -> list[str]:
    """A few of the agents that have a folder in an inbox: whoever may write there can make a hundred thousand.

    OSError passes through.
    """
    found: list[str] = []
    with os.scandir(inbox) as entries:
        for entry in itertools.islice(entries, MOST_ENTRIES):
            if is_agent(entry.name) and entry.is_dir(follow_symlinks=False):
                found.append(entry.name)
                if len(found) >= most:
                    break
    return sorted(found)


def versions_in(models: Path, agent: str) -> list[str]:
    """The versions of an agent that lie here, oldest first."""
    try:
        with os.scandir(models / agent) as entries:
            names = [e.name for e in entries if is_version(e.name) and e.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(names, key=version_order)


def active_version(models: Path, agent: str) -> str | None:
    """What `active` points at, by its text alone; None where there is no link or its text is no version."""
    try:
        text = os.readlink(models / agent / ACTIVE)
    except OSError:
        return None
    return text if is_version(text) else None


def resolve(models: Path, reference: str, agent: str | None = None) -> tuple[str, str]:
    """Agent and version that a person means by `latest`, `active`, a bare version, `wifi_<version>` or `wifi/<version>`.

    Raises:
        ConfigError: nothing here is called that, or more than one thing is.
    """
    known = [(a, v) for a in agents_in(models) for v in versions_in(models, a) if agent in (None, a)]
    if reference == LATEST:
        found = list(dict(known).items())  # the last of each agent is its newest
    elif reference == ACTIVE:
        found = [(a, v) for a, v in known if active_version(models, a) == v]
    else:
        found = [(a, v) for a, v in known if reference in (v, model_id(a, v), f"{a}/{v}")]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ConfigError(f"models: no version {reference!r} in {models}; see `pipit-trainer models list`")
    choices = ", ".join(model_id(a, v) for a, v in found)
    raise ConfigError(f"models: {reference!r} is not unique in {models}: {choices}; name one of these")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Create a file that must not exist yet and make its bytes durable; its name is durable after `sync_folder`."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Replace a file: readers see the old bytes or the new ones, also after a power cut."""
    beside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_new(beside, data, mode)
        os.replace(beside, path)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def swap_link(link: Path, target: str) -> None:
    """Point a symbolic link elsewhere in one step: made beside, renamed over, made durable."""
    beside = link.with_name(f".{link.name}.{uuid.uuid4().hex}")
    os.symlink(target, beside)
    try:
        os.replace(beside, link)
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(link.parent)


def activate(models: Path, agent: str, version: str) -> None:
    """Make a version the active one of a models folder; the stable names are made where they are missing."""
    swap_link(models / agent / ACTIVE, version)
    for name, target in stable_links(agent).items():
        if not (models / name).is_symlink():
            swap_link(models / name, target)


@contextlib.contextmanager
def open_folder(path: Path | str, within: int | None = None) -> Iterator[int]:
    """A handle of a folder that is really a folder: a link in its place raises OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        yield handle
    finally:
        os.close(handle)
